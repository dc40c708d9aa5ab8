package script

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/layer"
)

// Tree is a Base with the edits of scripts on top. It is a Base itself. It is not safe for concurrent use.
//
// Its methods take paths of any spelling, absolute or relative to the root, and follow symbolic links as the kernel
// does, inside the tree. Errors are *fs.PathError with a syscall.Errno; where the effect of an edit cannot be told they are
// an *UnknownError.
type Tree struct {
	base Base
	over map[string]*inode // by physical path; nil: removed
	// added lists the names that edits put into a directory.
	added map[string]map[string]bool
	time  time.Time
	// maxFile bounds the size of a file that is read or written whole, in bytes; maxFiles the number of edited paths.
	maxFile  int64
	maxFiles int
}

// inode is a file that edits made or changed.
type inode struct {
	layer.Entry
	// data is the content if own is set; else it is that of the file from.
	data []byte
	own  bool
	from File
}

// Bounds of a tree.
const (
	defaultMaxFile  = 16 << 20
	defaultMaxFiles = 20_000
	maxLinks        = 40 // Linux's MAXSYMLINKS
	maxPath         = 4096
)

// NewTree returns a tree that is like base, where new files get the time t.
func NewTree(base Base, t time.Time) *Tree {
	return &Tree{
		base: base, over: make(map[string]*inode), added: make(map[string]map[string]bool), time: t,
		maxFile: defaultMaxFile, maxFiles: defaultMaxFiles,
	}
}

// Time is the time that new files get.
func (t *Tree) Time() time.Time { return t.time }

func base(p string) string { return path.Base(p) }

func pathError(op, p string, errno syscall.Errno) error {
	return &fs.PathError{Op: op, Path: p, Err: errno}
}

// Lookup returns what is at a physical path.
func (t *Tree) Lookup(p string) (File, bool) {
	in, edited := t.over[p]
	switch {
	case !edited:
		return t.base.Lookup(p)
	case in == nil:
		return File{}, false
	}
	in.Size = in.size()
	return File{Entry: &in.Entry, Inode: &in.Entry}, true
}

func (in *inode) size() int64 {
	if in.own {
		return int64(len(in.data))
	}
	return in.Size
}

// Names lists the names in a physical directory, sorted.
func (t *Tree) Names(dir string) []string {
	names := make(map[string]bool)
	for _, name := range t.base.Names(dir) {
		if in, edited := t.over[path.Join(dir, name)]; !edited || in != nil {
			names[name] = true
		}
	}
	for name := range t.added[dir] {
		names[name] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// Open opens the content of a regular file.
func (t *Tree) Open(f File) (layer.File, error) {
	for _, in := range t.over {
		if in != nil && f.Inode == &in.Entry {
			if in.own {
				return layer.Bytes(in.data).Open()
			}
			return t.base.Open(in.from)
		}
	}
	return t.base.Open(f)
}

// Linked tells whether a regular file has more names than one. Edits make no hard links.
func (t *Tree) Linked(f File) bool { return t.base.Linked(f) }

// walk goes along a path as the kernel would, the last component's link only if follow is set. It returns the physical
// path; where the last component does not exist, file is nil and the error nil. A path that ends in a slash leads to a
// directory.
func (t *Tree) walk(op, p string, follow bool) (at string, file *File, err error) {
	if p == "" || len(p) > maxPath {
		return "", nil, pathError(op, p, syscall.ENOENT)
	}
	at = "."
	root, _ := t.Lookup(".")
	here, links := &root, 0
	for rest := p; rest != ""; {
		var name string
		var more bool
		name, rest, more = strings.Cut(rest, "/")
		if here == nil {
			if strings.Trim(name+rest, "/") == "" {
				break // a slash behind what is to be made
			}
			return at, nil, pathError(op, p, syscall.ENOENT)
		}
		if name != "" && !here.IsDir() {
			return at, nil, pathError(op, p, syscall.ENOTDIR)
		}
		switch name {
		case "", ".":
			continue
		case "..":
			at = path.Dir(at)
			here = t.at(at)
			continue
		}
		next := path.Join(at, name)
		f := t.at(next)
		if f == nil || f.Type != tar.TypeSymlink || !more && !follow {
			at, here = next, f
			continue
		}
		if links++; links > maxLinks {
			return at, nil, pathError(op, p, syscall.ELOOP)
		}
		if strings.HasPrefix(f.Linkname, "/") {
			at = "."
			here = t.at(at)
		}
		if f.Linkname == "" {
			return at, nil, pathError(op, p, syscall.ENOENT)
		}
		if more {
			rest = f.Linkname + "/" + rest
		} else {
			rest = f.Linkname
		}
	}
	return at, here, nil
}

func (t *Tree) at(p string) *File {
	f, ok := t.Lookup(p)
	if !ok {
		return nil
	}
	return &f
}

// Stat describes what a path leads to: its physical path and the entry with its attributes, whose Path and Linkname
// mean nothing.
func (t *Tree) Stat(p string) (string, *layer.Entry, error) { return t.stat("stat", p, true) }

// Lstat is Stat, but does not follow the last component.
func (t *Tree) Lstat(p string) (string, *layer.Entry, error) { return t.stat("lstat", p, false) }

func (t *Tree) stat(op, p string, follow bool) (string, *layer.Entry, error) {
	at, f, err := t.find(op, p, follow)
	if err != nil {
		return "", nil, err
	}
	return at, f.Inode, nil
}

// find goes to an existing file.
func (t *Tree) find(op, p string, follow bool) (string, File, error) {
	at, f, err := t.walk(op, p, follow)
	switch {
	case err != nil:
		return "", File{}, err
	case machineOwn(at):
		return "", File{}, &UnknownError{Detail: fmt.Sprintf("looks at /%s, which is the machine's and not the image's", at)}
	case f == nil && at == devNull:
		e := &layer.Entry{Path: at, Type: tar.TypeChar, Mode: 0o666, Devmajor: 1, Devminor: 3}
		return at, File{Entry: e, Inode: e}, nil
	case f == nil:
		return at, File{}, pathError(op, p, syscall.ENOENT)
	case f.Inode == nil:
		return "", File{}, &UnknownError{Detail: fmt.Sprintf("%s is a hard link that leads nowhere", p)}
	}
	return at, *f, nil
}

// machineOwn tells whether a physical path belongs to what the kernel provides when a container runs.
func machineOwn(p string) bool {
	top, rest, _ := strings.Cut(p, "/")
	return (top == "proc" || top == "sys" || top == "dev") && rest != "" && p != devNull
}

// devNull is the one device that is the same everywhere.
const devNull = "dev/null"

// Exists tells whether a path leads to something.
func (t *Tree) Exists(p string) bool { _, _, err := t.Stat(p); return err == nil }

// ReadFile returns the content of a regular file.
func (t *Tree) ReadFile(p string) ([]byte, error) {
	_, f, err := t.find("open", p, true)
	if err != nil {
		return nil, err
	}
	return t.read(p, f)
}

func (t *Tree) read(p string, f File) ([]byte, error) {
	switch {
	case f.Inode.IsDir():
		return nil, pathError("read", p, syscall.EISDIR)
	case !f.Inode.IsRegular() || f.Inode.Sparse:
		return nil, &UnknownError{Detail: fmt.Sprintf("reads %s, which is no regular file", p)}
	case f.Inode.Size > t.maxFile:
		return nil, &UnknownError{Detail: fmt.Sprintf("reads %s of %d bytes", p, f.Inode.Size)}
	case f.Inode.Size == 0:
		return nil, nil
	}
	r, err := t.Open(f)
	if errors.Is(err, layer.ErrNotKept) {
		return nil, &UnknownError{Detail: fmt.Sprintf("reads %s, whose content is not at hand", p)}
	}
	if err != nil {
		return nil, &UnknownError{Detail: err.Error()}
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, t.maxFile))
	if err != nil {
		return nil, &UnknownError{Detail: fmt.Sprintf("reading %s: %v", p, err)}
	}
	return data, nil
}

// Readlink returns the target of a symbolic link.
func (t *Tree) Readlink(p string) (string, error) {
	_, f, err := t.find("readlink", p, false)
	if err != nil {
		return "", err
	}
	if f.Type != tar.TypeSymlink {
		return "", pathError("readlink", p, syscall.EINVAL)
	}
	return f.Linkname, nil
}

// ReadDir lists the names in a directory, sorted.
func (t *Tree) ReadDir(p string) ([]string, error) {
	at, f, err := t.find("open", p, true)
	if err != nil {
		return nil, err
	}
	if !f.IsDir() {
		return nil, pathError("open", p, syscall.ENOTDIR)
	}
	if at == "proc" || at == "sys" || at == "dev" {
		return nil, &UnknownError{Detail: fmt.Sprintf("lists /%s, which is the machine's", at)}
	}
	return t.Names(at), nil
}

// Resolve returns the physical path of what a path leads to, which need not exist but for its directory.
func (t *Tree) Resolve(p string, follow bool) (string, error) {
	at, _, err := t.walk("resolve", p, follow)
	return at, err
}
