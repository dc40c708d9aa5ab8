package posix

import (
	"archive/tar"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
)

func rm(p *script.Process) (int, error) {
	opts, args, err := p.Options("f r R d v force recursive dir verbose")
	if err != nil {
		return 0, err
	}
	force, recursive, dirs := script.Has(opts, "f", "force"), script.Has(opts, "r", "R", "recursive"), script.Has(opts, "d", "dir")
	if script.Has(opts, "v", "verbose") {
		return 0, p.Unknownf("prints what it removes")
	}
	if len(args) == 0 && !force {
		return p.Fail(1, "missing operand")
	}
	status := 0
	for _, arg := range args {
		_, e, err := p.Tree().Lstat(p.Abs(arg))
		switch {
		case err != nil && passed(err) != nil:
			return 0, err
		case errors.Is(err, fs.ErrNotExist) && force:
			continue
		case err == nil && e.IsDir() && recursive:
			if name := lastName(arg); name == "." || name == ".." || name == "/" {
				status, err = p.Fail(1, "refusing to remove %s", arg)
				if err != nil {
					return 0, err
				}
				continue
			}
			err = removeAll(p, p.Abs(strings.TrimRight(arg, "/")))
		case err == nil:
			err = p.Tree().Remove(p.Abs(arg), dirs && e.IsDir())
		}
		if err != nil {
			if status, err = p.FailFile(1, "cannot remove "+arg, err); err != nil {
				return 0, err
			}
		}
	}
	return status, nil
}

// removeAll removes a file or a directory with all that is in it.
func removeAll(p *script.Process, name string) error {
	if err := p.Step(); err != nil {
		return err
	}
	_, e, err := p.Tree().Lstat(name)
	if err != nil {
		return err
	}
	if e.IsDir() {
		names, err := p.Tree().ReadDir(name)
		if err != nil {
			return err
		}
		for _, child := range names {
			if err := removeAll(p, name+"/"+child); err != nil {
				return err
			}
		}
	}
	return p.Tree().Remove(name, e.IsDir())
}

func rmdir(p *script.Process) (int, error) {
	opts, args, err := p.Options("p parents ignore-fail-on-non-empty")
	if err != nil {
		return 0, err
	}
	ignore, parents := script.Has(opts, "ignore-fail-on-non-empty"), script.Has(opts, "p", "parents")
	status := 0
	for _, arg := range args {
		for arg = strings.TrimRight(arg, "/"); ; arg = dirOf(arg) {
			err := p.Tree().Remove(p.Abs(arg), true)
			if err != nil && passed(err) == nil && ignore {
				if names, e := p.Tree().ReadDir(p.Abs(arg)); e == nil && len(names) > 0 {
					break
				}
			}
			if err != nil {
				if status, err = p.FailFile(1, arg, err); err != nil {
					return 0, err
				}
				break
			}
			if up := dirOf(arg); !parents || up == "." || up == "/" {
				break
			}
		}
	}
	return status, nil
}

func mkdir(p *script.Process) (int, error) {
	opts, args, err := p.Options("p parents m: mode: v verbose Z")
	if err != nil {
		return 0, err
	}
	if len(args) == 0 {
		return p.Fail(1, "missing operand")
	}
	parents := script.Has(opts, "p", "parents")
	mode := 0o777 &^ p.Umask()
	for _, o := range opts {
		switch o.Name {
		case "m", "mode":
			if mode, err = parseMode(p, o.Value, 0o777, true); err != nil {
				return 0, err
			}
		case "v", "verbose":
			return 0, p.Unknownf("has the option -%s, which is not modelled", o.Name)
		}
	}
	status := 0
	for _, arg := range args {
		if parents {
			err = mkdirAll(p, arg, mode)
		} else {
			err = p.Tree().Mkdir(p.Abs(arg), mode)
		}
		if err != nil {
			if status, err = p.FailFile(1, "cannot create directory "+arg, err); err != nil {
				return 0, err
			}
		}
	}
	return status, nil
}

// mkdirAll makes a directory and those above it; the last one gets the mode if it is new.
func mkdirAll(p *script.Process, name string, mode int64) error {
	trimmed := strings.TrimRight(name, "/")
	if trimmed == "" {
		return nil
	}
	_, e, err := p.Tree().Stat(p.Abs(trimmed))
	if err == nil && e.IsDir() || passed(err) != nil {
		return passed(err)
	}
	if up := dirOf(trimmed); up != trimmed {
		if err := mkdirAll(p, up, 0o777&^p.Umask()); err != nil {
			return err
		}
	}
	return p.Tree().Mkdir(p.Abs(trimmed), mode)
}

// targets pairs the sources of mv, cp and ln with where they go.
func targets(p *script.Process, args []string, into string, noDir bool) ([][2]string, error) {
	if into == "" && len(args) >= 2 {
		last := args[len(args)-1]
		_, e, err := p.Tree().Stat(p.Abs(last))
		if passed(err) != nil {
			return nil, err
		}
		switch {
		case err == nil && e.IsDir() && !noDir:
			into, args = last, args[:len(args)-1]
		case len(args) == 2:
			return [][2]string{{args[0], last}}, nil
		}
	}
	if into == "" {
		return nil, p.Unknownf("has operands that are not modelled")
	}
	var pairs [][2]string
	for _, a := range args {
		pairs = append(pairs, [2]string{a, strings.TrimRight(into, "/") + "/" + lastName(a)})
	}
	return pairs, nil
}

func mv(p *script.Process) (int, error) {
	opts, args, err := p.Options("f n T t: u v i Z force no-clobber no-target-directory target-directory:")
	if err != nil {
		return 0, err
	}
	if script.Has(opts, "u", "v", "i") { // -Z sets a security context, of which an image has none
		return 0, p.Unknownf("has options that are not modelled")
	}
	pairs, err := targets(p, args, value(opts, "t", "target-directory"), script.Has(opts, "T", "no-target-directory"))
	if err != nil {
		return 0, err
	}
	status := 0
	for _, pair := range pairs {
		if script.Has(opts, "n", "no-clobber") {
			if _, _, err := p.Tree().Lstat(p.Abs(pair[1])); err == nil {
				continue
			}
		}
		if err := p.Tree().Rename(p.Abs(pair[0]), p.Abs(pair[1])); err != nil {
			if status, err = p.FailFile(1, fmt.Sprintf("cannot move %s to %s", pair[0], pair[1]), err); err != nil {
				return 0, err
			}
		}
	}
	return status, nil
}

func value(opts []script.Option, names ...string) string {
	v := ""
	for _, o := range opts {
		for _, name := range names {
			if o.Name == name {
				v = o.Value
			}
		}
	}
	return v
}

func cp(p *script.Process) (int, error) {
	opts, args, err := p.Options("a p f d P L H r R T n u v Z archive force no-dereference recursive no-target-directory no-clobber preserve= t: target-directory:")
	if err != nil {
		return 0, err
	}
	if script.Has(opts, "u", "v", "H", "n", "no-clobber") {
		return 0, p.Unknownf("has options that are not modelled")
	}
	if v := value(opts, "preserve"); v != "" && v != "all" && v != "mode,ownership,timestamps" {
		return 0, p.Unknownf("preserves %s", v)
	}
	pairs, err := targets(p, args, value(opts, "t", "target-directory"), script.Has(opts, "T", "no-target-directory"))
	if err != nil {
		return 0, err
	}
	c := copier{
		p: p, preserve: script.Has(opts, "a", "p", "archive", "preserve"), recursive: script.Has(opts, "a", "r", "R", "archive", "recursive"),
		follow: !script.Has(opts, "a", "d", "P", "archive", "no-dereference"), force: script.Has(opts, "f", "force"),
	}
	if c.recursive && !script.Has(opts, "L") {
		c.follow = false
	}
	status := 0
	for _, pair := range pairs {
		if err := c.copy(p.Abs(pair[0]), p.Abs(pair[1])); err != nil {
			if status, err = p.FailFile(1, fmt.Sprintf("cannot copy %s to %s", pair[0], pair[1]), err); err != nil {
				return 0, err
			}
		}
	}
	return status, nil
}

type copier struct {
	p                                  *script.Process
	preserve, recursive, follow, force bool
}

func (c copier) copy(src, dst string) error {
	if err := c.p.Step(); err != nil {
		return err
	}
	t := c.p.Tree()
	stat := t.Lstat
	if c.follow {
		stat = t.Stat
	}
	_, e, err := stat(src)
	if err != nil {
		return err
	}
	if e.IsDir() && !c.recursive {
		return c.p.Unknownf("copies the directory %s", src)
	}
	if _, old, err := t.Lstat(dst); err == nil && old.Type == tar.TypeSymlink && (e.Type == tar.TypeSymlink || c.preserve) {
		if err := t.Remove(dst, false); err != nil {
			return err
		}
	}
	if _, old, err := t.Stat(dst); err != nil || !e.IsDir() || !old.IsDir() {
		if err := t.Copy(src, dst, c.follow, c.preserve); err != nil {
			return err
		}
	}
	if !e.IsDir() {
		return nil
	}
	names, err := t.ReadDir(src)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := c.copy(src+"/"+name, dst+"/"+name); err != nil {
			return err
		}
	}
	return nil
}

func ln(p *script.Process) (int, error) {
	opts, args, err := p.Options("s f n T r t: v symbolic force no-dereference no-target-directory relative target-directory:")
	if err != nil {
		return 0, err
	}
	if !script.Has(opts, "s", "symbolic") || script.Has(opts, "r", "v", "relative") {
		return 0, p.Unknownf("makes a link of a kind that is not modelled")
	}
	noDir := script.Has(opts, "T", "no-target-directory")
	if script.Has(opts, "n", "no-dereference") && len(args) == 2 {
		if _, e, err := p.Tree().Lstat(p.Abs(strings.TrimRight(args[1], "/"))); err == nil && e.Type == tar.TypeSymlink {
			noDir = true
		}
	}
	if len(args) == 1 {
		args = append(args, ".")
	}
	pairs, err := targets(p, args, value(opts, "t", "target-directory"), noDir)
	if err != nil {
		return 0, err
	}
	status := 0
	for _, pair := range pairs {
		dst := p.Abs(pair[1])
		if _, e, err := p.Tree().Lstat(dst); err == nil && script.Has(opts, "f", "force") && !e.IsDir() {
			if err := p.Tree().Remove(dst, false); err != nil {
				return 0, err
			}
		}
		if err := p.Tree().Symlink(pair[0], dst); err != nil {
			if status, err = p.FailFile(1, "cannot make the link "+pair[1], err); err != nil {
				return 0, err
			}
		}
	}
	return status, nil
}

func touch(p *script.Process) (int, error) {
	opts, args, err := p.Options("c a m r: no-create reference:")
	if err != nil {
		return 0, err
	}
	status := 0
	when := p.Time()
	if ref := value(opts, "r", "reference"); ref != "" {
		_, e, err := p.Tree().Stat(p.Abs(ref))
		if err != nil {
			return p.FailFile(1, ref, err)
		}
		when = e.ModTime
	}
	for _, arg := range args {
		if p.Abs(arg) == "/dev/null" {
			continue
		}
		_, _, err := p.Tree().Stat(p.Abs(arg))
		switch {
		case err == nil && script.Has(opts, "a") && !script.Has(opts, "m"):
			continue
		case errors.Is(err, fs.ErrNotExist) && script.Has(opts, "c", "no-create"):
			continue
		case errors.Is(err, fs.ErrNotExist):
			err = p.Tree().WriteFile(p.Abs(arg), nil, 0o666&^p.Umask())
		}
		if err == nil {
			err = p.Tree().Chtimes(p.Abs(arg), when)
		}
		if err != nil {
			if status, err = p.FailFile(1, "cannot touch "+arg, err); err != nil {
				return 0, err
			}
		}
	}
	return status, nil
}

// mktemp makes a file or directory whose name is the first of its template that is free.
func mktemp(p *script.Process) (int, error) {
	opts, args, err := p.Options("d q t u p: directory quiet tmpdir= dry-run suffix:")
	if err != nil {
		return 0, err
	}
	if script.Has(opts, "u", "dry-run", "suffix") || len(args) > 1 {
		return 0, p.Unknownf("has options that are not modelled")
	}
	template := "tmp.XXXXXXXXXX"
	if len(args) == 1 {
		template = args[0]
	}
	dir := value(opts, "p", "tmpdir")
	if dir == "" && (len(args) == 0 || script.Has(opts, "t", "p", "tmpdir")) {
		if dir = p.Getenv("TMPDIR"); dir == "" {
			dir = "/tmp"
		}
	}
	if dir != "" {
		template = dir + "/" + template
	}
	stem := strings.TrimRight(template, "X")
	width := len(template) - len(stem)
	if width < 3 {
		return 0, p.Unknownf("has the template %.40q", template)
	}
	for n := range 1000 {
		name := stem + fmt.Sprintf("%0*d", width, n)
		if script.Has(opts, "d", "directory") {
			err = p.Tree().Mkdir(p.Abs(name), 0o700)
		} else {
			_, err = p.Tree().Create(p.Abs(name), script.Exclusive, 0o600)
		}
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return p.FailFile(1, template, err)
		}
		return 0, p.Print(name + "\n")
	}
	return 0, p.Unknownf("makes too many files")
}

// install makes directories, or copies files with a mode and owners.
func install(p *script.Process) (int, error) {
	opts, args, err := p.Options("d D T p m: o: g: directory mode: owner: group: preserve-timestamps")
	if err != nil {
		return 0, err
	}
	if script.Has(opts, "D", "T") {
		return 0, p.Unknownf("has options that are not modelled")
	}
	mode := int64(0o755)
	if m := value(opts, "m", "mode"); m != "" {
		if mode, err = parseMode(p, m, 0, false); err != nil {
			return 0, err
		}
	}
	uid, gid, err := owners(p, value(opts, "o", "owner"), value(opts, "g", "group"))
	if err != nil {
		return 0, err
	}
	var names []string
	if script.Has(opts, "d", "directory") {
		names = args
		for _, arg := range args {
			if err := mkdirAll(p, arg, mode); err != nil {
				return p.FailFile(1, arg, err)
			}
		}
	} else {
		pairs, err := targets(p, args, "", false)
		if err != nil {
			return 0, err
		}
		for _, pair := range pairs {
			if _, _, err := p.Tree().Lstat(p.Abs(pair[1])); err == nil {
				if err := p.Tree().Remove(p.Abs(pair[1]), false); err != nil {
					return p.FailFile(1, pair[1], err)
				}
			}
			if err := p.Tree().Copy(p.Abs(pair[0]), p.Abs(pair[1]), true, script.Has(opts, "p", "preserve-timestamps")); err != nil {
				return p.FailFile(1, pair[0], err)
			}
			uid, gid = max(uid, 0), max(gid, 0)
			names = append(names, pair[1])
		}
	}
	for _, name := range names {
		if uid >= 0 || gid >= 0 {
			if err := p.Tree().Chown(p.Abs(name), uid, gid, true); err != nil {
				return p.FailFile(1, name, err)
			}
		}
		if err := p.Tree().Chmod(p.Abs(name), mode); err != nil {
			return p.FailFile(1, name, err)
		}
	}
	return 0, nil
}
