package pipeline

import (
	"archive/tar"
	"fmt"
	"io/fs"

	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
	"github.com/nanopatch/nanopatch/sbom/generate"
)

// layers shows an image's layers one by one as well.
type layers struct {
	tree
	stack *rootfs.Stack
}

// WalkLayer implements generate.LayeredTree.
func (t layers) WalkLayer(i int, f func(generate.Node) error) error {
	index := t.stack.Layer(i)
	for k := range index.Entries {
		e := &index.Entries[k]
		if last, ok := index.Lookup(e.Path); !ok || last != e {
			continue // an entry of the same path comes later in the archive
		}
		inode := e
		if e.Type == tar.TypeLink {
			if target, err := index.Target(e); err == nil {
				inode = target // a link out of the layer stays one
			}
		}
		if err := f(nodeOf(e.Path, inode, i)); err != nil {
			return err
		}
	}
	return nil
}

// OpenIn implements generate.LayeredTree.
func (t layers) OpenIn(i int, path string) (generate.File, error) {
	e, ok := t.stack.Layer(i).Lookup(path)
	if !ok {
		return nil, fmt.Errorf("%s in layer %d: %w", path, i, fs.ErrNotExist)
	}
	return t.view.OpenNode(rootfs.Node{Entry: e, Layer: i})
}

// OpenKeptIn implements generate.LayeredTree.
func (t layers) OpenKeptIn(i int, path string) (generate.File, error) {
	index := t.stack.Layer(i)
	e, ok := index.Lookup(path)
	if !ok {
		return nil, fmt.Errorf("%s in layer %d: %w", path, i, fs.ErrNotExist)
	}
	if e.Type == tar.TypeLink {
		target, err := index.Target(e)
		if err != nil {
			return nil, err
		}
		e = target
	}
	if !e.HasContent() {
		return nil, generate.ErrNotKept
	}
	return t.view.OpenNode(rootfs.Node{Entry: e, Layer: i})
}

func nodeOf(path string, inode *layer.Entry, i int) generate.Node {
	return generate.Node{
		Path: path, Type: inode.Type, Mode: inode.Mode, UID: inode.UID, GID: inode.GID, Size: inode.Size,
		ModTime: inode.ModTime, Linkname: inode.Linkname, Layer: i, SHA256: inode.SHA256,
	}
}

// tree shows a merged image to the SBOM's catalogers, which know nothing of rootfs.
type tree struct{ view *rootfs.View }

// Walk implements generate.Tree.
func (t tree) Walk(f func(generate.Node) error) error {
	return t.view.Walk(func(n rootfs.Node) error {
		inode := n.Inode()
		if inode == nil {
			return nil // a hard link that leads nowhere is no file
		}
		return f(nodeOf(n.Path, inode, n.Layer))
	})
}

// Open implements generate.Tree.
func (t tree) Open(path string) (generate.File, error) {
	n, ok := t.view.Lookup(path)
	if !ok {
		return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	}
	return t.view.OpenNode(n)
}

// OpenKept implements generate.Tree.
func (t tree) OpenKept(path string) (generate.File, error) {
	n, ok := t.view.Lookup(path)
	if !ok {
		return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	}
	if inode := n.Inode(); inode == nil || !inode.HasContent() {
		return nil, generate.ErrNotKept
	}
	return t.view.OpenNode(n)
}
