package layer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/nanopatch/nanopatch/rebuild/layer/gunzip"
)

// compression is how a layer's bytes are packed, as its first bytes say: media types are known to lie.
type compression int

const (
	uncompressed compression = iota
	gzipped
	zstandard
)

// maxZstdWindow bounds what a decoder holds of its output, in bytes. zstd's levels up to 19 want 8 MiB, its
// highest, 22, 128 MiB for content as large as that; no tool that makes images goes beyond 8 MiB unasked.
const maxZstdWindow = 64 << 20

// sniff tells the compression (RFC 1952, section 2.3.1; RFC 8878, sections 3.1.1 and 3.1.2).
func sniff(r *bufio.Reader) compression {
	head, _ := r.Peek(4) // an error comes again when the stream is read
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return gzipped
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}),
		len(head) == 4 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:], []byte{0x2a, 0x4d, 0x18}):
		return zstandard
	}
	return uncompressed
}

// inflater inflates a layer. What is wrong with the compressed stream is a formatProblem; errors of the
// stream below are returned as they are.
type inflater struct {
	kind compression
	src  *errReader
	dec  io.Reader
	end  func()
}

// notInflated passes on what it reads, whatever it begins with.
func notInflated(r io.Reader) (*inflater, error) {
	src := &errReader{r: r}
	return &inflater{kind: uncompressed, src: src, dec: src, end: func() {}}, nil
}

func newInflater(r io.Reader) (*inflater, error) {
	src := &errReader{r: r}
	br := bufio.NewReaderSize(src, 64<<10)
	i := &inflater{kind: sniff(br), src: src, dec: br, end: func() {}}
	switch i.kind {
	case gzipped:
		i.dec = gunzip.NewReader(br)
	case zstandard:
		z, err := zstd.NewReader(br, zstd.WithDecoderConcurrency(2), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			return nil, i.fail(err)
		}
		i.dec, i.end = z, z.Close
	case uncompressed:
	}
	return i, nil
}

func (i *inflater) Read(p []byte) (int, error) {
	n, err := i.dec.Read(p)
	if err != nil && !ended(err) {
		err = i.fail(err)
	}
	return n, err
}

func (i *inflater) fail(err error) error {
	switch {
	case i.src.err != nil:
		return i.src.err
	case i.kind == gzipped:
		return problem("corrupt gzip stream: %v", err)
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		// The latter is of a frame in a single segment, whose window is all of it.
		return problem("a zstd stream with a window of more than %d MiB", maxZstdWindow>>20)
	case i.kind == zstandard:
		return problem("corrupt zstd stream: %v", err)
	}
	return fmt.Errorf("reading: %w", err)
}

// errReader remembers the error of the stream below a decoder.
type errReader struct {
	r   io.Reader
	err error
}

func (e *errReader) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	if err != nil && !ended(err) {
		e.err = err
	}
	return n, err
}
