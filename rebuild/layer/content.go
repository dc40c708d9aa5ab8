package layer

import (
	"archive/tar"
	"bytes"
	"crypto/md5" //nolint:gosec // dpkg and apk databases name files by MD5; nothing is trusted because of it
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
)

// Bytes is content held in memory. The slice must not change afterwards.
func Bytes(b []byte) Content { return memory(b) }

type memory []byte

func (m memory) Open() (File, error) { return memoryFile{bytes.NewReader(m)}, nil }

type memoryFile struct{ *bytes.Reader }

func (memoryFile) Close() error { return nil }

// NewFile returns a regular file with the path, mode, owner, time and records of header and the content c,
// which it reads once for size and digests. Type and all that describes content in header is ignored.
func NewFile(header Entry, c Content) (*Entry, error) {
	f, err := c.Open()
	if err != nil {
		return nil, fmt.Errorf("opening the content of %s: %w", header.Path, err)
	}
	defer f.Close()
	sha, md := sha256.New(), md5.New() //nolint:gosec // see Entry.MD5
	n, err := io.Copy(io.MultiWriter(sha, md), f)
	if err != nil {
		return nil, fmt.Errorf("reading the content of %s: %w", header.Path, err)
	}
	e := header.regular()
	e.Size, e.content = n, c
	sha.Sum(e.SHA256[:0])
	md.Sum(e.MD5[:0])
	return e, nil
}

// WithContent returns a regular file with the path, mode, owner, time and records of e and the content of
// from, another regular file: a copy that a layer made of a file keeps that layer's attributes and gets
// new bytes.
func (e *Entry) WithContent(from *Entry) *Entry {
	c := e.regular()
	c.Size, c.SHA256, c.MD5, c.content = from.Size, from.SHA256, from.MD5, from.content
	return c
}

// HasContent tells whether the bytes of a regular file are at hand: Index.Open gives ErrNotKept if not.
func (e *Entry) HasContent() bool { return e.content != nil }

// regular copies the attributes of e into a regular file without content.
func (e *Entry) regular() *Entry {
	return &Entry{
		Path: e.Path, Type: tar.TypeReg, Mode: e.Mode, UID: e.UID, GID: e.GID, Uname: e.Uname, Gname: e.Gname,
		ModTime: e.ModTime, PAX: maps.Clone(e.PAX),
	}
}
