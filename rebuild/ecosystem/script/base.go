package script

import (
	"archive/tar"
	"sync"

	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// File is what a physical path of a [Base] holds.
type File struct {
	*layer.Entry
	// Inode is the entry whose attributes and content the file has: for a hard link the regular file it is a name of,
	// nil if it leads nowhere; for all else Entry.
	Inode *layer.Entry
}

// Regular gives the regular file behind f, nil if it is none.
func (f File) Regular() *layer.Entry {
	if f.Inode == nil || !f.Inode.IsRegular() {
		return nil
	}
	return f.Inode
}

// Base is the tree below the pending edits: an image's, or another [Tree]. All paths are clean, relative to the root
// and physical: no component but the last is a symbolic link.
type Base interface {
	// Lookup returns what is at a path; no link is followed.
	Lookup(path string) (File, bool)
	// Names lists the names in a directory, in any order.
	Names(dir string) []string
	// Open opens the content of a regular file; layer.ErrNotKept says that it is not at hand.
	Open(f File) (layer.File, error)
	// Linked tells whether a regular file has more names than one.
	Linked(f File) bool
}

// View makes an image's tree a Base.
func View(v *rootfs.View) Base { return &view{view: v} }

type view struct {
	view *rootfs.View
	once sync.Once
	// linked are the files that hard links name.
	linked map[*layer.Entry]bool
}

func (v *view) Lookup(path string) (File, bool) {
	n, ok := v.view.Lookup(path)
	if !ok {
		return File{}, false
	}
	return File{Entry: n.Entry, Inode: n.Inode()}, true
}

func (v *view) Names(dir string) []string {
	nodes := v.view.Children(dir)
	names := make([]string, len(nodes))
	for i, n := range nodes {
		names[i] = base(n.Path)
	}
	return names
}

func (v *view) Open(f File) (layer.File, error) {
	if f.Inode != nil && f.Inode.HasContent() {
		return new(layer.Index).Open(f.Inode)
	}
	n, ok := v.view.Lookup(f.Path)
	if !ok {
		return nil, layer.ErrNotKept
	}
	return v.view.OpenNode(n)
}

func (v *view) Linked(f File) bool {
	v.once.Do(func() {
		v.linked = make(map[*layer.Entry]bool)
		_ = v.view.Walk(func(n rootfs.Node) error { // the function has no error to return
			if e := n.Inode(); n.Type == tar.TypeLink && e != nil {
				v.linked[e] = true
			}
			return nil
		})
	})
	return v.linked[f.Inode]
}
