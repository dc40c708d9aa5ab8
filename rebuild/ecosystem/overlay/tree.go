package overlay

import (
	"archive/tar"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// Tree is an image's tree with changes on top. It is not safe for concurrent use.
type Tree struct {
	base script.Base
	view *rootfs.View
	over map[string]Edit
	// added lists the names that the changes put into a directory.
	added map[string]map[string]bool
	// placed caches the physical paths of directories; it lasts until a link or directory changes.
	placed map[string]string
}

var _ script.Base = (*Tree)(nil)

// Edit is the new state of a path; a nil entry says that it is gone.
type Edit struct {
	Entry *layer.Entry
	// Package is the package because of which the path changes.
	Package ecosystem.Key
	// Database says that the path belongs to the package database.
	Database bool
	// Script says that a script made it so.
	Script bool
}

// New returns a tree that is like v.
func New(v *rootfs.View) *Tree {
	return &Tree{
		base: script.View(v), view: v, over: make(map[string]Edit), added: make(map[string]map[string]bool),
		placed: make(map[string]string),
	}
}

// Lookup returns what is at a physical path; no link is followed.
func (t *Tree) Lookup(p string) (script.File, bool) {
	c, changed := t.over[p]
	switch {
	case !changed:
		return t.base.Lookup(p)
	case c.Entry == nil:
		return script.File{}, false
	case c.Entry.Type != tar.TypeLink:
		return script.File{Entry: c.Entry, Inode: c.Entry}, true
	}
	f, _ := t.linked(c.Entry)
	return script.File{Entry: c.Entry, Inode: f.Inode}, true
}

// maxLinks is Linux's limit on symbolic links in one path. Chains of hard links are cut there as well, farther than any
// that make sense could lead.
const maxLinks = 40

// linked goes to the file that a hard link among the changes is a name of.
func (t *Tree) linked(e *layer.Entry) (script.File, bool) {
	for range maxLinks {
		next, changed := t.over[e.Linkname]
		if !changed {
			f, ok := t.base.Lookup(e.Linkname)
			return script.File{Entry: f.Entry, Inode: f.Regular()}, ok
		}
		if e = next.Entry; e == nil {
			break
		}
		if e.Type != tar.TypeLink {
			return script.File{Entry: e, Inode: e}, true
		}
	}
	return script.File{}, false
}

// Edited gives the change of a physical path, if it was touched at all.
func (t *Tree) Edited(p string) (Edit, bool) {
	c, ok := t.over[p]
	return c, ok
}

// EditedPaths lists the physical paths that were touched, sorted.
func (t *Tree) EditedPaths() []string { return slices.Sorted(maps.Keys(t.over)) }

// Follow goes along a path as the kernel would, through symbolic links, the last component's only if last is set. What
// follows a missing directory is appended as it is.
func (t *Tree) Follow(p string, last bool) string {
	at, links := ".", 0
	for rest := p; rest != ""; {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		switch name {
		case "", ".":
			continue
		case "..":
			at = path.Dir(at)
			continue
		}
		next := path.Join(at, name)
		f, ok := t.Lookup(next)
		if !ok {
			return path.Join(next, path.Clean("/" + rest)[1:])
		}
		if f.Type != tar.TypeSymlink || rest == "" && !last {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return next
		}
		if strings.HasPrefix(f.Linkname, "/") {
			at = "."
		}
		rest = f.Linkname + "/" + rest
	}
	return at
}

// Place gives the physical path of a name: links in its directory are followed ("bin/ls" is "usr/bin/ls" where bin is
// a link to usr/bin).
func (t *Tree) Place(name string) string {
	if name == "." {
		return name
	}
	dir := path.Dir(name)
	at, ok := t.placed[dir]
	if !ok {
		at = t.Follow(dir, true)
		t.placed[dir] = at
	}
	return path.Join(at, path.Base(name))
}

// At looks up a name with the links in its directory followed.
func (t *Tree) At(name string) (script.File, bool) { return t.Lookup(t.Place(name)) }

// Target looks up a name with all links followed.
func (t *Tree) Target(name string) (script.File, bool) { return t.Lookup(t.Follow(name, true)) }

// Exists tells whether anything is at a physical path.
func (t *Tree) Exists(p string) bool {
	_, ok := t.Lookup(p)
	return ok
}

// Names lists the names in a physical directory, sorted.
func (t *Tree) Names(dir string) []string {
	names := make(map[string]bool)
	if c, changed := t.over[dir]; !changed || c.Entry != nil && c.Entry.IsDir() {
		for _, name := range t.base.Names(dir) {
			if c, ok := t.over[path.Join(dir, name)]; !ok || c.Entry != nil {
				names[name] = true
			}
		}
	}
	for name := range t.added[dir] {
		names[name] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// Children lists the physical paths in a physical directory, sorted.
func (t *Tree) Children(dir string) []string {
	paths := t.Names(dir)
	for i, name := range paths {
		paths[i] = path.Join(dir, name)
	}
	return paths
}

// Set puts an entry at the physical path it names.
func (t *Tree) Set(e *layer.Entry, pkg ecosystem.Key, database bool) {
	t.change(e.Path, Edit{Entry: e, Package: pkg, Database: database})
	dir, name := path.Dir(e.Path), path.Base(e.Path)
	if t.added[dir] == nil {
		t.added[dir] = make(map[string]bool)
	}
	t.added[dir][name] = true
}

// Remove takes a physical path away, which must not be a directory with anything in it.
func (t *Tree) Remove(p string, pkg ecosystem.Key, database bool) {
	t.change(p, Edit{Package: pkg, Database: database})
	delete(t.added[path.Dir(p)], path.Base(p))
}

func (t *Tree) change(p string, c Edit) {
	old, _ := t.Lookup(p)
	for _, e := range []*layer.Entry{old.Entry, c.Entry} {
		if e != nil && e.Type != tar.TypeReg && e.Type != tar.TypeLink {
			clear(t.placed)
		}
	}
	t.over[p] = c
}

// RemoveAll takes a physical path away with all that is below it.
func (t *Tree) RemoveAll(p string, pkg ecosystem.Key) {
	for _, child := range t.Children(p) {
		t.RemoveAll(child, pkg)
	}
	t.Remove(p, pkg, false)
}

// WithNames completes a header for the physical path it names: the names beside equal numbers of owners are a habit of
// whatever wrote the layer, and stay.
func (t *Tree) WithNames(h layer.Entry) layer.Entry {
	h.Uname, h.Gname = "", ""
	if old, ok := t.Lookup(h.Path); ok {
		if old.UID == h.UID {
			h.Uname = old.Uname
		}
		if old.GID == h.GID {
			h.Gname = old.Gname
		}
	}
	return h
}
