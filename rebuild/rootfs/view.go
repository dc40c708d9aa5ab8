package rootfs

import (
	"archive/tar"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/layer"
)

// View is the tree of the lowest layers of a stack, as a container made of them would see it. It is immutable and
// safe for concurrent use.
//
// A physical path is one that no symbolic link is part of, but for its last component. Paths are relative to the
// root ("usr/bin/ls"), and "." is the root.
type View struct {
	stack *Stack
	limit int
}

// Len is the number of layers that the view shows.
func (v *View) Len() int { return v.limit }

// Lookup returns what is at a clean physical path. No symbolic link is followed.
func (v *View) Lookup(path string) (Node, bool) {
	w := newWalker(v.stack.root, v.limit)
	if path == "." {
		return v.root(), true
	}
	for {
		name, rest, more := strings.Cut(path, "/")
		n, r, implicit := w.look(name)
		if r == nil {
			return Node{}, false
		}
		if !more {
			return nodeOf(n, r, implicit), true
		}
		if !implicit && !r.isDir() {
			return Node{}, false
		}
		w.push(n)
		path = rest
	}
}

func (v *View) root() Node {
	r, implicit := v.stack.root.visible(v.limit, 0)
	if r == nil {
		return impliedDir(".", 0)
	}
	return nodeOf(v.stack.root, r, implicit)
}

// Resolve returns the physical path of what path names, all symbolic links followed. Absolute paths and links begin
// at the root of the tree, and ".." does not leave it. The error is fs.ErrNotExist, ErrLoop, or says that the path
// goes on below a file (which is an fs.ErrNotExist, too).
func (v *View) Resolve(path string) (string, error) {
	n, err := v.follow(path, true)
	if err != nil {
		return "", fmt.Errorf("resolving %s: %w", path, err)
	}
	return n.Path, nil
}

// ResolveDir returns where a file of the given path lies: symbolic links are followed in its directories, not in its
// last component ("bin/ls" is "usr/bin/ls" where bin is a link to usr/bin). Nothing needs to exist: what follows the
// last directory that does is appended as it is. The error is ErrLoop.
func (v *View) ResolveDir(p string) (string, error) {
	w := newWalker(v.stack.root, v.limit)
	file, missing, err := w.walk(strings.TrimRight(p, "/"), false)
	switch {
	case errors.Is(err, ErrLoop):
		return "", fmt.Errorf("resolving %s: %w", p, err)
	case err != nil:
		return path.Join(w.here().node.path(), rooted(missing)), nil //nolint:nilerr // what is missing need not exist
	case file != nil:
		return file.path(), nil
	}
	return w.here().node.path(), nil
}

// rooted cleans a path so that it cannot climb.
func rooted(p string) string { return path.Clean("/" + p)[1:] }

// follow goes to what path names.
func (v *View) follow(path string, last bool) (Node, error) {
	w := newWalker(v.stack.root, v.limit)
	file, _, err := w.walk(path, last)
	switch {
	case err != nil:
		return Node{}, err
	case file != nil:
		r, implicit := file.visible(v.limit, w.here().floor)
		return nodeOf(file, r, implicit), nil
	case len(w.steps) == 1:
		return v.root(), nil
	}
	dir := w.here().node
	r, implicit := dir.visible(v.limit, w.steps[len(w.steps)-2].floor)
	return nodeOf(dir, r, implicit), nil
}

// Children returns what is in a physical directory, sorted by name; nothing for all else.
func (v *View) Children(path string) []Node {
	w := newWalker(v.stack.root, v.limit)
	if path != "." {
		for name := range strings.SplitSeq(path, "/") {
			n, r, implicit := w.look(name)
			if r == nil || !implicit && !r.isDir() {
				return nil
			}
			w.push(n)
		}
	}
	return children(w)
}

// children lists the directory that the walker is in.
func children(w *walker) []Node {
	here := w.here()
	nodes := make([]Node, 0, len(here.node.children))
	for _, n := range here.node.children {
		if r, implicit := n.visible(w.limit, here.floor); r != nil {
			nodes = append(nodes, nodeOf(n, r, implicit))
		}
	}
	slices.SortFunc(nodes, func(a, b Node) int { return strings.Compare(a.Path, b.Path) })
	return nodes
}

// Walk calls f for every node of the tree: the root first, a directory before what is in it, siblings by name. An
// error of f ends the walk and is returned, but for fs.SkipDir, which skips a directory's content or the
// rest of a file's siblings, and fs.SkipAll.
func (v *View) Walk(f func(Node) error) error {
	err := f(v.root())
	if err == nil {
		err = walkDir(newWalker(v.stack.root, v.limit), f)
	}
	if errors.Is(err, fs.SkipDir) || errors.Is(err, fs.SkipAll) {
		return nil
	}
	return err
}

func walkDir(w *walker, f func(Node) error) error {
	depth := len(w.steps)
	for _, n := range children(w) {
		err := f(n)
		if err == nil && n.IsDir() {
			w.push(w.here().node.children[path.Base(n.Path)])
			err = walkDir(w, f)
			w.steps = w.steps[:depth]
		}
		if errors.Is(err, fs.SkipDir) {
			if n.IsDir() {
				continue
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// OpenNode opens the content of a regular file or of a hard link to one. The error is layer.ErrNotKept where the index
// of its layer has no content and the stack no way to get it (see [Stack.WithContent]), fs.ErrNotExist for a hard link that
// leads nowhere, fs.ErrInvalid for all that has no content.
func (v *View) OpenNode(n Node) (layer.File, error) {
	e, index := n.Entry, n.Layer
	if n.target != nil {
		e, index = n.target, n.targetLayer
	}
	switch {
	case !e.IsRegular() && e.Type != tar.TypeLink:
		return nil, fmt.Errorf("opening %s: not a regular file: %w", n.Path, fs.ErrInvalid)
	case e.IsRegular() && e.Size == 0:
		return layer.Bytes(nil).Open() // at hand even where the index kept nothing
	}
	f, err := v.stack.layers[index].Open(e)
	if errors.Is(err, layer.ErrNotKept) && v.stack.content != nil {
		f, err = v.stack.content(index, e)
	}
	if errors.Is(err, layer.ErrLinkTarget) {
		err = fmt.Errorf("%w: %w", err, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("opening %s in layer %d: %w", n.Path, index, err)
	}
	return f, nil
}
