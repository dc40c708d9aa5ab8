package plan

import (
	"archive/tar"
	"fmt"
	"io"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// propagate carries an upgrade at home in layer i to the copies of its files in the layers above.
// before is the tree that ends with layer i as it was before the upgrade.
func (d *distributor) propagate(i int, before *rootfs.View, effect *ecosystem.Effect) error {
	for j := i + 1; j < d.edits.Old.Len(); j++ {
		// Paths are resolved in the tree as it is at layer j: a layer may have turned bin into a link to usr/bin.
		view := d.cur.View(j + 1)
		for _, c := range effect.Changes {
			if d.isWholeDatabase(c.Path) {
				continue
			}
			if err := d.propagateChange(j, view, before, c); err != nil {
				return fmt.Errorf("layer %d: %s: %w", j, c.Path, err)
			}
		}
	}
	return nil
}

func (d *distributor) isWholeDatabase(p string) bool {
	for _, db := range d.eco.DatabasePaths() {
		if p == db {
			return true
		}
	}
	return false
}

func (d *distributor) propagateChange(j int, view, before *rootfs.View, c ecosystem.Change) error {
	p, err := view.ResolveDir(c.Path)
	if err != nil {
		return err
	}
	own, ok := d.own(j, p)
	if !ok || own.IsDir() {
		return nil
	}
	was, existed := before.Lookup(c.Path)
	// A hard link that leads out of its layer cannot be a copy of the package's file.
	target, err := d.edits.Old.Layer(j).Target(own)
	same := err == nil && existed && sameFile(target, was.Inode())
	switch {
	case !same:
		if c.Entry == nil || !c.Database {
			d.override(j, p, c.Package)
		}
		return nil
	case c.Entry == nil:
		d.edit(j, own.Path, nil)
	default:
		d.replaceCopy(j, own, target, c.Entry)
	}
	d.edits.Changed[p] = c.Package
	d.mark(j, c.Package)
	return nil
}

// sameFile tells whether a layer's own entry still is the file that the package installed, whatever its mode and owner.
func sameFile(own, was *layer.Entry) bool {
	switch {
	case was == nil || own.Type != was.Type || own.Sparse || was.Sparse:
		return false
	case own.IsRegular():
		return own.Size == was.Size && own.SHA256 == was.SHA256
	case own.Type == tar.TypeSymlink:
		return own.Linkname == was.Linkname
	}
	return false
}

// replaceCopy gives a copy in layer j the new content. A file that stays a file keeps the mode, owner and attributes
// that the layer's author gave it; hard links to it go on sharing it.
func (d *distributor) replaceCopy(j int, own, target, updated *layer.Entry) {
	if updated.Type == tar.TypeLink {
		if n, ok := d.cur.View(j).Lookup(updated.Linkname); ok && n.Inode() != nil {
			updated = n.Inode()
		}
	}
	if !target.IsRegular() || !updated.IsRegular() {
		e := *updated
		e.Path = own.Path
		e.UID, e.GID, e.Uname, e.Gname = target.UID, target.GID, target.Uname, target.Gname
		d.edit(j, own.Path, &e)
		return
	}
	e := target.WithContent(updated)
	e.ModTime = updated.ModTime
	d.edit(j, target.Path, e)
	entries := d.edits.Old.Layer(j).Entries
	for k := range entries {
		if l := &entries[k]; l.Type == tar.TypeLink && l.Linkname == target.Path {
			link := *l
			d.edit(j, link.Path, &link)
		}
	}
}

func (d *distributor) override(j int, p string, key ecosystem.Key) {
	if _, _, whiteout := (&layer.Entry{Path: p}).Whiteout(); whiteout {
		return
	}
	d.edits.Overridden = append(d.edits.Overridden, Override{Path: p, Package: key.String(), Layer: j})
}

// maxDatabase bounds what is read of one package database: the largest known are a few MiB.
const maxDatabase = 256 << 20

func readEntry(s *rootfs.Stack, n rootfs.Node) ([]byte, error) {
	if n.Size > maxDatabase {
		return nil, fmt.Errorf("%d bytes are too much for a package database", n.Size)
	}
	f, err := s.View(n.Layer + 1).OpenNode(n)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxDatabase))
}
