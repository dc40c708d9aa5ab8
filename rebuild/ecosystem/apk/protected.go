package apk

import (
	"path"
	"strings"
)

// protection are the patterns of directories that hold configuration: files there that someone changed stay.
type protection []string

// protection reads the image's patterns. etc is one without being told (apk_db_open in src/database.c, which has two more
// for directories below it, with other modes; for an upgrade all modes are one).
func (db *database) protection() (protection, error) {
	p := protection{"etc"}
	for _, n := range db.view.Children(protectedDir) {
		if n.IsDir() || !strings.HasSuffix(n.Path, ".list") {
			continue
		}
		data, err := db.view.ReadOptional(n.Path, maxDatabase)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(data)) {
			p = p.add(strings.TrimRight(line, "\n"))
		}
	}
	return p, nil
}

// add reads one line: a pattern, with a character before it that says how the directory is audited and backed up.
func (p protection) add(line string) protection {
	if line == "" || line[0] == '#' {
		return p
	}
	if pattern := strings.Trim(strings.TrimLeft(line[:1], "-+@!")+line[1:], "/"); pattern != "" {
		return append(p, pattern)
	}
	return p
}

// covers tells whether a directory or one above it matches a pattern.
func (p protection) covers(dir string) bool {
	for ; dir != "." && dir != ""; dir = path.Dir(dir) {
		for _, pattern := range p {
			if ok, err := path.Match(pattern, dir); ok && err == nil {
				return true
			}
		}
	}
	return false
}
