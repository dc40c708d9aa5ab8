package plan

import (
	"archive/tar"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// propagate carries an upgrade at home in layer i to the copies of its files in the layers above.
// before is the tree that ends with layer i as it was before the upgrade.
func (d *distributor) propagate(i int, before *rootfs.View, effect *ecosystem.Effect) ([]*ecosystem.HoldError, error) {
	var holds []*ecosystem.HoldError
	for j := i + 1; j < d.edits.Old.Len(); j++ {
		// Paths are resolved in the tree as it is at layer j: a layer may have turned bin into a link to usr/bin.
		view := d.cur.View(j + 1)
		// Backwards, so that a directory comes after what was in it.
		for _, c := range slices.Backward(effect.Changes) {
			if slices.Contains(d.eco.DatabasePaths(), c.Path) {
				continue
			}
			hold, err := d.propagateChange(j, view, before, c)
			if err != nil {
				return nil, fmt.Errorf("layer %d: %s: %w", j, c.Path, err)
			}
			if hold != nil {
				holds = append(holds, hold)
			}
		}
	}
	return holds, nil
}

// propagateChange carries one change to layer j. It returns a hold where the layer has a database file of its own that
// the package manager wrote there for other reasons: neither the old nor the new content would be right in it.
func (d *distributor) propagateChange(j int, view, before *rootfs.View, c ecosystem.Change) (*ecosystem.HoldError, error) {
	p, err := view.ResolveDir(c.Path)
	if err != nil {
		return nil, err
	}
	own, ok := d.own(j, p)
	if !ok {
		return nil, nil //nolint:nilnil // nothing there, nothing to hold
	}
	if own.IsDir() {
		if c.Entry == nil && d.emptied(j, own.Path) {
			d.edit(j, own.Path, nil)
			d.mark(j, c.Package)
		}
		return nil, nil //nolint:nilnil // directories stay as their layer has them
	}
	was, existed := before.Lookup(c.Path)
	target := own
	if own.Type == tar.TypeLink {
		// One that leads out of its layer cannot be a copy of the package's file.
		if target, err = d.edits.Old.Layer(j).Target(own); err != nil {
			target = own
		}
	}
	switch same := existed && sameFile(target, was.Inode()); {
	case !same && c.Database:
		return &ecosystem.HoldError{
			Package: c.Package, Reason: ecosystem.ReasonModifiedFile,
			Detail: fmt.Sprintf("layer %d carries its own /%s", j, p),
		}, nil
	case !same:
		d.override(j, p, c.Package)
		return nil, nil //nolint:nilnil // the author's own file stays
	case c.Entry == nil:
		d.edit(j, own.Path, nil)
	default:
		d.replaceCopy(j, own, target, c.Entry)
	}
	d.edits.Changed[p] = c.Package
	d.mark(j, c.Package)
	return nil, nil //nolint:nilnil // done
}

// emptied tells whether the edits leave nothing in a directory of layer j.
func (d *distributor) emptied(j int, dir string) bool {
	entries := d.edits.Old.Layer(j).Entries
	for k := range entries {
		p := entries[k].Path
		if !strings.HasPrefix(p, dir+"/") {
			continue
		}
		if e, edited := d.edits.Layers[j][p]; !edited || e != nil {
			return false
		}
	}
	return true
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
		if entries[k].Type != tar.TypeLink {
			continue
		}
		if t, err := d.edits.Old.Layer(j).Target(&entries[k]); err == nil && t == target {
			link := entries[k]
			link.Linkname = target.Path
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
