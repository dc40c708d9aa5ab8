package debscript

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
)

const (
	diversionsFile   = "/" + adminDir + "/diversions"
	statOverrideFile = "/" + adminDir + "/statoverride"
)

// diversion is three lines of the diversions file: the contested name, the name to use instead, and the package, ":" if it is
// the administrator's.
type diversion struct{ from, to, owner string }

func readDiversions(p *script.Process) ([]diversion, error) {
	data, err := p.Tree().ReadFile(diversionsFile)
	if err != nil {
		return nil, known(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	if len(data) == 0 {
		return nil, nil
	}
	if len(lines)%3 != 0 {
		return nil, p.Unknownf("reads diversions that are malformed")
	}
	var all []diversion
	for i := 0; i < len(lines); i += 3 {
		all = append(all, diversion{lines[i], lines[i+1], lines[i+2]})
	}
	return all, nil
}

func writeDiversions(p *script.Process, all []diversion) error {
	var b strings.Builder
	for _, d := range all {
		b.WriteString(d.from + "\n" + d.to + "\n" + d.owner + "\n")
	}
	return replaceFile(p, diversionsFile, b.String())
}

// replaceFile puts a new file in place of another, as dpkg writes its databases.
func replaceFile(p *script.Process, name, text string) error {
	if lexists(p, name) {
		if err := p.Tree().Remove(name, false); err != nil {
			return err
		}
	}
	return p.Tree().WriteFile(name, []byte(text), 0o644)
}

// dpkgDivert lists, adds and removes diversions.
func dpkgDivert(p *script.Process) (int, error) {
	opts, args, err := p.Options("add remove list listpackage truename quiet rename no-rename local package: divert: admindir: test")
	if err != nil {
		return 0, err
	}
	has := func(name string) bool { return script.Has(opts, name) }
	if has("admindir") || has("test") || len(args) == 0 && !has("list") {
		return 0, p.Unknownf("has operands that are not modelled")
	}
	all, err := readDiversions(p)
	if err != nil {
		return 0, err
	}
	switch {
	case has("list"):
		return listDiversions(p, all, args)
	case has("listpackage"):
		d := findDiversion(all, args[0])
		switch {
		case d == nil:
			return 0, nil
		case d.owner == ":":
			return 0, p.Print("LOCAL\n")
		}
		return 0, p.Print(d.owner + "\n")
	case has("truename"):
		if d := findDiversion(all, args[0]); d != nil {
			return 0, p.Print(d.to + "\n")
		}
		return 0, p.Print(args[0] + "\n")
	}
	return changeDiversion(p, opts, args[0], all)
}

func findDiversion(all []diversion, name string) *diversion {
	for i := range all {
		if all[i].from == name {
			return &all[i]
		}
	}
	return nil
}

// changeDiversion adds or removes one.
func changeDiversion(p *script.Process, opts []script.Option, from string, all []diversion) (int, error) {
	owner := p.Getenv("DPKG_MAINTSCRIPT_PACKAGE")
	to := from + ".distrib"
	for _, o := range opts {
		switch o.Name {
		case "package":
			owner = o.Value
		case "divert":
			to = o.Value
		case "local":
			owner = ":"
		}
	}
	d := findDiversion(all, from)
	rename := script.Has(opts, "rename")
	if script.Has(opts, "remove") {
		switch {
		case d == nil:
			return 0, p.Print("No diversion 'any diversion of " + from + "', none removed.\n")
		case d.owner != owner:
			return p.Fail(2, "mismatch on package")
		}
		return removeDiversion(p, all, *d, rename)
	} else if d != nil {
		if d.to == to && d.owner == owner {
			return 0, nil
		}
		return p.Fail(2, "clashes with another diversion")
	}
	if !path.IsAbs(from) || !path.IsAbs(to) || path.Clean(from) != from {
		return 0, p.Unknownf("diverts %.40q", from)
	}
	return addDiversion(p, all, diversion{from, to, owner}, rename)
}

func listDiversions(p *script.Process, all []diversion, patterns []string) (int, error) {
	if len(patterns) == 0 {
		patterns = []string{"*"}
	}
	for _, d := range all {
		for _, pattern := range patterns {
			match := pattern == "*" || pattern == d.from || pattern == d.to || pattern == d.owner
			if !match && strings.ContainsAny(pattern, "*?[") {
				return 0, p.Unknownf("has the pattern %.40q", pattern)
			}
			if !match {
				continue
			}
			text := "diversion of " + d.from + " to " + d.to + " by " + d.owner
			if d.owner == ":" {
				text = "local diversion of " + d.from + " to " + d.to
			}
			if err := p.Print(text + "\n"); err != nil {
				return 0, err
			}
			break
		}
	}
	return 0, nil
}

func addDiversion(p *script.Process, all []diversion, d diversion, rename bool) (int, error) {
	if rename {
		if shipped, err := ownedByOthers(p, d); err != nil || shipped {
			if err == nil {
				err = p.Unknownf("diverts a file of a package")
			}
			return 0, err
		}
		if lexists(p, d.from) && !lexists(p, d.to) {
			if err := p.Tree().Rename(d.from, d.to); err != nil {
				return 0, err
			}
		}
	}
	return 0, writeDiversions(p, append(all, d))
}

// ownedByOthers tells whether the package that diverts a name ships it itself, which changes what renaming means.
func ownedByOthers(p *script.Process, d diversion) (bool, error) {
	db, err := of(p).open(p)
	if err != nil {
		return false, err
	}
	for _, r := range db.all {
		if r.name != d.owner {
			continue
		}
		list, err := r.list(p)
		if err != nil {
			return false, err
		}
		for _, f := range list {
			if f == d.from {
				return true, nil
			}
		}
	}
	return false, nil
}

func removeDiversion(p *script.Process, all []diversion, d diversion, rename bool) (int, error) {
	if rename && lexists(p, d.to) {
		if lexists(p, d.from) {
			return 0, p.Unknownf("takes a diversion away where both files exist")
		}
		if err := p.Tree().Rename(d.to, d.from); err != nil {
			return 0, err
		}
	}
	var rest []diversion
	for _, other := range all {
		if other != d {
			rest = append(rest, other)
		}
	}
	return 0, writeDiversions(p, rest)
}

// statOverride lists and adds overrides of owners and modes.
func statOverride(p *script.Process) (int, error) {
	opts, args, err := p.Options("list add remove update quiet force force-all force-statoverride-add force-statoverride-remove")
	if err != nil {
		return 0, err
	}
	data, err := p.Tree().ReadFile(statOverrideFile)
	if err := known(err); err != nil {
		return 0, err
	}
	var lines []string
	if len(data) > 0 {
		lines = strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	}
	find := func(name string) int {
		for i, line := range lines {
			if words := strings.SplitN(line, " ", 4); len(words) == 4 && words[3] == name {
				return i
			}
		}
		return -1
	}
	switch {
	case script.Has(opts, "list") && len(args) > 0 && !strings.ContainsAny(strings.Join(args, ""), "*?["):
		status := 1
		for _, line := range lines {
			if words := strings.SplitN(line, " ", 4); len(words) == 4 && slices.Contains(args, words[3]) {
				status = 0
				if err := p.Print(line + "\n"); err != nil {
					return 0, err
				}
			}
		}
		return status, nil
	case script.Has(opts, "remove") && len(args) == 1:
		i := find(args[0])
		if i < 0 {
			if script.Has(opts, "quiet", "force", "force-all", "force-statoverride-remove") {
				return 0, nil
			}
			return p.Fail(2, "no override present")
		}
		return 0, replaceFile(p, statOverrideFile, strings.Join(append(lines[:i:i], lines[i+1:]...), "\n")+"\n")
	case script.Has(opts, "add") && len(args) == 4:
		return addOverride(p, args, lines, find(args[3]), script.Has(opts, "update"))
	}
	return 0, p.Unknownf("has operands that are not modelled")
}

func addOverride(p *script.Process, args, lines []string, at int, update bool) (int, error) {
	if at >= 0 {
		return 0, p.Unknownf("overrides %s a second time", args[3])
	}
	uid, okUser := named(p, "/etc/passwd", args[0])
	gid, okGroup := named(p, "/etc/group", args[1])
	mode, err := strconv.ParseInt(args[2], 8, 64)
	if !okUser || !okGroup || err != nil {
		return 0, p.Unknownf("names a user or group that does not exist")
	}
	if update && p.Tree().Exists(args[3]) {
		if err := p.Tree().Chown(args[3], uid, gid, true); err != nil {
			return 0, err
		}
		if err := p.Tree().Chmod(args[3], mode); err != nil {
			return 0, err
		}
	}
	return 0, replaceFile(p, statOverrideFile, strings.Join(append(lines, strings.Join(append(args[:2:2], octal(mode), args[3]), " ")), "\n")+"\n")
}

func lexists(p *script.Process, name string) bool {
	_, _, err := p.Tree().Lstat(name)
	return err == nil
}
