package dpkg

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// diversions are the renamings that dpkg-divert(1) set up, by clean path.
type diversions struct {
	// to maps the contested name to the diversion.
	to map[string]diversion
	// from maps the name that a diverted file has to the contested name.
	from map[string]string
}

type diversion struct {
	// target is where other packages' file goes.
	target string
	// owner is the package whose own file keeps the name, "" for a local diversion, which diverts all packages.
	owner string
}

// parseDiversions reads the diversions file: three lines for each, the contested name, the name to use instead, and
// the diverting package or ":" (ensure_diversions in lib/dpkg/db-fsys-divert.c).
func parseDiversions(data []byte) (diversions, error) {
	d := diversions{to: make(map[string]diversion), from: make(map[string]string)}
	if len(data) == 0 {
		return d, nil
	}
	if data[len(data)-1] != '\n' {
		return d, syntaxErrorf(bytes.Count(data, []byte{'\n'})+1, "missing final newline")
	}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	if len(lines)%3 != 0 {
		return d, syntaxErrorf(len(lines), "a diversion is not three lines long: the file is truncated")
	}
	for i := 0; i < len(lines); i += 3 {
		contested, err := cleanPath(lines[i])
		if err != nil {
			return d, syntaxErrorf(i+1, "%v", err)
		}
		target, err := cleanPath(lines[i+1])
		if err != nil {
			return d, syntaxErrorf(i+2, "%v", err)
		}
		if _, twice := d.to[contested]; twice {
			return d, syntaxErrorf(i+1, "conflicting diversions of %q", lines[i])
		}
		owner := lines[i+2]
		if owner == ":" {
			owner = ""
		}
		d.to[contested] = diversion{target: target, owner: owner}
		d.from[target] = contested
	}
	return d, nil
}

// use gives the name under which a package's file is on disk (namenodetouse in src/main/help.c).
func (d diversions) use(p, pkg string) string {
	if v, ok := d.to[p]; ok && v.owner != pkg {
		return v.target
	}
	return p
}

// statOverride is what dpkg-statoverride(1) has instead of a shipped file's owner and mode.
type statOverride struct {
	uid, gid int
	mode     int64
}

// parseStatOverrides reads the statoverride file: "USER GROUP MODE PATH" on each line, with "#" before numeric owners.
// An unknown user is an error as it is for dpkg, which refuses to do anything then.
func parseStatOverrides(data []byte, ids owners) (map[string]statOverride, error) {
	all := make(map[string]statOverride)
	for line := 1; len(data) > 0; line++ {
		text, rest, ok := bytes.Cut(data, []byte{'\n'})
		if !ok {
			return nil, syntaxErrorf(line, "missing final newline")
		}
		data = rest
		words := strings.SplitN(string(text), " ", 4)
		if len(words) != 4 {
			return nil, syntaxErrorf(line, "%.200q is not an owner, a group, a mode and a path", text)
		}
		var o statOverride
		var err error
		if o.uid, err = ids.override(ids.users, words[0]); err != nil {
			return nil, syntaxErrorf(line, "user %v", err)
		}
		if o.gid, err = ids.override(ids.groups, words[1]); err != nil {
			return nil, syntaxErrorf(line, "group %v", err)
		}
		if o.mode, err = strconv.ParseInt(words[2], 8, 64); err != nil || o.mode < 0 || o.mode > 0o7777 {
			return nil, syntaxErrorf(line, "bad mode %.20q", words[2])
		}
		p, err := cleanPath(words[3])
		if err != nil {
			return nil, syntaxErrorf(line, "%v", err)
		}
		all[p] = o
	}
	return all, nil
}

// owners resolves names by the image's own etc/passwd and etc/group, as dpkg running in it would.
type owners struct {
	users, groups map[string]int
}

// override resolves an owner in a statoverride line.
func (o owners) override(names map[string]int, word string) (int, error) {
	if number, ok := strings.CutPrefix(word, "#"); ok {
		id, err := strconv.ParseUint(number, 10, 32)
		if err != nil {
			return 0, fmt.Errorf("%.50q is no number", number)
		}
		return int(id), nil
	}
	id, ok := names[word]
	if !ok {
		return 0, fmt.Errorf("%.50q is unknown in the image", word)
	}
	return id, nil
}

// of gives the owner of a package's file: by name where the image knows the name, else the number in the package
// (tar_entry_update_from_system in lib/dpkg/tarfn.c).
func (o owners) of(uname, gname string, uid, gid int) (int, int) {
	if id, ok := o.users[uname]; ok && uname != "" {
		uid = id
	}
	if id, ok := o.groups[gname]; ok && gname != "" {
		gid = id
	}
	return uid, gid
}
