package overlay

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// Open opens the content of a regular file.
func (t *Tree) Open(f script.File) (layer.File, error) {
	if f.Inode != nil && f.Inode.HasContent() {
		// An index is not needed to open an entry that has its content with it.
		return new(layer.Index).Open(f.Inode)
	}
	n, ok := t.node(f)
	if !ok {
		return nil, fmt.Errorf("opening %s: %w", f.Path, fs.ErrNotExist)
	}
	return t.view.OpenNode(n)
}

// node finds the file of the image that has the content of f.
func (t *Tree) node(f script.File) (rootfs.Node, bool) {
	if c, changed := t.over[f.Path]; changed && c.Entry != nil && f.Inode != nil && c.Entry != f.Inode {
		if target, ok := t.linked(c.Entry); ok {
			return t.view.Lookup(target.Path)
		}
	}
	return t.view.Lookup(f.Path)
}

// Linked tells whether a regular file has more names than one.
func (t *Tree) Linked(f script.File) bool {
	for _, c := range t.over {
		if c.Entry != nil && c.Entry.Type == tar.TypeLink {
			if target, ok := t.linked(c.Entry); ok && target.Inode == f.Inode {
				return true
			}
		}
	}
	return t.base.Linked(f)
}

// Content gives the regular file behind f with its bytes at hand, to be put elsewhere.
func (t *Tree) Content(f script.File) (*layer.Entry, error) {
	from := f.Regular()
	if from == nil {
		return nil, fmt.Errorf("opening %s: %w", f.Path, fs.ErrInvalid)
	}
	if from.HasContent() {
		return from, nil
	}
	return layer.NewFile(*from, opener(func() (layer.File, error) { return t.Open(f) }))
}

// opener makes a function the content of a file.
type opener func() (layer.File, error)

// Open implements layer.Content.
func (o opener) Open() (layer.File, error) { return o() }

// ErrTooLarge says that a file is larger than what is read into memory.
var ErrTooLarge = errors.New("the file is too large to be read")

// ReadFile reads a file of at most limit bytes, links followed; nil without an error if there is none.
func (t *Tree) ReadFile(name string, limit int64) ([]byte, error) {
	f, ok := t.Target(name)
	if !ok || f.Regular() == nil {
		return nil, nil
	}
	if f.Inode.Size > limit {
		return nil, fmt.Errorf("reading %s of %d bytes: %w", f.Path, f.Inode.Size, ErrTooLarge)
	}
	r, err := t.Open(f)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, limit))
}

// Adopt makes what a script changed part of the tree, for a package. database tells which paths are the package
// database's.
func (t *Tree) Adopt(changes []script.Change, pkg ecosystem.Key, database func(path string) bool) error {
	for _, c := range changes {
		e := c.Entry
		if e == nil {
			t.Remove(c.Path, pkg, database(c.Path))
			continue
		}
		if e.IsRegular() && !e.HasContent() {
			// Only its header changes, but another layer than its own may be the one to get it.
			f, _ := t.Lookup(c.Path)
			from, err := t.Content(f)
			if err != nil {
				return err
			}
			e = e.WithContent(from)
		}
		t.Set(e, pkg, database(c.Path))
		edit := t.over[c.Path]
		edit.Script = true
		t.over[c.Path] = edit
	}
	return nil
}
