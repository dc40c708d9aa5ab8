package rootfs

import (
	"archive/tar"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/layer"
)

// maxImplied bounds the directories that exist only as parents of entries, so that a small archive of deep
// paths cannot fill the memory. Real images have a few dozen.
const maxImplied = 1 << 18

// maxPath is Linux's PATH_MAX; it bounds the depth of a tree.
const maxPath = 4096

// PathError says which entry of which layer cannot be part of a tree.
type PathError struct {
	Layer int    // index in the stack
	Path  string // as the index has it
	Err   error
}

func (e *PathError) Error() string {
	return fmt.Sprintf("layer %d: entry %q: %v", e.Layer, e.Path, e.Err)
}

func (e *PathError) Unwrap() error { return e.Err }

var (
	errNotClean = errors.New("path is not clean and relative")
	errRoot     = errors.New("the root is not a directory")
	errWhiteout = errors.New("whiteout without a name")
	errTooLong  = errors.New("path is longer than any system allows")
	errTooMany  = errors.New("too many directories without an entry of their own")
)

// builder adds layers to a tree, in order.
type builder struct {
	root  *node
	layer int
	// dirs remembers where the directories of the current layer's paths are in the tree. Whatever may redirect a
	// path empties it.
	dirs map[string]directory
	// pending are hard links whose target the archive has not named yet.
	pending []link
	implied int
}

// directory is where a directory of the archive is in the tree; moved if a symbolic link led there.
type directory struct {
	node  *node
	moved bool
}

type link struct {
	node *node
	at   position
}

func (b *builder) add(index int, x *layer.Index) error {
	b.layer, b.dirs, b.pending = index, make(map[string]directory), b.pending[:0]
	for i := range x.Entries {
		e := &x.Entries[i]
		if err := b.place(e, positionOf(index, i)); err != nil {
			return &PathError{Layer: index, Path: e.Path, Err: err}
		}
	}
	b.linkPending()
	return nil
}

// place puts one entry into the tree.
func (b *builder) place(e *layer.Entry, at position) error {
	if e.Path != path.Clean(e.Path) || e.Path == ".." || strings.HasPrefix(e.Path, "../") || e.Path[0] == '/' {
		return errNotClean
	}
	if len(e.Path) >= maxPath {
		return errTooLong
	}
	if _, opaque, ok := e.Whiteout(); ok {
		return b.whiteout(e, opaque)
	}
	if e.Path == "." {
		if !e.IsDir() {
			return errRoot
		}
		b.set(b.root, e, e, at)
		return nil
	}
	dir, name := split(e.Path)
	parent, known := b.dirs[dir]
	if !known {
		var err error
		if parent, err = b.directory(dir); err != nil {
			return err
		}
		b.dirs[dir] = parent
		for n := parent.node; n != nil; n = n.parent {
			n.record(b.layer).below = at
		}
	}
	n, made := parent.node.child(name)
	if !made && (!e.IsDir() || !n.alwaysDir()) {
		clear(b.dirs)
	}
	physical := e
	if parent.moved {
		c := *e
		c.Path = n.path()
		physical = &c
	}
	b.set(n, physical, e, at)
	return nil
}

// set makes an entry what the current layer says of a path.
func (b *builder) set(n *node, e, archived *layer.Entry, at position) {
	r := n.record(b.layer)
	r.entry, r.archived, r.at = e, archived, at
	r.inode, r.inodeLayer = archived, b.layer
	if !e.IsDir() {
		r.floor = at
	}
	if e.Type == tar.TypeLink && !b.link(r) {
		b.pending = append(b.pending, link{n, at})
	}
}

// whiteout hides a path, or a directory's content, of the layers below.
func (b *builder) whiteout(e *layer.Entry, opaque bool) error {
	dir, name := split(e.Path)
	parent, err := b.directory(dir)
	if err != nil {
		return err
	}
	clear(b.dirs)
	if opaque {
		r := parent.node.record(b.layer)
		r.opaque, r.floor = e, max(r.floor, startOf(b.layer))
		return nil
	}
	hidden := strings.TrimPrefix(name, ".wh.")
	if hidden == "" || hidden == "." || hidden == ".." {
		return errWhiteout
	}
	n, _ := parent.node.child(hidden)
	r := n.record(b.layer)
	r.whiteout, r.floor = e, max(r.floor, startOf(b.layer))
	return nil
}

// link finds the file that a hard link shares, in the tree as it is at this point of the archive.
func (b *builder) link(r *record) bool {
	r.inode = nil
	w := newWalker(b.root, b.layer+1)
	file, _, err := w.walk(r.entry.Linkname, false)
	if err != nil || file == nil {
		return false
	}
	target, implicit := file.visible(b.layer+1, w.here().floor)
	if target == nil || implicit || target.inode == nil {
		return false
	}
	r.inode, r.inodeLayer = target.inode, target.inodeLayer
	return true
}

// linkPending tries again for links that came before their targets: no runtime would unpack such a layer, but
// one can read it.
func (b *builder) linkPending() {
	for i := len(b.pending) - 1; i >= 0; i-- {
		p := b.pending[i]
		if r := p.node.record(b.layer); r.at == p.at {
			b.link(r)
		}
	}
}

// directory finds the node of an entry's parent directory, through the symbolic links that the tree shows at this
// point, and makes what is missing.
func (b *builder) directory(dir string) (directory, error) {
	w := newWalker(b.root, b.layer+1)
	file, missing, err := w.walk(dir, true)
	if errors.Is(err, ErrLoop) {
		return directory{}, err
	}
	if file != nil { // to be replaced by the directory
		w.push(file)
	}
	for name := range strings.SplitSeq(missing, "/") {
		if w.dots(name) {
			continue
		}
		n, made := w.here().node.child(name)
		if made {
			if b.implied++; b.implied > maxImplied {
				return directory{}, errTooMany
			}
		}
		w.push(n)
	}
	return directory{node: w.here().node, moved: w.links > 0}, nil
}

// split cuts a clean path before its last component.
func split(p string) (dir, name string) {
	i := strings.LastIndexByte(p, '/')
	if i < 0 {
		return "", p
	}
	return p[:i], p[i+1:]
}
