package posix

import (
	"archive/tar"
	"strconv"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
)

// parseMode reads a mode, octal or symbolic, as chmod(1) applies it to old.
func parseMode(p *script.Process, text string, old int64, dir bool) (int64, error) {
	if n, err := strconv.ParseInt(text, 8, 64); err == nil && n >= 0 && n <= 0o7777 {
		if dir && len(text) < 5 {
			n |= old & 0o6000 // GNU keeps the set-ID bits of a directory unless five digits say otherwise
		}
		return n, nil
	}
	mode := old
	for _, clause := range strings.Split(text, ",") {
		i := strings.IndexAny(clause, "+-=")
		if i < 0 {
			return 0, p.Unknownf("has the mode %.20q", text)
		}
		who, rest := int64(0), clause[i:]
		for _, c := range clause[:i] {
			switch c {
			case 'u':
				who |= 0o4700
			case 'g':
				who |= 0o2070
			case 'o':
				who |= 0o1007
			case 'a':
				who |= 0o7777
			default:
				return 0, p.Unknownf("has the mode %.20q", text)
			}
		}
		if who == 0 {
			who = 0o7777 &^ p.Umask()
		}
		var err error
		if mode, err = applyMode(p, mode, who, rest, dir); err != nil {
			return 0, err
		}
	}
	return mode, nil
}

// applyMode applies the operators of one clause: "+rw", "=rX-w".
func applyMode(p *script.Process, mode, who int64, rest string, dir bool) (int64, error) {
	for rest != "" {
		op := rest[0]
		end := strings.IndexAny(rest[1:], "+-=") + 1
		if end == 0 {
			end = len(rest)
		}
		bits := int64(0)
		for _, c := range rest[1:end] {
			switch c {
			case 'r':
				bits |= 0o444
			case 'w':
				bits |= 0o222
			case 'x':
				bits |= 0o111
			case 'X':
				if dir || mode&0o111 != 0 {
					bits |= 0o111
				}
			case 's':
				bits |= 0o6000
			case 't':
				bits |= 0o1000
			case 'u':
				bits |= mode >> 6 & 7 * 0o111
			case 'g':
				bits |= mode >> 3 & 7 * 0o111
			case 'o':
				bits |= mode & 7 * 0o111
			default:
				return 0, p.Unknownf("has the mode %.20q", rest)
			}
		}
		switch bits &= who; op {
		case '+':
			mode |= bits
		case '-':
			mode &^= bits
		case '=':
			keep := int64(0)
			if dir {
				keep = 0o6000
			}
			mode = mode&^(who&^keep) | bits
		}
		rest = rest[end:]
	}
	return mode, nil
}

func chmod(p *script.Process) (int, error) {
	args := p.Args
	// A mode like "-x" looks like an option.
	if len(args) > 1 && len(args[1]) > 1 && args[1][0] == '-' && strings.Trim(args[1][1:], "rwxXst") == "" {
		return 0, p.Unknownf("has the mode %.20q", args[1])
	}
	opts, operands, err := p.Options("R f c v recursive silent quiet changes verbose reference:")
	if err != nil {
		return 0, err
	}
	if script.Has(opts, "c", "v", "changes", "verbose") || len(operands) < 2 && !script.Has(opts, "reference") {
		return 0, p.Unknownf("has operands that are not modelled")
	}
	mode := ""
	if ref := value(opts, "reference"); ref != "" {
		_, e, err := p.Tree().Stat(p.Abs(ref))
		if err != nil {
			return p.FailFile(1, ref, err)
		}
		mode = "0" + strconv.FormatInt(e.Mode|0o10000, 8)[1:]
	} else {
		mode, operands = operands[0], operands[1:]
	}
	return each(p, operands, script.Has(opts, "R", "recursive"), func(name string, top bool) error {
		_, l, err := p.Tree().Lstat(name)
		if err != nil {
			return err
		}
		if l.Type == tar.TypeSymlink && !top {
			return nil
		}
		_, e, err := p.Tree().Stat(name)
		if err != nil {
			return err
		}
		next, err := parseMode(p, mode, e.Mode, e.IsDir())
		if err != nil {
			return err
		}
		return p.Tree().Chmod(name, next)
	})
}

// each calls f for the operands, and for what is below them if recursive is set.
func each(p *script.Process, operands []string, recursive bool, f func(name string, top bool) error) (int, error) {
	status := 0
	var visit func(name string, top bool) error
	visit = func(name string, top bool) error {
		if err := p.Step(); err != nil {
			return err
		}
		if err := f(name, top); err != nil || !recursive {
			return err
		}
		if _, e, err := p.Tree().Lstat(name); err != nil || !e.IsDir() {
			return err
		}
		names, err := p.Tree().ReadDir(name)
		if err != nil {
			return err
		}
		for _, child := range names {
			if err := visit(name+"/"+child, false); err != nil {
				return err
			}
		}
		return nil
	}
	for _, arg := range operands {
		if err := visit(p.Abs(arg), true); err != nil {
			if status, err = p.FailFile(1, "cannot access "+arg, err); err != nil {
				return 0, err
			}
		}
	}
	return status, nil
}

func chown(p *script.Process) (int, error) { return own(p, false) }
func chgrp(p *script.Process) (int, error) { return own(p, true) }

func own(p *script.Process, group bool) (int, error) {
	opts, args, err := p.Options("R h f c v P L H recursive no-dereference silent quiet changes verbose from: reference:")
	if err != nil {
		return 0, err
	}
	if script.Has(opts, "c", "v", "L", "H", "changes", "verbose", "from") {
		return 0, p.Unknownf("has options that are not modelled")
	}
	uid, gid := -1, -1
	if ref := value(opts, "reference"); ref != "" {
		_, e, err := p.Tree().Stat(p.Abs(ref))
		if err != nil {
			return p.FailFile(1, ref, err)
		}
		uid, gid = e.UID, e.GID
		if group {
			uid = -1
		}
	} else {
		if len(args) < 2 {
			return p.Fail(1, "missing operand")
		}
		user, grp := args[0], args[0]
		if group {
			user = ""
		} else if i := strings.IndexByte(user, ':'); i >= 0 {
			user, grp = user[:i], user[i+1:]
			if grp == "" {
				return 0, p.Unknownf("has the owner %.40q", args[0])
			}
		} else if user, grp, err = dotted(p, user); err != nil {
			return 0, err
		}
		args = args[1:]
		if uid, gid, err = owners(p, user, grp); err != nil {
			return 0, err
		}
	}
	recursive, nofollow := script.Has(opts, "R", "recursive"), script.Has(opts, "h", "no-dereference")
	return each(p, args, recursive, func(name string, _ bool) error {
		if _, e, err := p.Tree().Lstat(name); recursive && err == nil && e.Type == tar.TypeSymlink && !nofollow {
			return p.Unknownf("changes the owner of what the link %s leads to", name)
		}
		stat := p.Tree().Stat
		if nofollow {
			stat = p.Tree().Lstat
		}
		_, e, err := stat(name)
		if err != nil {
			return err
		}
		if (uid < 0 || e.UID == uid) && (gid < 0 || e.GID == gid) && e.Mode&0o6000 == 0 {
			return nil
		}
		return p.Tree().Chown(name, uid, gid, !nofollow)
	})
}

// dotted splits "user.group" where no user of that name exists.
func dotted(p *script.Process, user string) (string, string, error) {
	i := strings.IndexByte(user, '.')
	if i < 0 {
		return user, "", nil
	}
	if _, ok, err := lookupID(p, "/etc/passwd", user); ok || err != nil {
		return user, "", err
	}
	return user[:i], user[i+1:], nil
}

// owners resolves names by the tree's own passwd and group; -1 stands for no name.
func owners(p *script.Process, user, group string) (uid, gid int, err error) {
	uid, gid = -1, -1
	for _, w := range []struct {
		file, name string
		id         *int
	}{{"/etc/passwd", user, &uid}, {"/etc/group", group, &gid}} {
		if w.name == "" {
			continue
		}
		n, ok, err := lookupID(p, w.file, w.name)
		if err != nil {
			return 0, 0, err
		}
		if !ok {
			if n, err = strconv.Atoi(w.name); err != nil || n < 0 {
				return 0, 0, p.Unknownf("names %.40q, which %s does not", w.name, w.file)
			}
		}
		*w.id = n
	}
	return uid, gid, nil
}

// lookupID finds the number of a name in passwd or group.
func lookupID(p *script.Process, file, name string) (int, bool, error) {
	line, ok, err := entry(p, file, name, false)
	if err != nil || !ok {
		return 0, false, err
	}
	fields := strings.Split(line, ":")
	n, err := strconv.Atoi(fields[2])
	return n, err == nil, nil
}

// entry finds the line of passwd or group with a name, or with a number if byID is set.
func entry(p *script.Process, file, name string, byID bool) (string, bool, error) {
	data, err := p.Tree().ReadFile(file)
	if err != nil {
		return "", false, passed(err)
	}
	for line := range strings.SplitSeq(string(data), "\n") {
		fields := strings.Split(line, ":")
		if len(fields) < 3 {
			continue
		}
		if !byID && fields[0] == name || byID && fields[2] == name {
			return line, true, nil
		}
	}
	return "", false, nil
}
