package layer

import (
	"archive/tar"
	"bytes"
	"crypto/md5" //nolint:gosec // see Entry.MD5
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
// which it reads once for size and SHA-256. Type and all that describes content in header is ignored.
func NewFile(header Entry, c Content) (*Entry, error) {
	f, err := c.Open()
	if err != nil {
		return nil, fmt.Errorf("opening the content of %s: %w", header.Path, err)
	}
	defer f.Close()
	sha := sha256.New()
	n, err := io.Copy(sha, f)
	if err != nil {
		return nil, fmt.Errorf("reading the content of %s: %w", header.Path, err)
	}
	e := header.regular()
	e.Size, e.content = n, c
	sha.Sum(e.SHA256[:0])
	return e, nil
}

// WithContent returns a regular file with the path, mode, owner, time and records of e and the content of
// from, another regular file: a copy that a layer made of a file keeps that layer's attributes and gets
// new bytes.
func (e *Entry) WithContent(from *Entry) *Entry {
	c := e.regular()
	c.Size, c.SHA256, c.content, c.md5 = from.Size, from.SHA256, from.content, from.md5
	return c
}

// HasContent tells whether the bytes of a regular file are at hand: Index.Open gives ErrNotKept if not.
func (e *Entry) HasContent() bool { return e.content != nil }

// MD5 is the MD5 of a regular file's content, by which dpkg's database names it; nothing is trusted because of it. It is
// zero for all other kinds of entry and for sparse files. An index finds it in its one pass for the files whose content it
// does not keep; for others it is found here each time, which reads the content: few of them are ever asked for, and it would be
// a tenth of that pass. An entry that was made without content has none: ErrNotKept.
func (e *Entry) MD5() (sum [md5.Size]byte, err error) {
	switch {
	case e.content == nil && e.IsRegular() && !e.Sparse && e.md5 == sum:
		return sum, fmt.Errorf("the MD5 of %s: %w", e.Path, ErrNotKept)
	case e.content == nil:
		return e.md5, nil
	}
	f, err := e.content.Open()
	if err != nil {
		return sum, fmt.Errorf("opening the content of %s: %w", e.Path, err)
	}
	defer f.Close()
	if sum, err = md5Of(f); err != nil {
		return sum, fmt.Errorf("reading the content of %s: %w", e.Path, err)
	}
	return sum, nil
}

func md5Of(r io.Reader) (sum [md5.Size]byte, err error) {
	h := md5.New() //nolint:gosec // see Entry.MD5
	if _, err := io.Copy(h, r); err != nil {
		return sum, err
	}
	h.Sum(sum[:0])
	return sum, nil
}

// regular copies the attributes of e into a regular file without content.
func (e *Entry) regular() *Entry {
	return &Entry{
		Path: e.Path, Type: tar.TypeReg, Mode: e.Mode, UID: e.UID, GID: e.GID, Uname: e.Uname, Gname: e.Gname,
		ModTime: e.ModTime, PAX: maps.Clone(e.PAX),
	}
}
