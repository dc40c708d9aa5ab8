package layer

import (
	"archive/tar"
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const blockSize = 512

// aligned rounds up to whole tar blocks.
func aligned(n int64) int64 { return (n + blockSize - 1) &^ (blockSize - 1) }

// frame is one header of an archive as it lies there: the long-name and PAX headers that belong to it, the
// header itself, and how many bytes of data follow.
type frame struct {
	hdr *tar.Header
	// offset counts bytes of the archive before raw.
	offset int64
	// raw is everything before the data. It is valid until the next frame is read.
	raw []byte
	// body is the number of data bytes, padding not counted. A sparse file's is less than its size.
	body   int64
	sparse bool
}

// global tells whether the frame is a PAX global header, which names no file. Runtimes ignore what it says.
func (f *frame) global() bool { return f.hdr.Typeflag == tar.TypeXGlobalHeader }

// framer splits an archive into frames. What a header means is left to archive/tar, which the container
// runtimes use as well: so an archive reads here as it unpacks there. What archive/tar does not tell, which
// bytes of the archive a header is made of, is recorded beneath it, with a new tar.Reader for each header.
type framer struct {
	src   *bufio.Reader
	layer v1.Hash
	max   int // bytes of one frame's headers

	pos       int64 // offset in the archive
	left      int64 // data of the current frame not read yet
	pad       int64 // padding behind that
	recording bool
	raw       []byte
	srcErr    error
	last      string
	unread    [blockSize]byte // takes padding that nobody asked for
}

func newFramer(r io.Reader, layer v1.Hash, maxHeader int) *framer {
	return &framer{src: bufio.NewReaderSize(r, 64<<10), layer: layer, max: maxHeader}
}

// next skips what is left of the current frame and reads the following one's header. It returns io.EOF at
// the end of the archive; raw then holds the end marker as far as it was read, src the rest.
func (f *framer) next() (*frame, error) {
	if err := f.skip(); err != nil {
		return nil, err
	}
	fr := &frame{offset: f.pos}
	f.raw, f.recording = f.raw[:0], true
	hdr, err := tar.NewReader((*headerReader)(f)).Next()
	f.recording = false
	if errors.Is(err, tar.ErrInsecurePath) {
		err = nil // names are judged by cleanPath
	}
	switch {
	case f.srcErr != nil:
		return nil, f.fail(f.srcErr)
	case ended(err):
		return nil, io.EOF
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, f.format(errTruncated)
	case err != nil:
		return nil, f.format(err)
	}
	f.last = hdr.Name
	fr.hdr, fr.raw = hdr, f.raw
	if fr.sparse = isSparse(hdr); fr.sparse {
		fr.body, err = sparseBody(hdr, f.raw)
	} else if !headerOnly(hdr.Typeflag) && !fr.global() {
		fr.body = hdr.Size
	}
	if err != nil {
		return nil, f.fail(err)
	}
	f.left = fr.body
	f.pad = aligned(f.pos+f.left) - (f.pos + f.left)
	return fr, nil
}

// Read reads the data of the current frame.
func (f *framer) Read(p []byte) (int, error) {
	if f.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > f.left {
		p = p[:f.left]
	}
	n, err := f.src.Read(p)
	f.pos, f.left = f.pos+int64(n), f.left-int64(n)
	switch {
	case err == nil || f.left == 0:
		return n, nil
	case ended(err):
		return n, f.fail(errTruncated)
	}
	return n, err
}

// skip passes over what is left of the current frame.
func (f *framer) skip() error {
	for f.left > 0 {
		n, err := f.src.Discard(int(min(f.left, 1<<30)))
		f.pos, f.left = f.pos+int64(n), f.left-int64(n)
		if ended(err) {
			return f.fail(errTruncated)
		}
		if err != nil {
			return err
		}
	}
	_, err := f.padding(f.unread[:])
	return err
}

// padding reads what lies between the data, which is read, and the next header. Where the archive ends
// without it, as archive/tar lets it, the padding is zeros.
func (f *framer) padding(buf []byte) ([]byte, error) {
	buf = buf[:f.pad]
	f.pad = 0
	for n := 0; n < len(buf); {
		m, err := f.src.Read(buf[n:])
		n += m
		f.pos += int64(m)
		if ended(err) {
			clear(buf[n:])
			break
		}
		if err != nil {
			return nil, err
		}
	}
	return buf, nil
}

// fail places what is wrong with the archive, and leaves errors of the stream below alone.
func (f *framer) fail(err error) error {
	var placed *FormatError
	var p formatProblem
	if errors.As(err, &placed) || !errors.As(err, &p) && !errors.Is(err, tar.ErrHeader) {
		return err
	}
	return f.format(err)
}

func (f *framer) format(err error) error {
	return &FormatError{Layer: f.layer, Entry: f.last, Offset: f.pos, Err: err}
}

const errTruncated = formatProblem("the archive is cut off")

// formatProblem is something wrong in an archive that is not yet placed in a layer.
type formatProblem string

func (p formatProblem) Error() string { return string(p) }

func problem(format string, args ...any) error { return formatProblem(fmt.Sprintf(format, args...)) }

// ended tells the plain io.EOF with which a reader ends. One that is wrapped is an error like any other.
func ended(err error) bool {
	return err == io.EOF //nolint:errorlint // see above
}

// headerReader is the framer while archive/tar reads a header from it.
type headerReader framer

func (h *headerReader) Read(p []byte) (int, error) {
	n, err := h.src.Read(p)
	h.pos += int64(n)
	if h.raw = append(h.raw, p[:n]...); len(h.raw) > h.max {
		h.srcErr = problem("headers of one entry are longer than %d bytes", h.max)
		return n, h.srcErr
	}
	if err != nil && !ended(err) {
		h.srcErr = err
	}
	return n, err
}

// headerOnly tells the types that have no data whatever their header's size says, as in archive/tar.
func headerOnly(typ byte) bool {
	switch typ {
	case tar.TypeLink, tar.TypeSymlink, tar.TypeChar, tar.TypeBlock, tar.TypeDir, tar.TypeFifo:
		return true
	}
	return false
}

// The PAX records of GNU sparse files ("Storing Sparse Files", GNU tar manual).
const (
	paxSparse      = "GNU.sparse."
	paxSparseMajor = paxSparse + "major"
	paxSparseMinor = paxSparse + "minor"
	paxSparseMap   = paxSparse + "map"
	paxSize        = "size"
)

// isSparse tells whether archive/tar took the header for a sparse file's.
func isSparse(hdr *tar.Header) bool {
	if hdr.Typeflag == tar.TypeGNUSparse {
		return true
	}
	switch hdr.PAXRecords[paxSparseMajor] + "." + hdr.PAXRecords[paxSparseMinor] {
	case "0.0", "0.1", "1.0":
		return true
	case ".":
		return hdr.PAXRecords[paxSparseMap] != ""
	}
	return false
}

// sparseBody is the number of bytes in the archive behind a sparse file's headers: of its data without the
// holes. In PAX format 1.0 the map of the holes is data as well, and already read.
func sparseBody(hdr *tar.Header, raw []byte) (int64, error) {
	off := int64(0)
	for strings.IndexByte("xLK", raw[off+156]) >= 0 {
		n, err := numeric(raw[off+124 : off+136])
		if err != nil {
			return 0, err
		}
		off += blockSize + aligned(n)
	}
	size, err := numeric(raw[off+124 : off+136])
	if s := hdr.PAXRecords[paxSize]; s != "" {
		size, err = strconv.ParseInt(s, 10, 64)
	}
	if err != nil {
		return 0, tar.ErrHeader
	}
	if hdr.Typeflag != tar.TypeGNUSparse {
		size -= int64(len(raw)) - (off + blockSize)
	}
	if size < 0 {
		return 0, problem("a sparse file's map is longer than its data")
	}
	return size, nil
}

// numeric reads a number of a tar header that archive/tar has read before: octal, or base-256.
func numeric(b []byte) (int64, error) {
	if b[0]&0x80 != 0 {
		var wide [16]byte
		copy(wide[16-len(b):], b)
		wide[16-len(b)] &= 0x7f
		if binary.BigEndian.Uint64(wide[:8]) != 0 || wide[8]&0x80 != 0 {
			return 0, tar.ErrHeader
		}
		return int64(binary.BigEndian.Uint64(wide[8:])), nil
	}
	s, _, _ := strings.Cut(strings.Trim(string(b), " \x00"), "\x00")
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(s, 8, 64)
	if err != nil {
		return 0, tar.ErrHeader
	}
	return n, nil
}
