package debscript

import (
	"archive/tar"
	"path"
	"strconv"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
	"github.com/nanopatch/nanopatch/rebuild/layer"
)

// tmpfiles creates what configurations of systemd-tmpfiles ask for (tmpfiles.d(5)), but for what lies below /run and /tmp,
// which an image does not keep.
func tmpfiles(p *script.Process) (int, error) {
	for _, arg := range p.Args[1:] {
		if strings.HasPrefix(arg, "-") {
			if arg == "--create" {
				continue
			}
			return 0, p.Unknownf("has the option %.40q, which is not modelled", arg)
		}
		if err := tmpfilesConf(p, arg); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

func tmpfilesConf(p *script.Process, name string) error {
	file := name
	if !strings.Contains(name, "/") {
		for _, dir := range []string{"/etc/tmpfiles.d/", "/run/tmpfiles.d/", "/usr/local/lib/tmpfiles.d/", "/usr/lib/tmpfiles.d/"} {
			if file = dir + name; p.Tree().Exists(file) {
				break
			}
		}
	}
	data, err := p.Tree().ReadFile(p.Abs(file))
	if err != nil {
		return known(err)
	}
	for line := range strings.SplitSeq(string(data), "\n") {
		words := strings.Fields(line)
		if len(words) < 2 || strings.HasPrefix(words[0], "#") {
			continue
		}
		for len(words) < 7 {
			words = append(words, "-")
		}
		if err := tmpfilesLine(p, words); err != nil {
			return err
		}
	}
	return nil
}

// tmpfilesLine does what one line says: TYPE PATH MODE USER GROUP AGE ARGUMENT.
func tmpfilesLine(p *script.Process, words []string) error {
	kind, target := words[0], words[1]
	if strings.ContainsAny(kind, "!^") {
		return nil // only when the machine starts, or with a credential that it gives
	}
	kind = strings.Trim(kind, "-=$")
	for _, dir := range []string{"/run/", "/var/run/", "/tmp/", "/var/tmp/", "/dev/", "/sys/", "/proc/"} {
		if strings.HasPrefix(target, dir) {
			return nil
		}
	}
	switch kind {
	case "x", "X", "r", "R", "h", "H", "t", "T", "a", "a+", "A", "A+":
		return nil // about cleaning, or attributes and access control lists, which layers do not carry
	}
	if strings.Contains(target, "%m") {
		id, err := p.Tree().ReadFile("/etc/machine-id")
		if err != nil || len(strings.TrimSpace(string(id))) != 32 {
			return known(err) // the line is passed over where the machine has no identity yet
		}
		target = strings.ReplaceAll(target, "%m", strings.TrimSpace(string(id)))
	}
	pattern := strings.IndexAny(target, "%*?[")
	adjusts := kind == "z" || kind == "Z" || kind == "m"
	if pattern >= 0 {
		if adjusts && !p.Tree().Exists(path.Dir(target[:pattern]+"x")) {
			return nil
		}
		return p.Unknownf("has a line about %s", target)
	}
	_, e, err := p.Tree().Lstat(target)
	if err := known(err); err != nil {
		return err
	}
	switch {
	case adjusts && e == nil:
		return nil
	case kind == "z":
		return tmpfilesAdjust(p, target, words, e)
	case kind == "d" || kind == "D" || kind == "v" || kind == "q" || kind == "Q" || kind == "e":
		return tmpfilesDir(p, kind, target, words, e)
	case kind == "L" || kind == "L+":
		return tmpfilesLink(p, kind, target, words[6], e)
	case kind == "f" && e != nil && e.IsRegular():
		return tmpfilesAdjust(p, target, words, e)
	case kind == "f" && e == nil && words[6] == "-":
		if err := p.Tree().WriteFile(target, nil, 0o644); err != nil {
			return known(err)
		}
		_, e, _ = p.Tree().Lstat(target)
		return tmpfilesAdjust(p, target, words, e)
	case kind == "C" && e != nil && (!e.IsDir() || len(names(p, target)) > 0):
		return tmpfilesAdjust(p, target, words, e)
	}
	return p.Unknownf("has a line of type %s about %s", words[0], target)
}

func names(p *script.Process, dir string) []string {
	list, _ := p.Tree().ReadDir(dir)
	return list
}

func tmpfilesLink(p *script.Process, kind, target, to string, e *layer.Entry) error {
	if to == "-" {
		return p.Unknownf("makes the link %s", target)
	}
	if e != nil {
		if old, err := p.Tree().Readlink(target); kind == "L" || err == nil && old == to {
			return nil
		}
		if e.Type != tar.TypeSymlink {
			return p.Unknownf("replaces %s by a link", target)
		}
		if err := p.Tree().Remove(target, false); err != nil {
			return err
		}
	}
	return p.Tree().Symlink(to, target)
}

func tmpfilesDir(p *script.Process, kind, target string, words []string, e *layer.Entry) error {
	if e == nil {
		if kind == "e" {
			return nil
		}
		if !p.Tree().Exists(path.Dir(target)) {
			return p.Unknownf("creates %s, whose parent is missing", target)
		}
		if err := p.Tree().Mkdir(target, 0o755); err != nil {
			return err
		}
		_, e, _ = p.Tree().Lstat(target)
		for i := 2; i < 5; i++ {
			words[i] = strings.TrimPrefix(words[i], ":")
		}
	}
	return tmpfilesAdjust(p, target, words, e)
}

// tmpfilesAdjust gives a path the mode and owners of a line. A colon before one says that it is for new files only.
func tmpfilesAdjust(p *script.Process, target string, words []string, e *layer.Entry) error {
	if e.Type == tar.TypeSymlink {
		return nil // modes and owners of links are left alone
	}
	uid, gid := -1, -1
	for _, w := range []struct {
		word, file string
		id         *int
	}{{words[3], "/etc/passwd", &uid}, {words[4], "/etc/group", &gid}} {
		if w.word == "-" || strings.HasPrefix(w.word, ":") {
			continue
		}
		n, err := strconv.Atoi(w.word)
		if err != nil {
			var ok bool
			if n, ok = named(p, w.file, w.word); !ok {
				return p.Unknownf("names %s, which %s does not", w.word, w.file)
			}
		}
		*w.id = n
	}
	if uid >= 0 && uid != e.UID || gid >= 0 && gid != e.GID {
		if err := p.Tree().Chown(target, uid, gid, false); err != nil {
			return err
		}
	}
	if words[2] == "-" || strings.HasPrefix(words[2], ":") {
		return nil
	}
	mode, err := strconv.ParseInt(words[2], 8, 64)
	if err != nil {
		return p.Unknownf("gives %s the mode %s", target, words[2])
	}
	return p.Tree().Chmod(target, mode)
}
