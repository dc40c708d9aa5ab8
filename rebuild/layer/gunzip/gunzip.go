package gunzip

import (
	"cmp"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

var (
	// ErrHeader says that a member begins with something else than RFC 1952, section 2.3, has.
	ErrHeader = errors.New("invalid gzip header")
	// ErrCorrupt says that compressed bytes mean nothing.
	ErrCorrupt = errors.New("corrupt compressed data")
	// ErrChecksum says that inflated bytes are not those that were compressed.
	ErrChecksum = errors.New("wrong checksum or length of the inflated data")
)

// Reader inflates a gzip stream: any number of members one after the other, up to the end of the reader below.
type Reader struct {
	z      inflater
	r      int // z.out[r:z.w] is not read yet
	member bool
	crc    uint32
	size   uint32
	err    error // what comes behind z.out
}

// NewReader returns a reader of what is compressed in src. It reads more of src than it needs.
func NewReader(src io.Reader) *Reader {
	return &Reader{z: inflater{
		input: newInput(src), out: make([]byte, outSize+maxStep), meanings: newMeanings(),
	}}
}

// Read reads inflated bytes. At the end of the stream, if all checksums are right, the error is [io.EOF]; otherwise it
// is ErrHeader, ErrCorrupt, ErrChecksum, [io.ErrUnexpectedEOF] or that of the reader below. Bytes of a member are given
// before its checksum is known.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for r.r == r.z.w {
		if r.err != nil {
			return 0, r.err
		}
		r.err = r.more()
	}
	n := copy(p, r.z.out[r.r:r.z.w])
	r.r += n
	return n, nil
}

// more inflates up to where the output is full or a member ends.
func (r *Reader) more() error {
	z := &r.z
	if !r.member {
		if err := r.header(); err != nil {
			return err
		}
		r.member, r.crc, r.size = true, 0, 0
		r.r, z.w = 0, 0
	}
	if z.w > window {
		copy(z.out, z.out[z.w-window:z.w])
		z.w = window
	}
	r.r = z.w
	ended, err := z.inflate()
	fresh := z.out[r.r:z.w]
	r.crc = crc32.Update(r.crc, crc32.IEEETable, fresh)
	r.size += uint32(len(fresh)) // modulo 2^32, as its field is
	if !ended || err != nil {
		return err
	}
	r.member = false
	z.align()
	trailer, err := z.next(8)
	if err != nil {
		return err
	}
	if binary.LittleEndian.Uint32(trailer) != r.crc || binary.LittleEndian.Uint32(trailer[4:]) != r.size {
		return ErrChecksum
	}
	return nil
}

// The flags of a member's header.
const (
	hasChecksum = 1 << 1
	hasExtra    = 1 << 2
	hasName     = 1 << 3
	hasComment  = 1 << 4

	// maxName is what Go's own reader takes, and so what most runtimes do.
	maxName = 512
)

// header reads what a member begins with (RFC 1952, section 2.3), or the end of the stream.
func (r *Reader) header() error {
	var sum uint32
	next := func(n int) ([]byte, error) {
		b, err := r.z.next(n)
		sum = crc32.Update(sum, crc32.IEEETable, b)
		return b, err
	}
	if atEnd, err := r.z.end(); atEnd || err != nil {
		return cmp.Or(err, io.EOF)
	}
	b, err := next(10)
	if err != nil {
		return err
	}
	flags := b[3]
	if b[0] != 0x1f || b[1] != 0x8b || b[2] != 8 {
		return ErrHeader
	}
	if flags&hasExtra != 0 {
		if b, err = next(2); err != nil {
			return err
		}
		for range binary.LittleEndian.Uint16(b) {
			if _, err = next(1); err != nil {
				return err
			}
		}
	}
	for _, flag := range []byte{hasName, hasComment} {
		for n := 0; flags&flag != 0; n++ {
			if n == maxName {
				return ErrHeader
			}
			if b, err = next(1); err != nil {
				return err
			}
			if b[0] == 0 {
				break
			}
		}
	}
	want := uint16(sum)
	if flags&hasChecksum != 0 {
		if b, err = next(2); err != nil {
			return err
		}
		if binary.LittleEndian.Uint16(b) != want {
			return ErrHeader
		}
	}
	return nil
}
