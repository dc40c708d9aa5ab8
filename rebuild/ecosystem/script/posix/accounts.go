package posix

import (
	"slices"
	"strconv"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
)

// id prints who runs the script, root, or whether a user exists.
func id(p *script.Process) (int, error) {
	opts, args, err := p.Options("u g n G r user group name groups")
	if err != nil {
		return 0, err
	}
	user := "root"
	if len(args) > 0 {
		user = args[0]
	}
	line, ok, err := entry(p, "/etc/passwd", user, false)
	if err != nil {
		return 0, err
	}
	if !ok {
		return p.Fail(1, "%s: no such user", user)
	}
	fields := strings.Split(line, ":")
	name := script.Has(opts, "n", "name")
	switch {
	case script.Has(opts, "G", "groups"):
		return groupsOf(p, user, fields[3], name)
	case script.Has(opts, "u", "user") && name:
		return 0, p.Print(user + "\n")
	case script.Has(opts, "u", "user"):
		return 0, p.Print(fields[2] + "\n")
	case script.Has(opts, "g", "group") && len(fields) > 3:
		if !name {
			return 0, p.Print(fields[3] + "\n")
		}
		group, ok, err := entry(p, "/etc/group", fields[3], true)
		if err != nil || !ok {
			return 0, p.Unknownf("asks for a group without a name")
		}
		group, _, _ = strings.Cut(group, ":")
		return 0, p.Print(group + "\n")
	case len(opts) == 0:
		// Scripts ask for the status; whoever reads the line would find only part of it here.
		return 0, p.Print("uid=" + fields[2] + "(" + user + ")\n")
	}
	return 0, p.Unknownf("has options that are not modelled")
}

// groupsOf lists the groups of a user, its own first.
func groupsOf(p *script.Process, user, gid string, names bool) (int, error) {
	data, err := p.Tree().ReadFile("/etc/group")
	if err != nil {
		return p.FailFile(1, "/etc/group", err)
	}
	own, others := gid, []string(nil)
	for line := range strings.SplitSeq(string(data), "\n") {
		fields := strings.Split(line, ":")
		if len(fields) < 4 {
			continue
		}
		label := fields[2]
		if names {
			label = fields[0]
		}
		switch {
		case fields[2] == gid:
			own = label
		case slices.Contains(strings.Split(fields[3], ","), user):
			others = append(others, label)
		}
	}
	return 0, p.Print(strings.Join(append([]string{own}, others...), " ") + "\n")
}

// getent looks up users and groups in the tree's own files.
func getent(p *script.Process) (int, error) {
	_, args, err := p.Options("")
	if err != nil {
		return 0, err
	}
	if len(args) == 0 || args[0] != "passwd" && args[0] != "group" {
		return 0, p.Unknownf("asks for a database that is not modelled")
	}
	file := "/etc/" + args[0]
	if len(args) == 1 {
		data, err := p.Tree().ReadFile(file)
		if err != nil {
			return p.FailFile(1, file, err)
		}
		return 0, p.Print(string(data))
	}
	for _, key := range args[1:] {
		_, err := strconv.Atoi(key)
		line, ok, e := entry(p, file, key, err == nil)
		if e != nil {
			return 0, e
		}
		if !ok {
			return 2, nil
		}
		if err := p.Print(line + "\n"); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// stat prints fields of files.
func stat(p *script.Process) (int, error) {
	opts, args, err := p.Options("c: L format: printf: dereference")
	if err != nil {
		return 0, err
	}
	format := value(opts, "c", "format")
	if format == "" {
		return 0, p.Unknownf("prints all about a file")
	}
	status := 0
	for _, arg := range args {
		if arg == "/proc/1/root" && format == "%d/%i" {
			return p.Fail(1, "cannot stat %s: Permission denied", arg) // scripts ask so whether they run in a chroot
		}
		look := p.Tree().Lstat
		if script.Has(opts, "L", "dereference") {
			look = p.Tree().Stat
		}
		_, e, err := look(p.Abs(arg))
		if err != nil {
			if status, err = p.FailFile(1, "cannot stat "+arg, err); err != nil {
				return 0, err
			}
			continue
		}
		fields := map[byte]string{
			'd': "1", 'i': "2", 'a': strconv.FormatInt(e.Mode, 8), 'u': itoa(e.UID), 'g': itoa(e.GID), 's': strconv.FormatInt(e.Size, 10), 'n': arg, '%': "%",
		}
		for verb, file := range map[byte]string{'U': "/etc/passwd", 'G': "/etc/group"} {
			number := map[byte]int{'U': e.UID, 'G': e.GID}[verb]
			line, ok, err := entry(p, file, itoa(number), true)
			if err != nil {
				return 0, err
			}
			fields[verb] = "UNKNOWN"
			if ok {
				fields[verb], _, _ = strings.Cut(line, ":")
			}
		}
		if strings.Contains(format, "%i") && arg != "/" {
			return 0, p.Unknownf("has the format %.20q", format)
		}
		var b strings.Builder
		for i := 0; i < len(format); i++ {
			if format[i] != '%' || i+1 == len(format) {
				b.WriteByte(format[i])
				continue
			}
			i++
			text, ok := fields[format[i]]
			if !ok {
				return 0, p.Unknownf("has the format %.20q", format)
			}
			b.WriteString(text)
		}
		if err := p.Print(b.String() + "\n"); err != nil {
			return 0, err
		}
	}
	return status, nil
}
