package rootfs

import (
	"archive/tar"
	"io/fs"
	"path"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/layer"
)

// Node is a path of a tree and the layer it comes from. One made by hand of an entry of a layer and the layer's
// index is good for View.OpenNode, too.
type Node struct {
	// Entry is the tar header. Its Path is where the tree holds the file; see Archived for its name in the archive.
	*layer.Entry
	// Layer is the index of the layer in the stack, from 0 at the bottom.
	Layer int
	// Implicit marks a directory that no entry describes: Layer is the one that put something below it, and the entry
	// is made up (mode 0755, owner 0:0, time 1970-01-01). The root of a tree may be implicit too.
	Implicit bool

	archived, target *layer.Entry
	targetLayer      int
}

// Archived returns the entry as the index of its layer has it: the same as Entry, but for an entry that lies
// below a symbolic link and therefore elsewhere in the tree. Its Path is the key for editing the layer. It is nil for
// an implicit directory, which has no entry.
func (n Node) Archived() *layer.Entry {
	if n.archived == nil && !n.Implicit {
		return n.Entry
	}
	return n.archived
}

// Inode returns the entry whose file this is: for a hard link the one it shares its content, mode and owner with
// (never itself a hard link) as its archive has it, nil if the link leads nowhere; for all else Entry.
func (n Node) Inode() *layer.Entry {
	if n.Type == tar.TypeLink {
		return n.target
	}
	return n.Entry
}

func nodeOf(n *node, r *record, implicit bool) Node {
	if implicit {
		return impliedDir(n.path(), r.layer)
	}
	return Node{Entry: r.entry, Layer: r.layer, archived: r.archived, target: r.inode, targetLayer: r.inodeLayer}
}

func impliedDir(path string, index int) Node {
	e := &layer.Entry{Path: path, Type: tar.TypeDir, Mode: 0o755, ModTime: time.Unix(0, 0).UTC()}
	return Node{Entry: e, Layer: index, Implicit: true}
}

// info makes a Node an fs.FileInfo and fs.DirEntry under the name it was asked for.
type info struct {
	name string
	node Node
}

var (
	_ fs.FileInfo = info{}
	_ fs.DirEntry = info{}
)

func (i info) Name() string               { return i.name }
func (i info) IsDir() bool                { return i.node.IsDir() }
func (i info) Type() fs.FileMode          { return i.Mode().Type() }
func (i info) Info() (fs.FileInfo, error) { return i, nil }
func (i info) String() string             { return fs.FormatDirEntry(i) }

// Sys returns the *layer.Entry of the file.
func (i info) Sys() any { return i.entry() }

func (i info) entry() *layer.Entry {
	if e := i.node.Inode(); e != nil {
		return e
	}
	return i.node.Entry
}

func (i info) Size() int64 {
	if e := i.entry(); e.Type == tar.TypeSymlink {
		return int64(len(e.Linkname))
	}
	return i.entry().Size
}

func (i info) ModTime() time.Time { return i.entry().ModTime }

// Mode translates the tar header's mode and type.
func (i info) Mode() fs.FileMode {
	e := i.entry()
	mode := fs.FileMode(e.Mode & 0o777)
	if e.Mode&0o4000 != 0 {
		mode |= fs.ModeSetuid
	}
	if e.Mode&0o2000 != 0 {
		mode |= fs.ModeSetgid
	}
	if e.Mode&0o1000 != 0 {
		mode |= fs.ModeSticky
	}
	switch e.Type {
	case tar.TypeDir:
		mode |= fs.ModeDir
	case tar.TypeSymlink:
		mode |= fs.ModeSymlink
	case tar.TypeChar:
		mode |= fs.ModeDevice | fs.ModeCharDevice
	case tar.TypeBlock:
		mode |= fs.ModeDevice
	case tar.TypeFifo:
		mode |= fs.ModeNamedPipe
	}
	return mode
}

func infoOf(n Node) info { return info{name: path.Base(n.Path), node: n} }
