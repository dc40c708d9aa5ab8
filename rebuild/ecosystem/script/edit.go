package script

import (
	"archive/tar"
	"bytes"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/nanopatch/nanopatch/rebuild/layer"
)

// Change is the state of one path after the scripts; a nil entry says that it is removed.
type Change struct {
	Path  string
	Entry *layer.Entry
}

// Changes lists what the edits change, sorted by path.
func (t *Tree) Changes() ([]Change, error) {
	var all []Change
	for _, p := range slices.Sorted(maps.Keys(t.over)) {
		in := t.over[p]
		old, had := t.base.Lookup(p)
		if in == nil {
			if had {
				all = append(all, Change{Path: p})
			}
			continue
		}
		e, err := t.entry(p, in)
		if err != nil {
			return nil, err
		}
		if !had || !same(old, e) {
			all = append(all, Change{Path: p, Entry: e})
		}
	}
	return all, nil
}

// entry makes the archive entry of an edited file.
func (t *Tree) entry(p string, in *inode) (*layer.Entry, error) {
	header := in.Entry
	header.Path = p
	switch {
	case !in.IsRegular():
		e := header
		e.PAX = maps.Clone(in.PAX)
		return &e, nil
	case in.own:
		return layer.NewFile(header, layer.Bytes(bytes.Clone(in.data)))
	case in.from.Inode.HasContent() || in.from.Path == p:
		return header.WithContent(in.from.Inode), nil
	}
	return layer.NewFile(header, content{t.base, in.from})
}

// content is that of a file of a base.
type content struct {
	base Base
	file File
}

func (c content) Open() (layer.File, error) { return c.base.Open(c.file) }

// same tells whether replacing old by e changes anything but its time: that a script wrote what was there is no change.
func same(old File, e *layer.Entry) bool {
	o := old.Inode
	if o == nil || old.Type == tar.TypeLink || o.Type != e.Type || o.UID != e.UID || o.GID != e.GID || o.Linkname != e.Linkname {
		return false
	}
	switch e.Type {
	case tar.TypeDir:
		return o.Mode == e.Mode
	case tar.TypeSymlink:
		return true
	}
	return o.Mode == e.Mode && o.Size == e.Size && o.SHA256 == e.SHA256 && maps.Equal(xattrs(o.PAX), xattrs(e.PAX))
}

const xattrPrefix = "SCHILY.xattr."

// xattrs picks the extended attributes out of PAX records.
func xattrs(pax map[string]string) map[string]string {
	out := make(map[string]string)
	for k, v := range pax {
		if strings.HasPrefix(k, xattrPrefix) {
			out[k] = v
		}
	}
	return out
}

// set puts a file at a physical path.
func (t *Tree) set(p string, in *inode) error {
	if len(t.over) >= t.maxFiles {
		return &UnknownError{Detail: fmt.Sprintf("changes more than %d paths", t.maxFiles)}
	}
	t.over[p] = in
	dir := path.Dir(p)
	if t.added[dir] == nil {
		t.added[dir] = make(map[string]bool)
	}
	t.added[dir][base(p)] = true
	return nil
}

func (t *Tree) drop(p string) {
	t.over[p] = nil
	delete(t.added[path.Dir(p)], base(p))
}

// place finds where a path that is to be made or replaced lies. file is what is there now.
func (t *Tree) place(op, p string, follow bool) (at string, file *File, err error) {
	at, file, err = t.walk(op, p, follow)
	switch {
	case err != nil:
		return "", nil, err
	case machineOwn(at) || at == "proc" || at == "sys" || at == "dev":
		return "", nil, &UnknownError{Detail: fmt.Sprintf("changes /%s, which is the machine's and not the image's", at)}
	case file == nil && strings.Count(at, "/") > 100:
		return "", nil, pathError(op, p, syscall.ENAMETOOLONG)
	}
	return at, file, nil
}

// own returns the file at a physical path as one that can be changed.
func (t *Tree) own(p string, f File) (*inode, error) {
	if in := t.over[p]; in != nil {
		return in, nil
	}
	if f.Inode == nil || f.Type == tar.TypeLink || t.base.Linked(f) {
		return nil, &UnknownError{Detail: fmt.Sprintf("changes /%s, which has several names", p)}
	}
	in := &inode{Entry: *f.Inode, from: f}
	in.PAX = xattrs(f.Inode.PAX)
	return in, t.set(p, in)
}

func (t *Tree) newInode(kind byte, mode int64) *inode {
	return &inode{Entry: layer.Entry{Type: kind, Mode: mode, ModTime: t.time}, own: kind == tar.TypeReg}
}

// Writer writes to an open file of a Tree.
type Writer struct {
	t      *Tree
	in     *inode
	offset int64
	append bool
}

// Write implements io.Writer.
func (w *Writer) Write(b []byte) (int, error) {
	if w.append {
		w.offset = int64(len(w.in.data))
	}
	if end := w.offset + int64(len(b)); end > w.t.maxFile {
		return 0, &UnknownError{Detail: fmt.Sprintf("writes a file of more than %d bytes", w.t.maxFile)}
	}
	if gap := w.offset - int64(len(w.in.data)); gap > 0 {
		w.in.data = append(w.in.data, make([]byte, gap)...)
	}
	n := copy(w.in.data[w.offset:], b)
	w.in.data = append(w.in.data, b[n:]...)
	w.offset += int64(len(b))
	w.in.ModTime = w.t.time
	return len(b), nil
}

// How a file is opened for writing.
const (
	Truncate = iota
	Append
	Exclusive // the file must not exist
)

// Create opens a file for writing; one that does not exist is made with the given mode.
func (t *Tree) Create(p string, how int, mode int64) (*Writer, error) {
	at, f, err := t.place("open", p, how != Exclusive)
	if err != nil {
		return nil, err
	}
	if f == nil {
		if strings.HasSuffix(p, "/") {
			return nil, pathError("open", p, syscall.EISDIR)
		}
		in := t.newInode(tar.TypeReg, mode)
		return &Writer{t: t, in: in, append: how == Append}, t.set(at, in)
	}
	switch {
	case how == Exclusive:
		return nil, pathError("open", p, syscall.EEXIST)
	case f.IsDir():
		return nil, pathError("open", p, syscall.EISDIR)
	case f.Inode == nil || !f.Inode.IsRegular():
		return nil, &UnknownError{Detail: fmt.Sprintf("writes to %s, which is no regular file", p)}
	}
	in, err := t.ownContent(at, *f, how == Append)
	if err != nil {
		return nil, err
	}
	return &Writer{t: t, in: in, append: how == Append}, nil
}

// ownContent makes the content of a file writable.
func (t *Tree) ownContent(at string, f File, keep bool) (*inode, error) {
	var data []byte
	if keep {
		var err error
		if data, err = t.read("/"+at, f); err != nil {
			return nil, err
		}
	}
	in, err := t.own(at, f)
	if err != nil {
		return nil, err
	}
	in.data, in.own = bytes.Clone(data), true
	if !keep {
		in.ModTime = t.time
		delete(in.PAX, xattrPrefix+"security.capability") // the kernel drops it from a file that is written to
	}
	return in, nil
}

// WriteFile writes a whole file, in place if it exists.
func (t *Tree) WriteFile(p string, data []byte, mode int64) error {
	w, err := t.Create(p, Truncate, mode)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}
