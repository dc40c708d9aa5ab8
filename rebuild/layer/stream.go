package layer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// stream is the uncompressed bytes of a layer. It ends with io.EOF only once the layer's digest, size and
// diffID are checked, with a DigestError if one is wrong.
type stream struct {
	layer   v1.Hash
	diffID  v1.Hash      // what it has to be; zero takes any
	max     int64        // bytes that it may have
	givenUp func() error // why whoever asked for the stream no longer wants it, if so
	sum     hash.Hash
	kind    compression
	closer  func() error
	stop    func() bool
	in      *inflater
	a       *ahead
	blob    *temp
	n       int64
}

// Local is a layer whose compressed bytes lie on this machine: a Store makes no copy of them to read them again, and
// reads them without a check of the layer's own, as it makes one.
type Local interface {
	v1.Layer
	// CompressedUnchecked is Compressed but for checking the digest.
	CompressedUnchecked() (io.ReadCloser, error)
	// Damaged says where the bytes lie that are wrong, and what to do; cause is a DigestError
	// of digest or size.
	Damaged(cause error) error
}

// stream opens a layer, from the run's own copy of its blob if there is one.
func (s *Store) stream(ctx context.Context, l v1.Layer) (*stream, error) {
	id, err := identify(l)
	if err != nil {
		return nil, err
	}
	digest := id.digest
	src := &verified{digest: digest, size: id.size, sum: sha256.New(), path: filepath.Join(s.run, "blob-"+digest.Hex)}
	rc, err := open(src.path)
	if errors.Is(err, os.ErrNotExist) {
		compressed := l.Compressed
		if local, ok := l.(Local); ok {
			src.local, compressed = local, local.CompressedUnchecked
		} else if s.opts.KeepBlobs {
			if src.blob, err = s.temp(); err != nil {
				return nil, fmt.Errorf("keeping a copy of layer %s: %w", digest, err)
			}
		}
		rc, err = compressed()
	}
	if err != nil {
		src.blob.discard()
		return nil, fmt.Errorf("opening layer %s: %w", digest, err)
	}
	src.r = rc
	st := &stream{layer: digest, diffID: id.diffID, blob: src.blob, max: s.opts.Limits.withDefaults().Size}
	return st, st.start(ctx, s, rc, src, newInflater)
}

func open(path string) (io.ReadCloser, error) { return os.Open(path) }

// openTar is a stream of any uncompressed archive, of which no digest is known.
func (s *Store) openTar(ctx context.Context, o Opener) (*stream, error) {
	rc, err := o()
	if err != nil {
		return nil, err
	}
	st := &stream{max: s.tarLimits().Size}
	return st, st.start(ctx, s, rc, rc, notInflated)
}

// start begins to inflate src, whose bytes come from rc.
func (st *stream) start(
	ctx context.Context, s *Store, rc io.ReadCloser, src io.Reader, inflate func(io.Reader) (*inflater, error),
) error {
	// A read that hangs ends only when what it reads from is closed.
	st.closer = sync.OnceValue(rc.Close)
	st.givenUp = ctx.Err
	st.stop = context.AfterFunc(ctx, func() { _ = st.closer() })
	st.sum = sha256.New()
	in, err := inflate(src)
	if err != nil {
		err = st.fail(err)
		_ = st.Close()
		return err
	}
	st.in, st.kind = in, in.kind
	st.a = newAhead(&rest{inflater: in, src: src}, &s.chunks)
	return nil
}

// rest is an inflater that reads its source to the end: behind the compressed stream, and behind what is
// corrupt in it, so that a blob that is not the one asked for is called that.
type rest struct {
	*inflater
	src io.Reader
}

func (r *rest) Read(p []byte) (int, error) {
	n, err := r.inflater.Read(p)
	if err != nil && r.inflater.src.err == nil {
		if _, e := io.Copy(io.Discard, r.src); e != nil {
			err = e
		}
	}
	return n, err
}

func (st *stream) Read(p []byte) (int, error) {
	n, err := st.a.Read(p)
	st.n += int64(n)
	if st.n > st.max {
		return n, st.fail(problem("more than %d bytes", st.max))
	}
	if st.sum != nil {
		st.sum.Write(p[:n])
	}
	if ended(err) && st.diffID != (v1.Hash{}) && st.got() != st.diffID {
		err = &DigestError{Layer: st.layer, What: "diffID", Want: st.diffID.String(), Got: st.got().String()}
	}
	if err != nil && !ended(err) {
		err = st.fail(err)
	}
	return n, err
}

// got is the digest of what was read.
func (st *stream) got() v1.Hash { return hashOf(st.sum) }

func hashOf(h hash.Hash) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(h.Sum(nil))}
}

// fail says which layer cannot be read, and that it was given up where it was.
func (st *stream) fail(err error) error {
	if why := st.givenUp(); why != nil {
		return why
	}
	var p formatProblem
	switch {
	case errors.As(err, &p):
		return &FormatError{Layer: st.layer, Offset: st.n, Err: err}
	case errors.Is(err, ErrDigest):
		return err
	}
	if st.layer == (v1.Hash{}) {
		return fmt.Errorf("reading the archive: %w", err)
	}
	return fmt.Errorf("reading layer %s: %w", st.layer, err)
}

// Close ends all that the stream started.
func (st *stream) Close() error {
	st.stop()
	err := st.closer()
	if st.a != nil {
		st.a.close()
		st.in.end()
	}
	st.blob.discard()
	return err
}

// verified reads the compressed bytes of a layer and checks them at their end. It may keep a copy.
type verified struct {
	r      io.Reader
	digest v1.Hash
	size   int64
	sum    hash.Hash
	n      int64
	local  Local // nil of a layer that is somewhere else
	blob   *temp
	path   string
}

func (v *verified) Read(p []byte) (int, error) {
	n, err := v.r.Read(p)
	v.n += int64(n)
	v.sum.Write(p[:n])
	if v.n > v.size {
		return n, v.wrong("size", strconv.FormatInt(v.size, 10), "more")
	}
	if v.blob != nil && n > 0 {
		if _, err := v.blob.Write(p[:n]); err != nil {
			return n, fmt.Errorf("keeping a copy: %w", err)
		}
	}
	if !ended(err) {
		return n, err
	}
	if v.n != v.size {
		return n, v.wrong("size", strconv.FormatInt(v.size, 10), strconv.FormatInt(v.n, 10))
	}
	if got := hashOf(v.sum); got != v.digest {
		return n, v.wrong("digest", v.digest.String(), got.String())
	}
	if v.blob != nil && !v.blob.done {
		if err := v.blob.commit(v.path); err != nil {
			return n, fmt.Errorf("keeping a copy: %w", err)
		}
	}
	return n, io.EOF
}

func (v *verified) wrong(what, want, got string) error {
	err := &DigestError{Layer: v.digest, What: what, Want: want, Got: got}
	if v.local != nil {
		return v.local.Damaged(err)
	}
	return err
}
