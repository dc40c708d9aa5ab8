package layer

import (
	"archive/tar"
	"crypto/md5" //nolint:gosec // see Entry.MD5
	"crypto/sha256"
	"io"
	"path"
	"strings"
	"time"
)

// Entry is one entry of a layer's tar archive, as the index keeps it.
//
// The zero digest stands for "not a regular file" or, in a sparse file, "not computed".
type Entry struct {
	// Path is clean, slash-separated and relative to the root: "usr/bin/ls", never "./usr/bin/ls".
	// The root directory itself is ".". Bytes are the archive's own: they need not be UTF-8.
	Path string
	// Type is the tar type flag: tar.TypeReg, TypeDir, TypeSymlink, TypeLink, TypeChar, TypeBlock, TypeFifo.
	Type byte
	// Mode holds the permission bits with setuid, setgid and sticky, 07777 at most.
	Mode int64
	// UID and GID are the numeric owners; Uname and Gname what the header says of them, often empty.
	UID, GID     int
	Uname, Gname string
	// Size is the length of a regular file in bytes, 0 for all else.
	Size int64
	// ModTime has the precision of the header: seconds, or nanoseconds with PAX.
	ModTime time.Time
	// Linkname is the target of a symbolic link verbatim; of a hard link, the clean Path of its target.
	Linkname string
	// Devmajor and Devminor number a device node.
	Devmajor, Devminor int64
	// PAX holds the entry's PAX records verbatim, extended attributes ("SCHILY.xattr.…") among them.
	PAX map[string]string
	// Sparse marks a GNU sparse file: kept or dropped whole, its content is never read.
	Sparse bool

	SHA256 [sha256.Size]byte

	// content opens a regular file's bytes; nil where the index did not keep them. md5 is of those: who has the
	// bytes can find it.
	content Content
	md5     [md5.Size]byte

	// Where the entry lies in its archive: offset of its first header, length of its headers, and of its
	// data without padding.
	offset, head, body int64
}

// span is the number of bytes that the entry takes in its archive.
func (e *Entry) span() int64 { return e.head + aligned(e.body) }

// Content is a regular file's bytes: immutable, and opened as often as needed.
type Content interface {
	Open() (File, error)
}

// File is an opened Content.
type File interface {
	io.Reader
	io.ReaderAt
	io.Seeker
	io.Closer
}

const (
	whiteoutPrefix = ".wh."
	metaPrefix     = ".wh..wh."
	opaqueName     = ".wh..wh..opq"
)

// Whiteout tells whether the entry is a whiteout and what it hides in the layers below (OCI image spec,
// layer.md, "Whiteouts"): hidden is the path that a plain whiteout removes, or the directory whose lower
// content an opaque whiteout hides. The other names that begin with ".wh..wh." are AUFS's own and hide nothing.
func (e *Entry) Whiteout() (hidden string, opaque, ok bool) {
	dir, name := path.Split(e.Path)
	switch {
	case name == opaqueName:
		return path.Clean(dir), true, true
	case strings.HasPrefix(name, metaPrefix):
		return "", false, false
	case strings.HasPrefix(name, whiteoutPrefix):
		return path.Join(dir, strings.TrimPrefix(name, whiteoutPrefix)), false, true
	}
	return "", false, false
}

// WhiteoutPath is the path of the plain whiteout that removes p.
func WhiteoutPath(p string) string {
	dir, name := path.Split(p)
	return dir + whiteoutPrefix + name
}

// IsRegular tells whether the entry carries content of its own.
func (e *Entry) IsRegular() bool { return e.Type == tar.TypeReg }

// IsDir tells whether the entry is a directory.
func (e *Entry) IsDir() bool { return e.Type == tar.TypeDir }
