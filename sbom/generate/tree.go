package generate

import (
	"archive/tar"
	"errors"
	"io"
	"time"

	stereoscope "github.com/anchore/stereoscope/pkg/file"
)

// ErrNotKept says that a file's content is not at hand and would have to be fetched.
var ErrNotKept = errors.New("content is not kept")

// Tree is the file system of an image as its top layer leaves it. rebuild/rootfs has one; anything that can tell the
// layer of a path will do. A Tree is read by several goroutines at once.
type Tree interface {
	// Walk calls f for every visible path, each once.
	Walk(f func(Node) error) error
	// Open opens the content of the regular file at a path that Walk named.
	Open(path string) (File, error)
	// OpenKept is Open, but returns ErrNotKept where the content would have to be fetched first.
	OpenKept(path string) (File, error)
}

// LayeredTree is a Tree that also shows each layer by itself, which is what the scope of all layers is made of.
type LayeredTree interface {
	Tree
	// WalkLayer calls f for every entry of a layer's archive, each path once, whiteouts among them under their names there
	// (OCI image spec, layer.md). A hard link to a file of the same archive is shown as that file.
	WalkLayer(layer int, f func(Node) error) error
	// OpenIn opens the content of the regular file at a path that WalkLayer named.
	OpenIn(layer int, path string) (File, error)
	// OpenKeptIn is OpenIn, but returns ErrNotKept where the content would have to be fetched first.
	OpenKeptIn(layer int, path string) (File, error)
}

// File is an opened regular file.
type File interface {
	io.Reader
	io.ReaderAt
	io.Seeker
	io.Closer
}

// Node is one path of a Tree.
type Node struct {
	// Path is clean, slash-separated and relative to the root: "usr/bin/ls". The root itself is ".".
	Path string
	// Type is the tar type flag. A hard link is shown as the file it names: tar.TypeReg with that file's size and digest.
	Type byte
	// Mode holds the permission bits with setuid, setgid and sticky as a tar header has them.
	Mode int64
	// UID and GID are the numeric owners.
	UID, GID int
	// Size is the length of a regular file in bytes.
	Size int64
	// ModTime is the time of the last change.
	ModTime time.Time
	// Linkname is the target of a symbolic link, verbatim.
	Linkname string
	// Layer is the index of the layer that holds the path.
	Layer int
	// SHA256 is the digest of a regular file's content; zero where it is not known.
	SHA256 [32]byte
}

// metadata is the node in the catalogers' words; its MIME type is left out.
func (n *Node) metadata() stereoscope.Metadata {
	header := tar.Header{Name: n.Path, Typeflag: n.Type, Mode: n.Mode, Size: n.Size, ModTime: n.ModTime}
	info := header.FileInfo()
	return stereoscope.Metadata{
		FileInfo: stereoscope.ManualInfo{
			NameValue: info.Name(), SizeValue: info.Size(), ModeValue: info.Mode(), ModTimeValue: info.ModTime(),
		},
		Path:            "/" + n.Path,
		LinkDestination: n.Linkname,
		UserID:          n.UID,
		GroupID:         n.GID,
		Type:            stereoscope.TypeFromTarType(n.Type),
	}
}
