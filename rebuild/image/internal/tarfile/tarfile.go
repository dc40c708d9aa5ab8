package tarfile

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

const (
	// maxMembers bounds an archive's members: an image has as many as it has layers, times a few.
	maxMembers = 1 << 16
	// maxLinks bounds links that lead to links.
	maxLinks = 8
)

// ErrFormat says that a file is no tar archive that can be used.
var ErrFormat = errors.New("not a usable tar archive")

// Archive is an open archive. It is safe for concurrent use.
type Archive struct {
	file    *os.File
	members map[string]member
}

type member struct {
	offset, size int64
	// link is where a link leads; the member has no content then.
	link string
}

// Open indexes an archive. The archive owns the file from then on, and closes it when it fails.
func Open(f *os.File) (*Archive, error) {
	a := &Archive{file: f, members: make(map[string]member)}
	if err := a.index(); err != nil {
		_ = f.Close()
		return nil, err
	}
	return a, nil
}

func (a *Archive) index() error {
	info, err := a.file.Stat()
	if err != nil {
		return err
	}
	if _, err := a.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	r := tar.NewReader(a.file)
	for {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrFormat, err)
		}
		if len(a.members) >= maxMembers {
			return fmt.Errorf("%w: more than %d members", ErrFormat, maxMembers)
		}
		// The reader has read up to the content and no further: archive/tar has no buffer of its own.
		offset, err := a.file.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		if err := a.add(header, offset, info.Size()); err != nil {
			return err
		}
	}
}

// add takes a member in. As with extracting, the last of a name counts.
func (a *Archive) add(header *tar.Header, offset, end int64) error {
	name := path.Clean("/" + header.Name)[1:]
	switch header.Typeflag {
	case tar.TypeReg:
		if isSparse(header) {
			return fmt.Errorf("%w: %q is sparse", ErrFormat, header.Name)
		}
		if header.Size > end-offset {
			return fmt.Errorf("%w: it ends within %q: %w", ErrFormat, header.Name, io.ErrUnexpectedEOF)
		}
		a.members[name] = member{offset: offset, size: header.Size}
	case tar.TypeSymlink:
		a.members[name] = member{link: path.Join(path.Dir(name), header.Linkname)} //nolint:gosec // it is only ever looked up in the archive
	case tar.TypeLink:
		a.members[name] = member{link: path.Clean("/" + header.Linkname)[1:]}
	}
	return nil
}

func isSparse(header *tar.Header) bool {
	for key := range header.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return header.Typeflag == tar.TypeGNUSparse
}

// Find returns the content of a regular file, whose size is the section's. The error is fs.ErrNotExist where there is
// none.
func (a *Archive) Find(name string) (*io.SectionReader, error) {
	at := path.Clean("/" + name)[1:]
	for range maxLinks {
		m, ok := a.members[at]
		switch {
		case !ok:
			return nil, fmt.Errorf("%s in %s: %w", name, a.file.Name(), fs.ErrNotExist)
		case m.link == "":
			return io.NewSectionReader(a.file, m.offset, m.size), nil
		}
		at = path.Clean("/" + m.link)[1:]
	}
	return nil, fmt.Errorf("%w: %q is a link to a link, over and over", ErrFormat, name)
}

// Names lists the members with content, sorted.
func (a *Archive) Names() []string {
	var names []string
	for name, m := range a.members {
		if m.link == "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Close ends all access.
func (a *Archive) Close() error { return a.file.Close() }
