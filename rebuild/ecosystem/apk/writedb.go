package apk

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/layer"
)

// stanza writes the database entry of a package's new version, as apk_db_fdb_write does (src/database.c). Of the old
// entry only the repository's tag stays.
func (b *batch) stanza(in *install, ids owners) string {
	var s strings.Builder
	p := in.new
	s.WriteString(p.members.Info.stanza(p.members.Checksum, p.size, in.old.Arch))
	if r := p.members.Info.All("replaces"); r != "" {
		fmt.Fprintf(&s, "r:%s\n", r)
	}
	if in.priority != 0 {
		fmt.Fprintf(&s, "q:%d\n", in.priority)
	}
	if in.old.tag != "" {
		fmt.Fprintf(&s, "s:%s\n", in.old.tag)
	}
	dirs, filesOf := p.directories()
	for _, d := range dirs {
		fmt.Fprintf(&s, "F:%s\n", d.name)
		if d.entry != nil {
			if a := ids.attrs(d.entry); a != defaultDir {
				fmt.Fprintf(&s, "M:%s\n", a)
			}
		}
		for _, e := range filesOf[d.name] {
			if !b.keeps(in, e.Path) {
				continue
			}
			fmt.Fprintf(&s, "R:%s\n", path.Base(e.Path))
			if a := ids.attrs(e); a != defaultFile {
				fmt.Fprintf(&s, "a:%s\n", a)
			}
			if sum, ok := p.sums[e.Path]; ok {
				fmt.Fprintf(&s, "Z:%s\n", sum)
			}
		}
	}
	s.WriteByte('\n')
	return s.String()
}

// packageDir is a directory of a package, "" for the root; entry is nil where the archive has none.
type packageDir struct {
	name  string
	entry *layer.Entry
}

// directories lists a package's directories in the order in which apk meets them, and the files of each.
func (p *payload) directories() ([]packageDir, map[string][]*layer.Entry) {
	var dirs []packageDir
	files := make(map[string][]*layer.Entry)
	seen := make(map[string]int)
	for i := range p.files.Entries {
		e := &p.files.Entries[i]
		if !ships(e) {
			continue
		}
		name := e.Path
		if !e.IsDir() {
			if name = path.Dir(e.Path); name == "." {
				name = ""
			}
		}
		at, ok := seen[name]
		if !ok {
			at = len(dirs)
			seen[name] = at
			dirs = append(dirs, packageDir{name: name})
		}
		if e.IsDir() {
			dirs[at].entry = e
			continue
		}
		files[name] = append(files[name], e)
	}
	return dirs, files
}

// edit replaces the entries of upgraded packages in the database, and takes the lines of files that moved out of those of
// other packages. Everything else keeps its bytes and place.
func (b *batch) edit(data []byte, ids owners) []byte {
	var out bytes.Buffer
	at := 0
	for _, r := range b.records {
		out.Write(data[at:r.start])
		at = r.end
		if in, ok := b.byKey[r.Key]; ok {
			out.WriteString(b.stanza(in, ids))
			continue
		}
		out.Write(b.withoutLost(data, r))
	}
	out.Write(data[at:])
	return out.Bytes()
}

func (b *batch) withoutLost(data []byte, r *record) []byte {
	lost := b.lost[r.Key]
	if len(lost) == 0 {
		return data[r.start:r.end]
	}
	var out []byte
	at := r.start
	var cut []*fileRecord
	r.paths(func(p string, f *fileRecord) {
		if lost[p] {
			cut = append(cut, f)
		}
	})
	slices.SortFunc(cut, func(x, y *fileRecord) int { return x.start - y.start })
	for _, f := range cut {
		out = append(out, data[at:f.start]...)
		at = f.end
	}
	return append(out, data[at:r.end]...)
}
