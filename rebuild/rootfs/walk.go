package rootfs

import (
	"archive/tar"
	"errors"
	"io/fs"
	"strings"
)

// ErrLoop says that a path leads through more symbolic links than Linux would follow.
var ErrLoop = errors.New("too many levels of symbolic links")

// errNotDir says that a path goes on below something that is no directory.
var errNotDir error = notDirError{}

type notDirError struct{}

func (notDirError) Error() string   { return "not a directory" }
func (notDirError) Is(e error) bool { return e == fs.ErrNotExist }

// maxLinks is Linux's MAXSYMLINKS.
const maxLinks = 40

// step is a place on the way from the root, and the floor of what lies below it.
type step struct {
	node  *node
	floor position
}

// walker follows paths through what the first limit layers show. The zero value is not usable; see newWalker.
type walker struct {
	limit int
	links int
	steps []step // from the root to where it is
}

func newWalker(root *node, limit int) *walker {
	w := &walker{limit: limit, steps: make([]step, 0, 16)}
	w.steps = append(w.steps, step{root, root.floorBelow(limit, 0)})
	return w
}

func (w *walker) here() step { return w.steps[len(w.steps)-1] }

func (w *walker) push(n *node) {
	w.steps = append(w.steps, step{n, n.floorBelow(w.limit, w.here().floor)})
}

// look returns what is visible under a name in the current directory.
func (w *walker) look(name string) (n *node, r *record, implicit bool) {
	here := w.here()
	n = here.node.children[name]
	if n == nil {
		return nil, nil, false
	}
	r, implicit = n.visible(w.limit, here.floor)
	return n, r, implicit
}

// walk goes along path, a relative or absolute one of any spelling, as the kernel would: through symbolic links, the
// last component's only if follow is set. At its end the walker is in the directory that path names, and file is
// nil; or file is what path names in that directory. Where nothing is there the error is fs.ErrNotExist, the walker
// is in the last directory that exists, and missing is the rest of the way; a rest that begins with a file that is
// no directory has an error that says so.
func (w *walker) walk(path string, follow bool) (file *node, missing string, err error) {
	rest := path
	for rest != "" {
		var name string
		whole := rest
		name, rest, _ = strings.Cut(rest, "/")
		if w.dots(name) {
			continue
		}
		n, r, implicit := w.look(name)
		if r == nil {
			return nil, whole, fs.ErrNotExist
		}
		switch {
		case implicit || r.isDir():
			w.push(n)
		case r.inode != nil && r.inode.Type == tar.TypeSymlink && (follow || rest != ""):
			if rest, err = w.readLink(r.inode.Linkname, rest); err != nil {
				return nil, whole, err
			}
		case rest != "":
			return nil, whole, errNotDir
		default:
			return n, "", nil
		}
	}
	return nil, "", nil
}

// dots handles the components that name no child.
func (w *walker) dots(name string) bool {
	switch name {
	case "", ".":
	case "..":
		if len(w.steps) > 1 {
			w.steps = w.steps[:len(w.steps)-1]
		}
	default:
		return false
	}
	return true
}

// readLink returns the way to go after a symbolic link.
func (w *walker) readLink(target, rest string) (string, error) {
	if w.links++; w.links > maxLinks {
		return "", ErrLoop
	}
	if target == "" {
		return "", fs.ErrNotExist
	}
	if target[0] == '/' {
		w.steps = w.steps[:1]
	}
	if rest == "" {
		return target, nil
	}
	return target + "/" + rest, nil
}
