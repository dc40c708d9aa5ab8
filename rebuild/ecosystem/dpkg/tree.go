package dpkg

import (
	"archive/tar"
	"fmt"
	"io"
	"io/fs"
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
	// added lists the names that the changes put into a directory.
	added map[string]map[string]bool
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
	return &tree{
		view: v, over: make(map[string]edit), added: make(map[string]map[string]bool), placed: make(map[string]string),
	}
}

// file is what a path holds. For a hard link, inode is the regular file it is a name of, nil if it leads nowhere.
type file struct {
	*layer.Entry
	inode *layer.Entry
}

// regular gives the regular file behind an entry, nil if it is none.
func (f file) regular() *layer.Entry {
	if f.inode == nil || !f.inode.IsRegular() {
		return nil
	}
	return f.inode
}

// lookup returns what is at a physical path; no link is followed.
func (t *tree) lookup(p string) (file, bool) {
	if e, ok := t.over[p]; ok {
		if e.entry == nil {
			return file{}, false
		}
		return file{Entry: e.entry, inode: t.inode(e.entry)}, true
	}
	n, ok := t.view.Lookup(p)
	if !ok {
		return file{}, false
	}
	return file{Entry: n.Entry, inode: n.Inode()}, true
}

// inode follows hard links among the changes, as far as any that make sense could lead; nil if they lead nowhere.
func (t *tree) inode(e *layer.Entry) *layer.Entry {
	for range maxLinks {
		if e.Type != tar.TypeLink {
			return e
		}
		next, ok := t.over[e.Linkname]
		if !ok {
			n, there := t.view.Lookup(e.Linkname)
			if !there {
				return nil
			}
			return file{Entry: n.Entry, inode: n.Inode()}.regular()
		}
		if next.entry == nil {
			return nil
		}
		e = next.entry
	}
	return nil
}

// content gives the regular file behind f with its bytes at hand, to be put elsewhere.
func (t *tree) content(f file) (*layer.Entry, error) {
	from := f.regular()
	if from.HasContent() {
		return from, nil
	}
	n, ok := t.view.Lookup(from.Path)
	if !ok {
		return nil, fmt.Errorf("opening %s: %w", from.Path, fs.ErrNotExist)
	}
	return layer.NewFile(*from, viewContent{t.view, n})
}

// readFile reads a small file as it is with the changes, links followed; nil without an error if there is none.
func (t *tree) readFile(name string) ([]byte, error) {
	at := t.follow(name, true)
	f, ok := t.lookup(at)
	if !ok || f.regular() == nil {
		return nil, nil
	}
	if f.regular().Size > maxDatabase {
		return nil, fmt.Errorf("reading %s: file of %d bytes is larger than the %d that are read", at, f.regular().Size, maxDatabase)
	}
	content, err := t.content(f)
	if err != nil {
		return nil, err
	}
	// An index is not needed to open an entry that has its content with it.
	r, err := new(layer.Index).Open(content)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, maxDatabase))
}

// viewContent is the content of a file of a view.
type viewContent struct {
	view *rootfs.View
	node rootfs.Node
}

func (c viewContent) Open() (layer.File, error) { return c.view.OpenNode(c.node) }

// maxLinks is Linux's limit on symbolic links in one path. Chains of hard links are cut there as well.
const maxLinks = 40

// follow goes along a path as the kernel would, through symbolic links, the last component's only if last is set. What
// follows a missing directory is appended as it is.
func (t *tree) follow(p string, last bool) string {
	at := "."
	links := 0
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
		f, ok := t.lookup(next)
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

// place gives the physical path of a name: links in its directory are followed ("bin/ls" is "usr/bin/ls" where bin is
// a link to usr/bin).
func (t *tree) place(name string) string {
	if name == "." {
		return name
	}
	dir := path.Dir(name)
	at, ok := t.placed[dir]
	if !ok {
		at = t.follow(dir, true)
		t.placed[dir] = at
	}
	return path.Join(at, path.Base(name))
}

// at looks up a name with the links in its directory followed.
func (t *tree) at(name string) (file, bool) { return t.lookup(t.place(name)) }

// target looks up a name with all links followed.
func (t *tree) target(name string) (file, bool) { return t.lookup(t.follow(name, true)) }

// set puts an entry at the physical path it names.
func (t *tree) set(e *layer.Entry, pkg ecosystem.Key, database bool) {
	t.change(e.Path, edit{entry: e, pkg: pkg, database: database})
	dir, name := path.Dir(e.Path), path.Base(e.Path)
	if t.added[dir] == nil {
		t.added[dir] = make(map[string]bool)
	}
	t.added[dir][name] = true
}

// remove takes a physical path away, which must not be a directory with anything in it.
func (t *tree) remove(p string, pkg ecosystem.Key, database bool) {
	t.change(p, edit{pkg: pkg, database: database})
	delete(t.added[path.Dir(p)], path.Base(p))
}

func (t *tree) change(p string, e edit) {
	old, had := t.lookup(p)
	if had && old.Type != tar.TypeReg && old.Type != tar.TypeLink ||
		e.entry != nil && e.entry.Type != tar.TypeReg && e.entry.Type != tar.TypeLink {
		clear(t.placed)
	}
	t.over[p] = e
}

// removeAll takes a physical path away with all that is below it.
func (t *tree) removeAll(p string, pkg ecosystem.Key) {
	for _, child := range t.children(p) {
		t.removeAll(child, pkg)
	}
	t.remove(p, pkg, false)
}

// children lists the physical paths in a directory, sorted.
func (t *tree) children(dir string) []string {
	names := make(map[string]bool)
	if e, changed := t.over[dir]; !changed || e.entry != nil && e.entry.IsDir() {
		for _, n := range t.view.Children(dir) {
			if e, ok := t.over[n.Path]; !ok || e.entry != nil {
				names[n.Path] = true
			}
		}
	}
	for name := range t.added[dir] {
		names[path.Join(dir, name)] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// effect lists what changed, by path.
func (t *tree) effect() []ecosystem.Change {
	var all []ecosystem.Change
	for _, p := range slices.Sorted(maps.Keys(t.over)) {
		e := t.over[p]
		old, had := t.view.Lookup(p)
		if e.entry == nil && !had {
			continue
		}
		if e.entry != nil && had && sameFile(file{Entry: old.Entry, inode: old.Inode()}, e.entry) {
			continue
		}
		all = append(all, ecosystem.Change{Path: p, Entry: e.entry, Package: e.pkg, Database: e.database})
	}
	return all
}

// sameFile tells whether replacing old by e would change anything but the spelling of owners' names.
func sameFile(old file, e *layer.Entry) bool {
	if old.Type != e.Type || old.UID != e.UID || old.GID != e.GID || old.Linkname != e.Linkname {
		return false
	}
	if e.Type == tar.TypeDir {
		// The time of a directory follows from what is done in it.
		return old.Mode == e.Mode
	}
	return (old.Mode == e.Mode || e.Type == tar.TypeSymlink) &&
		old.Size == e.Size && old.SHA256 == e.SHA256 && !old.Sparse &&
		old.ModTime.Unix() == e.ModTime.Unix() && old.Devmajor == e.Devmajor && old.Devminor == e.Devminor &&
		maps.Equal(xattrs(old.PAX), xattrs(e.PAX))
}

// xattrPrefix marks the PAX records that are extended attributes.
const xattrPrefix = "SCHILY.xattr."

// xattrs picks the extended attributes out of an archive entry's PAX records; the others describe the header and are
// made anew when it is written.
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
