package debscript

import (
	"regexp"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
)

// kernel is the release that uname tells. Packages ask whether it is new enough for them; an image runs on any, so that the
// one of the machine that rewrites it means nothing.
const kernel = "6.1.0"

func uname(p *script.Process) (int, error) {
	if len(p.Args) != 2 {
		return 0, p.Unknownf("asks for the machine")
	}
	switch p.Args[1] {
	case "-s":
		return 0, p.Print("Linux\n")
	case "-r":
		return 0, p.Print(kernel + "\n")
	case "-m":
		db, err := of(p).open(p)
		if err != nil {
			return 0, err
		}
		machine, ok := map[string]string{
			"amd64": "x86_64", "arm64": "aarch64", "i386": "i686", "armhf": "armv7l", "ppc64el": "ppc64le", "s390x": "s390x",
			"riscv64": "riscv64",
		}[db.native()]
		if ok {
			return 0, p.Print(machine + "\n")
		}
	}
	return 0, p.Unknownf("asks for the machine")
}

// nothingFound is a program that asks for processes or services, of which there are none.
func nothingFound(*script.Process) (int, error) { return 1, nil }

// mountpoint tells of the file systems that every container has.
func mountpoint(p *script.Process) (int, error) {
	if len(p.Args) == 3 && p.Args[1] == "-q" {
		switch strings.TrimRight(p.Args[2], "/") {
		case "/proc", "/sys", "/dev":
			return 0, nil
		}
	}
	return 0, p.Unknownf("asks for a mount")
}

// perl knows only the empty program, by which scripts ask whether perl works, and the one that ucf has.
func perl(p *script.Process) (int, error) {
	if len(p.Args) == 3 && p.Args[1] == "-e" && strings.TrimSpace(p.Args[2]) == "" {
		return 0, nil
	}
	if len(p.Args) == 3 && p.Args[1] == "-nle" && p.Args[2] == `print "\Q$_\E\n"` {
		return quoteMeta(p)
	}
	if len(p.Args) > 2 && p.Args[1] == "-lne" {
		if m := settingQuery.FindStringSubmatch(strings.Join(strings.Fields(p.Args[2]), " ")); m != nil {
			return settings(p, regexp.MustCompile("(?i)^[[:space:]]*"+m[1]+m[2]), p.Args[3:])
		}
	}
	return 0, p.Unknownf("runs a perl program")
}

// settingQuery is how the scripts of openssh-server read a setting of sshd_config, its lines joined.
var settingQuery = regexp.MustCompile(`^s/\[\[:space:\]\]\+/ /g; s/\[\[:space:\]\]\+\$//; ` +
	`print if s/\^\[\[:space:\]\]\*(\w+)(\[\[:space:\]=?\]\+)//i$`)

// settings prints what stands behind a setting's name in the lines of files, with single blanks.
func settings(p *script.Process, name *regexp.Regexp, files []string) (int, error) {
	return 0, p.ReadFiles(files, func(file string, data []byte, err error) error {
		if err != nil {
			return p.Unknownf("reads %s: %v", file, err)
		}
		for line := range strings.Lines(string(data)) {
			line = strings.TrimRight(blanks.ReplaceAllString(line, " "), " ")
			if at := name.FindStringIndex(line); at != nil {
				if err := p.Print(line[at[1]:] + "\n"); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

var blanks = regexp.MustCompile("[[:space:]]+")

// quoteMeta puts a backslash before every character of the input's lines that is no letter, digit or underscore.
func quoteMeta(p *script.Process) (int, error) {
	data, err := p.ReadAll()
	if err != nil {
		return 0, err
	}
	var b strings.Builder
	for line := range strings.Lines(string(data)) {
		for i := range len(strings.TrimSuffix(line, "\n")) {
			c := line[i]
			if c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
				b.WriteByte('\\')
			}
			b.WriteByte(c)
		}
		b.WriteString("\n\n")
	}
	return 0, p.Print(b.String())
}

// python knows only the compiler of modules, whose work is to be done like that of py3compile.
func python(p *script.Process) (int, error) {
	for _, arg := range p.Args[1:] {
		if strings.HasPrefix(arg, "-") && len(arg) == 2 && strings.Contains("ESOB", arg[1:]) {
			continue
		}
		if strings.HasSuffix(arg, "/py_compile.py") && strings.HasPrefix(arg, "/usr/lib/python3") {
			of(p).requests["py3compile"] = true
			return 0, nil
		}
		break
	}
	return 0, p.Unknownf("runs a python program")
}

// lsClusters is pg_lsclusters -h where there are no clusters of PostgreSQL.
func lsClusters(p *script.Process) (int, error) {
	versions, err := p.Tree().ReadDir("/etc/postgresql")
	if err := known(err); err != nil {
		return 0, err
	}
	for _, v := range versions {
		if clusters, err := p.Tree().ReadDir("/etc/postgresql/" + v); known(err) != nil || len(clusters) > 0 {
			return 0, p.Unknownf("lists the clusters of PostgreSQL")
		}
	}
	return 0, nil
}

// apacheQuery is "a2query -m MODULE", for a module that is enabled.
func apacheQuery(p *script.Process) (int, error) {
	if len(p.Args) != 3 || p.Args[1] != "-m" || p.Captured() || strings.Contains(p.Args[2], "/") {
		return 0, p.Unknownf("is not modelled")
	}
	if !p.Tree().Exists("/etc/apache2/mods-enabled/" + strings.TrimSuffix(p.Args[2], ".load") + ".load") {
		return 0, p.Unknownf("asks about a module that is not enabled")
	}
	return 0, nil
}

// runParts lists the programs of a directory (run-parts(8) with --test), or runs them where there are none.
func runParts(p *script.Process) (int, error) {
	test := false
	var dirs []string
	for _, arg := range p.Args[1:] {
		switch {
		case arg == "--test":
			test = true
		case arg == "--" || arg == "--verbose" || arg == "-v":
		case strings.HasPrefix(arg, "-"):
			return 0, p.Unknownf("has the option %.20q, which is not modelled", arg)
		default:
			dirs = append(dirs, arg)
		}
	}
	if len(dirs) != 1 {
		return 0, p.Unknownf("has %d operands", len(dirs))
	}
	names, err := p.Tree().ReadDir(p.Abs(dirs[0]))
	if err != nil {
		return p.FailFile(1, dirs[0], err)
	}
	for _, name := range names {
		_, e, err := p.Tree().Stat(p.Abs(dirs[0] + "/" + name))
		if err := known(err); err != nil {
			return 0, err
		}
		if err != nil || !e.IsRegular() || e.Mode&0o111 == 0 || !partName.MatchString(name) {
			continue
		}
		if !test {
			return 0, p.Unknownf("runs %s/%s", dirs[0], name)
		}
		if err := p.Print(dirs[0] + "/" + name + "\n"); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

var partName = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)

// getcap prints nothing for a file without capabilities.
func getcap(p *script.Process) (int, error) {
	for _, name := range p.Args[1:] {
		if strings.HasPrefix(name, "-") {
			return 0, p.Unknownf("has the option %.20q, which is not modelled", name)
		}
		_, e, err := p.Tree().Stat(p.Abs(name))
		if err := known(err); err != nil {
			return 0, err
		}
		if err == nil && e.PAX["SCHILY.xattr.security.capability"] != "" {
			return 0, p.Unknownf("reads the capabilities of %s", name)
		}
	}
	return 0, nil
}

// setpriv runs a command as another user.
func setpriv(p *script.Process) (int, error) {
	for i, arg := range p.Args {
		if arg == "--" && i+2 < len(p.Args) && strings.HasSuffix(p.Args[i+1], "/mandb") {
			return p.Run(p.Args[i+1:])
		}
	}
	return 0, p.Unknownf("runs a command as another user")
}

// dbusUUID makes the machine's identity, which an image is to have none of.
func dbusUUID(p *script.Process) (int, error) {
	if len(p.Args) == 2 && strings.HasPrefix(p.Args[1], "--ensure") {
		return 0, nil
	}
	return 0, p.Unknownf("has operands that are not modelled")
}

// updatePasswd is update-passwd(8) where passwd and group are as the masters want them: every account of these is there with
// the same numbers, home and shell, and none below 100 is there that they do not have.
func updatePasswd(p *script.Process) (int, error) {
	if len(p.Args) != 2 || p.Args[1] != "--dry-run" {
		return 0, p.Unknownf("changes accounts")
	}
	for _, name := range []string{"passwd", "group"} {
		master, err := p.Tree().ReadFile("/usr/share/base-passwd/" + name + ".master")
		if err != nil {
			return 0, p.Unknownf("reads the master of %s: %v", name, err)
		}
		actual, err := p.Tree().ReadFile("/etc/" + name)
		if err != nil {
			return 0, p.Unknownf("reads %s: %v", name, err)
		}
		want, have := accounts(master), accounts(actual)
		for account, fields := range want {
			if !sameAccount(fields, have[account], name == "passwd") {
				return 0, p.Unknownf("may change the account %s", account)
			}
		}
		for account, fields := range have {
			if _, ok := want[account]; !ok && len(fields) > 2 && len(fields[2]) < 3 {
				return 0, p.Unknownf("may remove the account %s", account)
			}
		}
	}
	return 0, nil
}

func accounts(data []byte) map[string][]string {
	all := make(map[string][]string)
	for line := range strings.SplitSeq(string(data), "\n") {
		if fields := strings.Split(line, ":"); len(fields) > 3 {
			all[fields[0]] = fields
		}
	}
	return all
}

// sameAccount compares the fields that update-passwd keeps: the numbers, and of a user the home and shell too.
func sameAccount(want, have []string, user bool) bool {
	if len(want) != len(have) || want[2] != have[2] {
		return false
	}
	if !user {
		return true
	}
	for i := 3; i < len(want); i++ {
		if want[i] != have[i] && !(want[0] == "root" && i > 4) {
			return false
		}
	}
	return true
}

var ownTest = regexp.MustCompile(`^\s*test -O (/\S+)\s*&&\s*test -G (/\S+)\s*$`)

// su knows one command, by which a script asks whether a user and its group own a directory.
func su(p *script.Process) (int, error) {
	if len(p.Args) == 6 && p.Args[1] == "-s" && p.Args[4] == "-c" {
		if m := ownTest.FindStringSubmatch(p.Args[5]); m != nil && m[1] == m[2] {
			_, e, err := p.Tree().Stat(m[1])
			if err := known(err); err != nil {
				return 0, err
			}
			uid, okUser := named(p, "/etc/passwd", p.Args[3])
			gid, okGroup := named(p, "/etc/group", p.Args[3])
			if okUser && okGroup && err == nil && e.UID == uid && e.GID == gid {
				return 0, nil
			}
			if okUser && okGroup {
				return 1, nil
			}
		}
	}
	return 0, p.Unknownf("runs a command as another user")
}
