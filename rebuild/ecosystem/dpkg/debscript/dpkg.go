package debscript

import (
	"path"
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
	"github.com/nanopatch/nanopatch/rebuild/version"
)

// dpkg answers the questions that scripts ask dpkg(1).
func dpkg(p *script.Process) (int, error) {
	args := p.Args[1:]
	if len(args) > 0 && args[0] == "--admindir=/var/lib/dpkg" {
		args = args[1:]
	}
	if len(args) == 0 {
		return 0, p.Unknownf("has no operands")
	}
	action, args := args[0], args[1:]
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	s := of(p)
	switch {
	case action == "--compare-versions" && len(args) == 3:
		return compareVersions(p, args[0], args[1], args[2])
	case action == "--print-architecture" && len(args) == 0:
		db, err := s.open(p)
		if err != nil {
			return 0, err
		}
		return 0, p.Print(db.native() + "\n")
	case action == "--print-foreign-architectures" && len(args) == 0:
		return foreignArchitectures(p)
	case strings.HasPrefix(action, "--assert-") && len(args) == 0:
		switch action[len("--assert-"):] {
		case "support-predepends", "working-epoch", "long-filenames", "multi-conrep", "multi-arch", "versioned-provides":
			return 0, nil
		}
	case strings.HasPrefix(action, "--validate-") && len(args) == 1:
		return validate(p, action, args[0])
	case action == "-s" || action == "--status" || action == "-L" || action == "--listfiles" || action == "-S" || action == "--search" ||
		action == "-l" || action == "--list":
		return dpkgQuery(p)
	}
	return 0, p.Unknownf("has operands that are not modelled")
}

func foreignArchitectures(p *script.Process) (int, error) {
	data, err := p.Tree().ReadFile("/" + adminDir + "/arch")
	if err != nil {
		return 0, known(err)
	}
	db, err := of(p).open(p)
	if err != nil {
		return 0, err
	}
	for line := range strings.SplitSeq(strings.TrimSpace(string(data)), "\n") {
		if line != "" && line != db.native() {
			if err := p.Print(line + "\n"); err != nil {
				return 0, err
			}
		}
	}
	return 0, nil
}

// compareVersions is dpkg --compare-versions: an empty version is older than any, but for the operators ending in "-nl",
// for which it is newer.
func compareVersions(p *script.Process, a, op, b string) (int, error) {
	later := strings.HasSuffix(op, "-nl")
	op = strings.TrimSuffix(op, "-nl")
	if a == "<unknown>" {
		a = ""
	}
	if b == "<unknown>" {
		b = ""
	}
	c := 0
	switch {
	case a == "" && b == "":
	case a == "" || b == "":
		c = 1
		if (a == "") != later {
			c = -1
		}
	default:
		var err error
		if c, err = version.Deb.Compare(a, b); err != nil {
			return 0, p.Unknownf("compares versions of which one is malformed: %v", err)
		}
	}
	var yes bool
	switch op {
	case "lt", "<<":
		yes = c < 0
	case "le", "<=", "<":
		yes = c <= 0
	case "eq", "=":
		yes = c == 0
	case "ne":
		yes = c != 0
	case "ge", ">=", ">":
		yes = c >= 0
	case "gt", ">>":
		yes = c > 0
	default:
		return 0, p.Unknownf("compares versions with %.20q", op)
	}
	if yes {
		return 0, nil
	}
	return 1, nil
}

func validate(p *script.Process, action, text string) (int, error) {
	switch action {
	case "--validate-version":
		if _, err := version.Deb.Compare(text, text); err == nil {
			return 0, nil
		}
	case "--validate-pkgname", "--validate-archname", "--validate-trigname":
		if text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789+-.") == "" && len(text) > 1 {
			return 0, nil
		}
	}
	return 0, p.Unknownf("checks %.40q", text)
}

// dpkgQuery answers from the package database.
func dpkgQuery(p *script.Process) (int, error) {
	args := p.Args[1:]
	format := "${binary:Package}\t${Version}\n"
	action := ""
	var operands []string
	for i := 0; i < len(args); i++ {
		switch arg := args[i]; {
		case arg == "-W" || arg == "--show" || arg == "-S" || arg == "--search" || arg == "-L" || arg == "--listfiles" ||
			arg == "-s" || arg == "--status" || arg == "-l" || arg == "--list" || arg == "-c" || arg == "--control-path":
			action = arg
		case arg == "-f" && i+1 < len(args):
			i++
			format = args[i]
		case strings.HasPrefix(arg, "-f="):
			format = arg[3:]
		case strings.HasPrefix(arg, "-f"):
			format = arg[2:]
		case strings.HasPrefix(arg, "--showformat="):
			format = strings.TrimPrefix(arg, "--showformat=")
		case strings.HasPrefix(arg, "-Wf"):
			action, format = "-W", strings.TrimPrefix(arg[3:], "=")
		case arg == "--no-pager" || arg == "--":
		case strings.HasPrefix(arg, "-"):
			return 0, p.Unknownf("has the option %.40q, which is not modelled", arg)
		default:
			operands = append(operands, arg)
		}
	}
	if len(operands) == 0 {
		return 0, p.Unknownf("asks for all packages")
	}
	switch action {
	case "-W", "--show":
		return show(p, format, operands)
	case "-s", "--status":
		return showStatus(p, operands)
	case "-S", "--search":
		return search(p, operands)
	case "-L", "--listfiles":
		return listFiles(p, operands)
	case "-c", "--control-path":
		return controlPath(p, operands)
	case "-l", "--list":
		return eachPackage(p, operands, func(*record) error { return p.Unknownf("lists packages as a table") })
	}
	return 0, p.Unknownf("has operands that are not modelled")
}

// each calls f for the packages that the operands name.
func eachPackage(p *script.Process, specs []string, f func(*record) error) (int, error) {
	s := of(p)
	db, err := s.open(p)
	if err != nil {
		return 0, err
	}
	status := 0
	for _, spec := range specs {
		found, err := db.match(p, spec)
		if err != nil {
			return 0, err
		}
		if len(found) == 0 {
			status, err = p.Fail(1, "no packages found matching %s", spec)
			if err != nil {
				return 0, err
			}
		}
		for _, r := range found {
			if err := f(r); err != nil {
				return 0, err
			}
		}
	}
	return status, nil
}

func show(p *script.Process, format string, specs []string) (int, error) {
	return eachPackage(p, specs, func(r *record) error {
		var b strings.Builder
		for rest := format; rest != ""; {
			at := strings.Index(rest, "${")
			if at < 0 {
				at = len(rest)
			}
			text, ok := unescape(rest[:at])
			if !ok {
				return p.Unknownf("has the format %.60q", format)
			}
			b.WriteString(text)
			if rest = rest[at:]; rest == "" {
				break
			}
			name, after, closed := strings.Cut(rest[2:], "}")
			if strings.HasPrefix(name, "db:Status") || name == "Status" && r.name != of(p).Package {
				r = of(p).now(r)
			}
			value, ok := virtualField(r, name)
			if !closed || !ok {
				return p.Unknownf("has the format %.60q", format)
			}
			if !constant(name) && !strings.HasPrefix(name, "db:Status") {
				if err := of(p).stable(p, r, name); err != nil {
					return err
				}
			}
			b.WriteString(value)
			rest = after
		}
		return p.Print(b.String())
	})
}

// constant tells of the fields that an upgrade does not change.
func constant(field string) bool {
	return field == "Package" || field == "Architecture" || field == "binary:Package" || field == "Multi-Arch"
}

func virtualField(r *record, name string) (string, bool) {
	status := append(strings.Fields(r.get("Status")), "", "", "")
	abbreviations := map[string]string{
		"install": "i", "hold": "h", "deinstall": "r", "purge": "p", "unknown": "u",
		"not-installed": "n", "config-files": "c", "half-installed": "H", "unpacked": "U", "half-configured": "F",
		"triggers-awaited": "W", "triggers-pending": "t", "installed": "i",
	}
	switch name {
	case "binary:Package":
		return r.qualified(), true
	case "db:Status-Abbrev":
		return abbreviations[status[0]] + abbreviations[status[2]] + " ", true
	case "db:Status-Want":
		return status[0], true
	case "db:Status-Status":
		return status[2], true
	case "db:Status-Eflag":
		return status[1], true
	case "Conffiles":
		return r.get(name), true
	}
	if strings.ContainsAny(name, ":;") {
		return "", false
	}
	return r.get(name), true
}

func unescape(text string) (string, bool) {
	out := strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\\`, `\`).Replace(text)
	return out, !strings.Contains(strings.ReplaceAll(out, "\\\\", ""), `\`)
}

func showStatus(p *script.Process, specs []string) (int, error) {
	return eachPackage(p, specs, func(r *record) error {
		if err := of(p).stable(p, r, "status"); err != nil {
			return err
		}
		if of(p).Moving[r.name] == Unpacked {
			return p.Unknownf("prints all of the status of %s, which is being upgraded", r.name)
		}
		return p.Print(r.stanza + "\n")
	})
}

// listFiles answers for packages of the run, too: before any of them is configured the database has the old lists of all,
// then the new ones, and in both states dpkg may be when it runs the script.
func listFiles(p *script.Process, specs []string) (int, error) {
	return eachPackage(p, specs, func(r *record) error {
		list, err := r.list(p)
		if err != nil {
			return err
		}
		return p.Print(strings.Join(list, "\n") + "\n")
	})
}

func controlPath(p *script.Process, args []string) (int, error) {
	if len(args) != 2 {
		return 0, p.Unknownf("lists control files")
	}
	return eachPackage(p, args[:1], func(r *record) error {
		name := "/" + infoDir + "/" + r.qualified() + "." + args[1]
		if !p.Tree().Exists(name) {
			return nil
		}
		return p.Print(name + "\n")
	})
}

// search tells which packages ship a file.
func search(p *script.Process, patterns []string) (int, error) {
	db, err := of(p).open(p)
	if err != nil {
		return 0, err
	}
	status := 0
	for _, pattern := range patterns {
		if strings.ContainsAny(pattern, `*?[\`) || !strings.HasPrefix(pattern, "/") {
			return 0, p.Unknownf("searches with the pattern %.40q", pattern)
		}
		want := path.Clean(pattern)
		var owners []string
		for _, r := range db.all {
			if !r.installed() {
				continue
			}
			list, err := r.list(p)
			if err != nil {
				return 0, err
			}
			if slices.Contains(list, want) {
				owners = append(owners, r.qualified())
			}
		}
		if len(owners) == 0 {
			status = 1
			if _, err := p.Fail(1, "no path found matching pattern %s", pattern); err != nil {
				return 0, err
			}
			continue
		}
		if err := p.Printf("%s: %s\n", strings.Join(owners, ", "), want); err != nil {
			return 0, err
		}
	}
	return status, nil
}

// dpkgTrigger notes a trigger.
func dpkgTrigger(p *script.Process) (int, error) {
	opts, args, err := p.Options("no-await await check-supported by-package:")
	if err != nil {
		return 0, err
	}
	if script.Has(opts, "check-supported") {
		return 0, nil
	}
	if script.Has(opts, "by-package") || len(args) != 1 {
		return 0, p.Unknownf("has operands that are not modelled")
	}
	s := of(p)
	s.triggers = append(s.triggers, Trigger{Name: args[0], NoAwait: script.Has(opts, "no-await")})
	return 0, nil
}
