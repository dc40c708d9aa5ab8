package apk

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Bounds on the two small members, in bytes: signatures of 4096-bit keys have 512, the largest known control member
// 300 kB.
const (
	maxMember       = 8 << 20
	maxControlFiles = 256
)

// FormatError says that a file is no package of version 2, or a damaged one.
type FormatError struct {
	Err error
}

func (e *FormatError) Error() string { return "package file: " + e.Err.Error() }
func (e *FormatError) Unwrap() error { return e.Err }

var (
	// ErrVersion3 says that a package or index has the format of apk-tools 3 (ADB), which is not supported.
	ErrVersion3 = errors.New("format of apk-tools 3 (ADB), which is not supported yet")

	errNoGzip     = errors.New("no gzip stream")
	errNoControl  = errors.New("no control member (.PKGINFO)")
	errDatahash   = errors.New("the data member's SHA-256 is not the datahash of .PKGINFO")
	errTooLarge   = fmt.Errorf("a signature or control member of more than %d bytes", maxMember)
	errNoDatahash = errors.New(".PKGINFO has no datahash")
)

// Members is a package file of version 2 taken apart: two or three gzip streams, one behind the other. A signature's
// comes first, in a package that has one; then the control files'; the rest is the data.
type Members struct {
	// Signatures are the files of the first member, by name: ".SIGN.RSA.key.rsa.pub".
	Signatures []ControlFile
	// Control are the files of the control member: .PKGINFO and scripts.
	Control []ControlFile
	// Checksum is the SHA-1 of the control member, by which an index knows the package.
	Checksum Checksum
	// DataOffset is where the data member begins, DataSize its length.
	DataOffset, DataSize int64
	// DataHash is its SHA-256, as .PKGINFO states it; Verify checks it.
	DataHash [sha256.Size]byte
	// Info is .PKGINFO.
	Info Info
}

// ControlFile is one file of the signature or control member.
type ControlFile struct {
	Name    string
	Content []byte
}

// ReadMembers takes a package file of size bytes apart. What is wrong with it is a *FormatError; errors of f are returned
// as they are. The data member is not read.
func ReadMembers(f io.ReaderAt, size int64) (*Members, error) {
	var magic [4]byte
	if n, err := f.ReadAt(magic[:], 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	} else if IsVersion3(magic[:n]) {
		return nil, &FormatError{ErrVersion3}
	}
	m := &Members{}
	start := int64(0)
	files, end, err := readMember(f, 0, size)
	if err != nil {
		return nil, err
	}
	if len(files) > 0 && strings.HasPrefix(files[0].Name, ".SIGN.") {
		m.Signatures, start = files, end
		if files, end, err = readMember(f, end, size); err != nil {
			return nil, err
		}
	}
	m.Control, m.DataOffset, m.DataSize = files, end, size-end
	if m.Checksum, err = sumOf(io.NewSectionReader(f, start, end-start)); err != nil {
		return nil, err
	}
	return m, m.readInfo()
}

// IsVersion3 tells whether a file begins as those of apk-tools 3 do: "ADB" and a letter for the compression.
func IsVersion3(head []byte) bool { return bytes.HasPrefix(head, []byte("ADB")) }

func (m *Members) readInfo() error {
	for _, c := range m.Control {
		if c.Name != ".PKGINFO" {
			continue
		}
		var err error
		if m.Info, err = ParseInfo(c.Content); err != nil {
			return &FormatError{err}
		}
		hash, err := hex.DecodeString(m.Info.Get("datahash"))
		if err != nil || len(hash) != len(m.DataHash) {
			return &FormatError{errNoDatahash}
		}
		m.DataHash = [sha256.Size]byte(hash)
		return nil
	}
	return &FormatError{errNoControl}
}

// Verify checks the data member against the control member, which states its SHA-256.
func (m *Members) Verify(f io.ReaderAt) error {
	h := sha256.New()
	if _, err := io.Copy(h, m.Data(f)); err != nil {
		return err
	}
	if [sha256.Size]byte(h.Sum(nil)) != m.DataHash {
		return &FormatError{errDatahash}
	}
	return nil
}

// Data gives the data member of the package file f: a compressed tar archive.
func (m *Members) Data(f io.ReaderAt) *io.SectionReader {
	return io.NewSectionReader(f, m.DataOffset, m.DataSize)
}

// readMember reads the gzip stream that begins at an offset, and tells where it ends.
func readMember(f io.ReaderAt, from, size int64) ([]ControlFile, int64, error) {
	in := &counter{r: bufio.NewReader(io.NewSectionReader(f, from, size-from))}
	z, err := gzip.NewReader(in)
	if err != nil {
		return nil, 0, &FormatError{fmt.Errorf("at offset %d: %w: %w", from, errNoGzip, err)}
	}
	z.Multistream(false)
	data, err := io.ReadAll(io.LimitReader(z, maxMember+1))
	switch {
	case err != nil:
		return nil, 0, &FormatError{fmt.Errorf("at offset %d: %w", from, err)}
	case len(data) > maxMember:
		return nil, 0, &FormatError{errTooLarge}
	}
	files, err := readControlFiles(data)
	if err != nil {
		return nil, 0, &FormatError{err}
	}
	return files, from + in.n, nil
}

// readControlFiles reads a small archive. The end of archive marker may be missing: apk cuts it off where another member
// follows.
func readControlFiles(data []byte) ([]ControlFile, error) {
	var files []ControlFile
	for r := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, fmt.Errorf("control member: %w", err)
		}
		if len(files) == maxControlFiles {
			return nil, fmt.Errorf("control member: more than %d files", maxControlFiles)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return nil, fmt.Errorf("control member: %s: %w", h.Name, err)
		}
		files = append(files, ControlFile{Name: h.Name, Content: content})
	}
}

// counter counts what is read. As an io.ByteReader it makes the decompressor read no byte behind the end of its stream.
type counter struct {
	r *bufio.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func (c *counter) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}
