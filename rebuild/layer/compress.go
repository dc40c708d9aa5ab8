package layer

import (
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/klauspost/pgzip"
)

// compressor packs a layer's bytes. The same input gives the same output on every machine, whatever its
// number of cores and however the input is cut into writes.
type compressor interface {
	io.Writer
	// Close writes what is left. No goroutine outlives it, after an error neither.
	Close() error
}

// Parameters of which the output depends.
const (
	gzipLevel = 6
	gzipBlock = 1 << 20
	zstdLevel = zstd.SpeedDefault
)

// gzipWorkers bounds the blocks in flight, hence memory; three compress about as fast as one core inflates.
const gzipWorkers = 3

// compress packs what is written to it, in the way that k says, into w.
func (k compression) compress(w io.Writer) (compressor, error) {
	d := &drain{w: w}
	switch k {
	case gzipped:
		z, err := pgzip.NewWriterLevel(d, gzipLevel)
		if err != nil {
			return nil, fmt.Errorf("making a gzip compressor: %w", err)
		}
		// Besides the blocks that wait for their turn to be written there is always the one whose turn it is.
		if err := z.SetConcurrency(gzipBlock, max(1, min(gzipWorkers, runtime.GOMAXPROCS(0))-1)); err != nil {
			return nil, fmt.Errorf("making a gzip compressor: %w", err)
		}
		z.ModTime = time.Unix(0, 0) // zero in the header: no time (the zero Time would not be)
		return &drained{z: z, d: d}, nil
	case zstandard:
		z, err := zstd.NewWriter(d, zstd.WithEncoderLevel(zstdLevel), zstd.WithEncoderConcurrency(2))
		if err != nil {
			return nil, fmt.Errorf("making a zstd compressor: %w", err)
		}
		return &drained{z: z, d: d}, nil
	case uncompressed:
	}
	return &drained{z: nopCloser{d}, d: d}, nil
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// drain takes all that is written to it, also after its target's first error: pgzip leaves a goroutine behind
// when its own target fails. The error comes back from drained instead.
type drain struct {
	w      io.Writer
	failed atomic.Pointer[error]
}

func (d *drain) Write(p []byte) (int, error) {
	if d.failed.Load() == nil {
		if _, err := d.w.Write(p); err != nil {
			d.failed.Store(&err)
		}
	}
	return len(p), nil
}

// drained is a compressor into a drain.
type drained struct {
	z io.WriteCloser
	d *drain
}

func (c *drained) Write(p []byte) (int, error) {
	if err := c.d.failed.Load(); err != nil {
		return 0, *err
	}
	return c.z.Write(p)
}

func (c *drained) Close() error {
	if err := c.z.Close(); err != nil {
		return err
	}
	if err := c.d.failed.Load(); err != nil {
		return *err
	}
	return nil
}
