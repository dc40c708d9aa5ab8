package layer

import (
	"archive/tar"
	"errors"
	"maps"
	"path"
	"slices"
	"strings"
)

// Edits are the changes to one layer: by clean path, the entry that is to be there, or nil to remove it.
//
// An entry's Path equals its key. A regular file has content, from NewFile, WithContent or another index; it
// may lack it only where the layer has a file of the same digest at that path, which then keeps its bytes. A
// hard link's target lies in the layer as it is after the edits. Removing a path that the layer does not
// have, and putting what is already there, changes nothing.
//
// Edits are about paths, not about inodes: a hard link that is not edited keeps its content when the file it
// was linked to is replaced or removed.
type Edits map[string]*Entry

// Apply returns the index that the rewritten layer will have, without its DiffID and without reading or
// writing any archive. It fails with an EditError where the edits cannot be applied, as Rewrite does.
//
// The rules are those of the smallest change. What is not edited keeps its place and its bytes; a replaced
// entry keeps its place; a new one comes after the last entry at or below its directory, or else below the
// nearest ancestor that the layer mentions, new ones of one place sorted by path. Of several entries of one
// path the last, effective one is replaced and the earlier ones go.
func (x *Index) Apply(edits Edits) (*Index, error) {
	sc, err := x.plan(edits)
	if err != nil {
		return nil, err
	}
	return sc.index(), nil
}

// Changes tells whether edits ask for anything but what is there. Errors are those of Apply.
func (x *Index) Changes(edits Edits) (bool, error) {
	sc, err := x.plan(edits)
	if err != nil {
		return false, err
	}
	return sc.changed, nil
}

// op is one entry of the rewritten archive.
type op struct {
	entry *Entry
	// slot is the entry of the old archive at whose place this one is written.
	slot int
	// raw is the new header; nil copies the entry in slot as it is.
	raw []byte
	// body says that the data is that of the entry in slot; it is in entry.content otherwise.
	body bool
	// order sorts within a slot, then path does.
	order order
}

type order int

const (
	inherits order = iota // takes over the content of the slot's entry, for the hard links to it
	inPlace               // stays or replaces
	inserted              // comes after
)

// script is the rewritten archive, entry by entry.
type script struct {
	x       *Index
	ops     []op
	changed bool
}

// edit is one wanted entry.
type edit struct {
	entry *Entry
	slot  int
	order order
	body  bool
}

// editor works out a script.
type editor struct {
	x     *Index
	paths []string // of edits that change something, sorted
	edits map[string]*edit
	gone  []bool      // by entry: replaced or removed
	heirs map[int]int // a gone entry → the hard link that takes over its content
	ops   []op
}

var (
	errNotClean    = errors.New("the path is not clean, or not the entry's own")
	errNoContent   = errors.New("a regular file without content")
	errSparse      = errors.New("a sparse file can only be kept or removed")
	errNotEmpty    = errors.New("a directory that is not empty would become something else")
	errEntangled   = errors.New("a hard link shares its content, and entries that override each other leave no place to keep it")
	errLinkCycle   = errors.New("hard links that lead in a circle")
	errLinkToDir   = errors.New("hard link to a directory")
	errSharedBody  = errors.New("a regular file without content, which hard links that are not edited share")
	errSparseLinks = errors.New("other names are hard links to this sparse file; they would lose their content")
)

func (x *Index) plan(edits Edits) (*script, error) {
	x.once.Do(x.link)
	ed := &editor{x: x, edits: make(map[string]*edit, len(edits)), gone: make([]bool, len(x.Entries)), heirs: map[int]int{}}
	steps := []func() error{
		func() error { return ed.collect(edits) }, ed.keepLinks, ed.place, ed.newLinks, ed.finish, ed.checkDirs,
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return &script{x: x, ops: ed.ops, changed: len(ed.paths) > 0}, nil
}

// collect checks the edits, leaves out those that change nothing, and marks the entries that go.
func (ed *editor) collect(edits Edits) error {
	var links []string
	for _, p := range slices.Sorted(maps.Keys(edits)) {
		e := edits[p]
		if e != nil && e.Type == tar.TypeLink {
			links = append(links, p)
			continue
		}
		w, err := ed.want(p, e)
		if err != nil {
			return &EditError{Path: p, Err: err}
		}
		if w != nil {
			ed.edits[p] = w
		}
	}
	for _, p := range links {
		e := edits[p]
		if clean, err := cleanPath(p, maxPath); err != nil || clean != p || e.Path != p {
			return &EditError{Path: p, Err: errNotClean}
		}
		if !ed.sameLink(e, edits) {
			ed.edits[p] = &edit{entry: e}
		}
	}
	ed.paths = slices.Sorted(maps.Keys(ed.edits))
	for i := range ed.x.Entries {
		if _, ok := ed.edits[ed.x.Entries[i].Path]; ok {
			ed.gone[i] = true
		}
	}
	return nil
}

// want checks one edit that is not a hard link. It returns nil if the layer is already as it asks.
func (ed *editor) want(p string, e *Entry) (*edit, error) {
	if clean, err := cleanPath(p, maxPath); err != nil || clean != p || e != nil && e.Path != p {
		return nil, errNotClean
	}
	old, have := ed.x.Lookup(p)
	switch {
	case e == nil && !have:
		return nil, nil //nolint:nilnil // nothing to do is a result of its own
	case e == nil:
		return &edit{}, nil
	case have && e.same(old):
		return nil, nil //nolint:nilnil // as above
	case e.Sparse:
		return nil, errSparse
	case !e.IsRegular() || e.content != nil:
		return &edit{entry: e}, nil
	case have && old.IsRegular() && !old.Sparse && old.Size == e.Size && old.SHA256 == e.SHA256:
		c := *e
		c.md5, c.content = old.md5, old.content
		return &edit{entry: &c, body: true}, nil
	}
	return nil, errNoContent
}

// same tells whether replacing old by e would change anything that a runtime sees. It leaves names of users
// aside, which runtimes do not read.
func (e *Entry) same(old *Entry) bool {
	return e.Type == old.Type && (e.Mode^old.Mode)&0o7777 == 0 && e.UID == old.UID && e.GID == old.GID &&
		e.Size == old.Size && e.SHA256 == old.SHA256 && e.Sparse == old.Sparse && e.ModTime.Equal(old.ModTime) &&
		e.Linkname == old.Linkname && e.Devmajor == old.Devmajor && e.Devminor == old.Devminor &&
		maps.Equal(e.records(), old.records())
}

// place finds the slot of every edit: that of the effective entry, or for a new path the last entry at or
// below the nearest ancestor that has one.
func (ed *editor) place() error {
	last := map[string]int{} // the last entry at or below each ancestor of a new path
	for _, p := range ed.paths {
		w := ed.edits[p]
		if i, ok := ed.x.byPath[p]; ok {
			w.slot, w.order = i, inPlace
			continue
		}
		for d := path.Dir(p); d != "."; d = path.Dir(d) {
			last[d] = -1
		}
	}
	for i := range ed.x.Entries {
		for d := ed.x.Entries[i].Path; d != "."; d = path.Dir(d) {
			if _, ok := last[d]; ok {
				last[d] = i
			}
		}
	}
	last["."] = len(ed.x.Entries) - 1
	for _, p := range ed.paths {
		if _, ok := ed.x.byPath[p]; ok {
			continue
		}
		d := path.Dir(p)
		for d != "." && last[d] < 0 {
			d = path.Dir(d)
		}
		ed.edits[p].slot, ed.edits[p].order = last[d], inserted
	}
	return nil
}

// finish adds what stays and what is wanted to the operations and sorts them.
func (ed *editor) finish() error {
	for i := range ed.x.Entries {
		if !ed.gone[i] {
			ed.ops = append(ed.ops, op{entry: &ed.x.Entries[i], slot: i, order: inPlace, body: true})
		}
	}
	for i := range ed.ops {
		if err := ed.relink(&ed.ops[i]); err != nil {
			return err
		}
	}
	for _, p := range ed.paths {
		w := ed.edits[p]
		if w.entry == nil {
			continue
		}
		raw, seen, err := encode(w.entry)
		if err == nil && seen.Type == tar.TypeLink && seen.Linkname != w.entry.Linkname {
			err = errNotClean
		}
		if err != nil {
			return &EditError{Path: p, Err: err}
		}
		ed.ops = append(ed.ops, op{entry: seen, slot: w.slot, raw: raw, body: w.body, order: w.order})
	}
	slices.SortStableFunc(ed.ops, func(a, b op) int {
		if a.slot != b.slot {
			return a.slot - b.slot
		}
		if a.order != b.order {
			return int(a.order - b.order)
		}
		return strings.Compare(a.entry.Path, b.entry.Path)
	})
	return nil
}

// checkDirs makes sure that no edit puts something else where entries that stay need a directory.
func (ed *editor) checkDirs() error {
	blocked := map[string]bool{}
	for _, p := range ed.paths {
		if e := ed.edits[p].entry; e != nil && !e.IsDir() {
			old, have := ed.x.Lookup(p)
			blocked[p] = !have || old.IsDir()
		}
	}
	for i := range ed.ops {
		for d := path.Dir(ed.ops[i].entry.Path); d != "."; d = path.Dir(d) {
			if blocked[d] {
				return &EditError{Path: d, Err: errNotEmpty}
			}
		}
	}
	return nil
}

// index is what a scan of the rewritten archive would give.
func (sc *script) index() *Index {
	x := sc.x
	out := &Index{Entries: make([]Entry, 0, len(sc.ops))}
	var off, read int64 // in the new archive, in the old
	next := 0
	upTo := func(offset int64) { // global headers are copied before what follows them
		off += max(0, offset-read)
		read = max(read, offset)
	}
	if len(x.Entries) == 0 {
		upTo(aligned(x.end)) // padding that was missing at the end is completed
	}
	for i := range sc.ops {
		for ; next <= sc.ops[i].slot; next++ {
			upTo(x.Entries[next].offset)
			read += x.Entries[next].span()
		}
		e := *sc.ops[i].entry
		e.offset = off
		off += e.span()
		out.Entries = append(out.Entries, e)
	}
	for ; next < len(x.Entries); next++ {
		upTo(x.Entries[next].offset)
		read += x.Entries[next].span()
	}
	upTo(aligned(x.end))
	out.end = off
	out.Size = off + x.Size - x.end
	return out
}
