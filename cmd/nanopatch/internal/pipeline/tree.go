package pipeline

import (
	"fmt"
	"io/fs"

	"github.com/nanopatch/nanopatch/rebuild/rootfs"
	"github.com/nanopatch/nanopatch/sbom/generate"
)

// tree shows a merged image to the SBOM's catalogers, which know nothing of rootfs.
type tree struct{ view *rootfs.View }

// Walk implements generate.Tree.
func (t tree) Walk(f func(generate.Node) error) error {
	return t.view.Walk(func(n rootfs.Node) error {
		inode := n.Inode()
		if inode == nil {
			return nil // a hard link that leads nowhere is no file
		}
		return f(generate.Node{
			Path: n.Path, Type: inode.Type, Mode: inode.Mode, UID: inode.UID, GID: inode.GID, Size: inode.Size,
			ModTime: inode.ModTime, Linkname: inode.Linkname, Layer: n.Layer, SHA256: inode.SHA256,
		})
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
