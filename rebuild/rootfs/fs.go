package rootfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"github.com/nanopatch/nanopatch/rebuild/layer"
)

var (
	_ fs.StatFS     = (*View)(nil)
	_ fs.ReadDirFS  = (*View)(nil)
	_ fs.ReadFileFS = (*View)(nil)
	_ fs.ReadLinkFS = (*View)(nil)
)

// find goes to what an io/fs name stands for.
func (v *View) find(op, name string, follow bool) (Node, error) {
	if !fs.ValidPath(name) {
		return Node{}, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	n, err := v.follow(name, follow)
	if err != nil {
		return Node{}, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return n, nil
}

// Open opens a file or directory; symbolic links are followed inside the tree. Devices and pipes open as empty files.
func (v *View) Open(name string) (fs.File, error) {
	n, err := v.find("open", name, true)
	if err != nil {
		return nil, err
	}
	i := info{name: path.Base(name), node: n}
	if n.IsDir() {
		return &dirFile{info: i, rest: entries(v.Children(n.Path))}, nil
	}
	if e := n.Inode(); e != nil && !e.IsRegular() {
		return specialFile{i}, nil
	}
	f, err := v.OpenNode(n)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return file{f, i}, nil
}

// Stat describes a file; symbolic links are followed.
func (v *View) Stat(name string) (fs.FileInfo, error) {
	n, err := v.find("stat", name, true)
	if err != nil {
		return nil, err
	}
	return info{name: path.Base(name), node: n}, nil
}

// Lstat describes a file; a symbolic link itself if name is one.
func (v *View) Lstat(name string) (fs.FileInfo, error) {
	n, err := v.find("lstat", name, false)
	if err != nil {
		return nil, err
	}
	return info{name: path.Base(name), node: n}, nil
}

// ReadLink returns the target of a symbolic link as it is written.
func (v *View) ReadLink(name string) (string, error) {
	n, err := v.find("readlink", name, false)
	if err != nil {
		return "", err
	}
	if i := infoOf(n); i.Type() != fs.ModeSymlink {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	return n.Inode().Linkname, nil
}

// ReadDir lists a directory, sorted by name.
func (v *View) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := v.find("readdir", name, true)
	if err != nil {
		return nil, err
	}
	if !n.IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errNotDir}
	}
	return entries(v.Children(n.Path)), nil
}

// ReadFile returns the content of a regular file.
func (v *View) ReadFile(name string) ([]byte, error) {
	n, err := v.find("read", name, true)
	if err != nil {
		return nil, err
	}
	f, err := v.OpenNode(n)
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	return b, nil
}

// ReadOptional reads a file that need not be there, links followed: nil without an error if it is not, or is a directory. A file
// of more than limit bytes is an error.
func (v *View) ReadOptional(name string, limit int64) ([]byte, error) {
	f, err := v.Open(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrLoop) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		return nil, nil
	}
	if err == nil && info.Size() > limit {
		err = fmt.Errorf("file of %d bytes is larger than the %d that are read", info.Size(), limit)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	data, err := io.ReadAll(io.LimitReader(f, limit))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if data == nil {
		data = []byte{}
	}
	return data, nil
}

func entries(nodes []Node) []fs.DirEntry {
	list := make([]fs.DirEntry, len(nodes))
	for i, n := range nodes {
		list[i] = infoOf(n)
	}
	return list
}

// file is an open regular file.
type file struct {
	layer.File
	info info
}

func (f file) Stat() (fs.FileInfo, error) { return f.info, nil }

// specialFile is an open device or pipe.
type specialFile struct{ info info }

func (f specialFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f specialFile) Read([]byte) (int, error)   { return 0, io.EOF }
func (f specialFile) Close() error               { return nil }

// dirFile is an open directory.
type dirFile struct {
	info info
	rest []fs.DirEntry
}

func (d *dirFile) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *dirFile) Close() error               { return nil }

func (d *dirFile) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.info.name, Err: fs.ErrInvalid}
}

func (d *dirFile) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		n = len(d.rest)
	} else if len(d.rest) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(d.rest))
	list := d.rest[:n:n]
	d.rest = d.rest[n:]
	return list, nil
}
