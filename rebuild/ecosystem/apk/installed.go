package apk

import (
	"archive/tar"
	"bytes"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/layer"
)

// record is one installed package.
type record struct {
	ecosystem.Package
	// start and end delimit the stanza in the database.
	start, end int
	checksum   string
	// replaces are the packages whose files it may take, priority decides where both may.
	replaces []Dependency
	priority int
	// tag is the repository that it came from, if that has one.
	tag  string
	dirs []*dirRecord
}

// dirRecord is one directory of a package with the package's files in it.
type dirRecord struct {
	path  string
	attrs attrs
	files []*fileRecord
}

// fileRecord is one file; start and end delimit its lines in the database.
type fileRecord struct {
	name       string
	attrs      attrs
	sum        Checksum
	hasSum     bool
	start, end int
}

// summed tells whether the database has a file's checksum. Some packagers' tools state that of no content for links.
func (f *fileRecord) summed(there *layer.Entry) bool {
	return f.hasSum && (there.Type != tar.TypeSymlink || f.sum != emptySum)
}

// attrs are owner and mode, and the checksum of the extended attributes, "" if there are none.
type attrs struct {
	uid, gid int
	mode     int64
	xattrs   string
}

// What a directory or file has unless a line M or a says otherwise.
var (
	defaultDir  = attrs{mode: 0o755}
	defaultFile = attrs{mode: 0o644}
)

// parseInstalled reads the database.
func parseInstalled(data []byte) ([]*record, error) {
	var all []*record
	err := ReadStanzas(bytes.NewReader(data), func(s *Stanza) error {
		r, err := parseRecord(s)
		if err != nil {
			return err
		}
		all = append(all, r)
		return nil
	})
	return all, err
}

func parseRecord(s *Stanza) (*record, error) {
	p, err := s.Package()
	if err != nil {
		return nil, err
	}
	r := &record{Package: p, start: s.Start, end: s.End, checksum: s.Get('C')}
	var dir *dirRecord
	var file *fileRecord
	for i, f := range s.Fields {
		end := s.End
		if i+1 < len(s.Fields) {
			end = s.Fields[i+1].Offset
		}
		bad := func(what string) error { return fmt.Errorf("%s: %c:%s: %s", p.Name, f.Key, f.Value, what) }
		switch f.Key {
		case 'r':
			r.replaces = ParseDependencies(f.Value)
		case 'q':
			r.priority, _ = strconv.Atoi(f.Value)
		case 's':
			r.tag = f.Value
		case 'F':
			dir, file = &dirRecord{path: f.Value, attrs: defaultDir}, nil
			if !isClean(f.Value) && f.Value != "" {
				return nil, bad("not a path below the root")
			}
			r.dirs = append(r.dirs, dir)
		case 'R':
			if dir == nil || !isClean(f.Value) || strings.Contains(f.Value, "/") {
				return nil, bad("not a file of a directory")
			}
			file = &fileRecord{name: f.Value, attrs: defaultFile, start: f.Offset, end: end}
			dir.files = append(dir.files, file)
		case 'M', 'a', 'Z':
			if err := setAttribute(dir, file, f); err != nil {
				return nil, bad(err.Error())
			}
			if file != nil {
				file.end = end
			}
		}
	}
	// The empty line that ends a stanza is not part of its last file.
	if file != nil && file.end == s.End {
		file.end = s.End - 1
	}
	return r, nil
}

// isClean tells whether a name of the database is one that needs no cleaning: no "..", no slash at either end.
func isClean(p string) bool {
	return p != "" && p != "." && path.Clean("/" + p)[1:] == p && !strings.ContainsRune(p, 0)
}

// setAttribute reads a line M, a or Z.
func setAttribute(dir *dirRecord, file *fileRecord, f Field) error {
	switch {
	case f.Key == 'M' && dir != nil:
		return dir.attrs.parse(f.Value)
	case f.Key == 'a' && file != nil:
		return file.attrs.parse(f.Value)
	case f.Key == 'Z' && file != nil:
		file.sum, file.hasSum = ParseChecksum(f.Value)
		return nil
	}
	return fmt.Errorf("without what it describes")
}

// parse reads "uid:gid:mode[:checksum]", the mode octal.
func (a *attrs) parse(s string) error {
	f := strings.SplitN(s, ":", 4)
	if len(f) < 3 {
		return fmt.Errorf("want uid:gid:mode")
	}
	uid, err := strconv.ParseUint(f[0], 10, 32)
	if err != nil {
		return fmt.Errorf("owner: %w", err)
	}
	gid, err := strconv.ParseUint(f[1], 10, 32)
	if err != nil {
		return fmt.Errorf("group: %w", err)
	}
	mode, err := strconv.ParseUint(f[2], 8, 32)
	if err != nil {
		return fmt.Errorf("mode: %w", err)
	}
	*a = attrs{uid: int(uid), gid: int(gid), mode: int64(mode) & 0o7777}
	if len(f) == 4 {
		a.xattrs = f[3]
	}
	return nil
}

func (a attrs) String() string {
	s := fmt.Sprintf("%d:%d:%o", a.uid, a.gid, a.mode)
	if a.xattrs != "" {
		s += ":" + a.xattrs
	}
	return s
}

// file finds a file by its path.
func (r *record) file(p string) *fileRecord {
	dir, name := path.Split(p)
	d := r.dir(strings.TrimSuffix(dir, "/"))
	if d == nil {
		return nil
	}
	for _, f := range d.files {
		if f.name == name {
			return f
		}
	}
	return nil
}

func (r *record) dir(p string) *dirRecord {
	for _, d := range r.dirs {
		if d.path == p {
			return d
		}
	}
	return nil
}

// paths lists a record's files with their paths, in the database's order.
func (r *record) paths(visit func(p string, f *fileRecord)) {
	for _, d := range r.dirs {
		for _, f := range d.files {
			visit(path.Join(d.path, f.name), f)
		}
	}
}
