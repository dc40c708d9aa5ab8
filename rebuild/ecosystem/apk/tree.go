package apk

import (
	"archive/tar"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// tree is an image's tree with changes on top, as an upgrade makes them.
type tree struct {
	view *rootfs.View
	over map[string]edit
	// placed caches the physical paths of directories; it lasts until a link or directory changes.
	placed map[string]string
}

// edit is the new state of a path; a nil entry says that it is gone.
type edit struct {
	entry    *layer.Entry
	pkg      ecosystem.Key
	database bool
}

func newTree(v *rootfs.View) *tree {
	return &tree{view: v, over: make(map[string]edit), placed: make(map[string]string)}
}

// lookup returns what is at a physical path; no link is followed. inode is the regular file behind a hard link, nil if
// it leads nowhere, and the entry itself for all else.
func (t *tree) lookup(p string) (e, inode *layer.Entry) {
	if c, ok := t.over[p]; ok {
		if c.entry != nil && c.entry.Type == tar.TypeLink {
			_, inode = t.lookup(c.entry.Linkname)
			return c.entry, inode
		}
		return c.entry, c.entry
	}
	n, ok := t.view.Lookup(p)
	if !ok {
		return nil, nil
	}
	return n.Entry, n.Inode()
}

// maxLinks is Linux's limit on symbolic links in one path.
const maxLinks = 40

// follow goes along a path as the kernel would, through symbolic links, the last component's too. What
// follows a missing directory is appended as it is.
func (t *tree) follow(p string) string {
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
		e, _ := t.lookup(next)
		if e == nil {
			return path.Join(next, path.Clean("/" + rest)[1:])
		}
		if e.Type != tar.TypeSymlink {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return next
		}
		if strings.HasPrefix(e.Linkname, "/") {
			at = "."
		}
		rest = e.Linkname + "/" + rest
	}
	return at
}

// place gives the physical path of a name: links in its directory are followed ("lib/libz.so" is "usr/lib/libz.so"
// where lib is a link to usr/lib).
func (t *tree) place(name string) string {
	dir := path.Dir(name)
	at, ok := t.placed[dir]
	if !ok {
		at = t.follow(dir)
		t.placed[dir] = at
	}
	return path.Join(at, path.Base(name))
}

// set puts an entry at the physical path it names.
func (t *tree) set(e *layer.Entry, pkg ecosystem.Key, database bool) {
	t.change(e.Path, edit{entry: e, pkg: pkg, database: database})
}

// remove takes a physical path away, which must not be a directory with anything in it.
func (t *tree) remove(p string, pkg ecosystem.Key) {
	t.change(p, edit{pkg: pkg})
}

func (t *tree) change(p string, e edit) {
	old, _ := t.lookup(p)
	for _, x := range []*layer.Entry{old, e.entry} {
		if x != nil && !x.IsRegular() && x.Type != tar.TypeLink {
			clear(t.placed)
		}
	}
	t.over[p] = e
}

// empty tells whether nothing is in a directory.
func (t *tree) empty(dir string) bool {
	for _, n := range t.view.Children(dir) {
		if c, ok := t.over[n.Path]; !ok || c.entry != nil {
			return false
		}
	}
	for p, c := range t.over {
		if c.entry != nil && path.Dir(p) == dir {
			return false
		}
	}
	return true
}

// header completes an entry for a physical path: the names beside equal numbers are a habit of whatever wrote the layer.
func (t *tree) header(h layer.Entry) layer.Entry {
	h.Uname, h.Gname = "", ""
	if _, old := t.lookup(h.Path); old != nil {
		if old.UID == h.UID {
			h.Uname = old.Uname
		}
		if old.GID == h.GID {
			h.Gname = old.Gname
		}
	}
	return h
}

// effect lists what changed, by path. Files that are hard links to each other change together.
func (t *tree) effect() []ecosystem.Change {
	changed := make(map[string]bool)
	for p, c := range t.over {
		old, ok := t.view.Lookup(p)
		switch {
		case c.entry == nil:
			changed[p] = ok
		case !ok:
			changed[p] = true
		default:
			_, inode := t.lookup(p)
			changed[p] = !sameFile(old, c.entry, inode)
		}
	}
	for p, c := range t.over {
		if c.entry != nil && c.entry.Type == tar.TypeLink && (changed[p] || changed[c.entry.Linkname]) {
			changed[p] = true
			if _, ours := t.over[c.entry.Linkname]; ours {
				changed[c.entry.Linkname] = true
			}
		}
	}
	var all []ecosystem.Change
	for _, p := range slices.Sorted(maps.Keys(t.over)) {
		if c := t.over[p]; changed[p] {
			all = append(all, ecosystem.Change{Path: p, Entry: c.entry, Package: c.pkg, Database: c.database})
		}
	}
	return all
}

// sameFile tells whether replacing a node by an entry would change anything but the spelling of owners' names.
func sameFile(old rootfs.Node, e, inode *layer.Entry) bool {
	was := old.Inode()
	if was == nil || inode == nil || old.Type != e.Type || was.UID != inode.UID || was.GID != inode.GID || old.Linkname != e.Linkname {
		return false
	}
	if e.Type == tar.TypeDir {
		// The time of a directory follows from what is done in it.
		return old.Mode == e.Mode
	}
	return (was.Mode == inode.Mode || e.Type == tar.TypeSymlink) &&
		was.Size == inode.Size && was.SHA256 == inode.SHA256 && !was.Sparse && was.ModTime.Unix() == inode.ModTime.Unix() &&
		was.Devmajor == inode.Devmajor && was.Devminor == inode.Devminor && maps.Equal(xattrs(was.PAX), xattrs(inode.PAX))
}

// xattrPrefix marks the PAX records that are extended attributes.
const xattrPrefix = "SCHILY.xattr."

// xattrs picks the extended attributes out of an archive entry's PAX records; the others describe the header, or are
// apk's own.
func xattrs(pax map[string]string) map[string]string {
	var out map[string]string
	for k, v := range pax {
		if strings.HasPrefix(k, xattrPrefix) {
			if out == nil {
				out = make(map[string]string)
			}
			out[k] = v
		}
	}
	return out
}
