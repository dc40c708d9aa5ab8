package layer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Rewrite applies edits to a layer, whose index is x. The new layer has the media type and the compression
// of the old one and lives in a file of the store until Close. Its index is that of x.Apply, with the DiffID;
// it is put into the cache as well. The same layer and edits give the same bytes everywhere. Edits that change
// nothing give back l and x themselves.
func (s *Store) Rewrite(ctx context.Context, l v1.Layer, x *Index, edits Edits) (v1.Layer, *Index, error) {
	sc, err := x.plan(edits)
	if err != nil {
		return nil, nil, err
	}
	if !sc.changed {
		return l, x, nil
	}
	media, err := l.MediaType()
	if err != nil {
		return nil, nil, fmt.Errorf("reading a layer's media type: %w", err)
	}
	st, err := s.stream(ctx, l)
	if err != nil {
		return nil, nil, err
	}
	defer st.Close()
	t, err := s.temp()
	if err != nil {
		return nil, nil, fmt.Errorf("writing a rewritten layer: %w", err)
	}
	defer t.discard()
	out := &counter{w: t}
	digest, diffID, err := st.rewrite(ctx, sc, out)
	if err != nil {
		return nil, nil, st.blame(err)
	}
	r := &rewritten{
		path: filepath.Join(s.run, "layer-"+digest.Hex), kind: st.kind, digest: digest, diffID: diffID,
		size: out.n, media: media,
	}
	if err := t.commit(r.path); err != nil {
		return nil, nil, fmt.Errorf("writing a rewritten layer: %w", err)
	}
	y := sc.index()
	y.DiffID = diffID
	if err := s.adopt(y, sc, identity{digest, diffID, out.n}); err != nil {
		s.opts.Logger.Debug("leaving a rewritten layer out of the cache", "diffID", diffID.String(), "error", err)
	}
	return r, y, nil
}

// rewrite runs a script from the stream into w, compressed as the stream was.
func (st *stream) rewrite(ctx context.Context, sc *script, w io.Writer) (digest, diffID v1.Hash, err error) {
	packed, plain := sha256.New(), sha256.New()
	z, err := st.kind.compress(io.MultiWriter(w, packed))
	if err != nil {
		return digest, diffID, err
	}
	if err := sc.run(ctx, st, io.MultiWriter(plain, z)); err != nil {
		_ = z.Close() // ends its goroutines
		return digest, diffID, fmt.Errorf("rewriting layer %s: %w", st.layer, err)
	}
	if err := z.Close(); err != nil {
		return digest, diffID, fmt.Errorf("rewriting layer %s: %w", st.layer, err)
	}
	return hashOf(packed), hashOf(plain), nil
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// adopt puts the index of a rewritten layer into the cache as if the layer had been scanned. x itself stays
// as it is: it has the content of every edit, which the cache need not keep.
func (s *Store) adopt(x *Index, sc *script, id identity) error {
	for i := range sc.ops {
		if o := &sc.ops[i]; o.order == inherits && o.entry.IsRegular() && o.entry.content == nil {
			return fmt.Errorf("%s has content that was not kept under its former name: %w", o.entry.Path, ErrNotKept)
		}
	}
	path := s.layerPath(id)
	t, err := s.temp()
	if err != nil {
		return err
	}
	defer t.discard()
	p, err := newPackWriter(t)
	if err != nil {
		return err
	}
	own := &Index{DiffID: x.DiffID, Size: x.Size, Entries: append([]Entry(nil), x.Entries...), end: x.end}
	for i := range own.Entries {
		if err := s.keep(p, &own.Entries[i]); err != nil {
			return err
		}
	}
	if err := p.commit(t, path, own); err != nil {
		return err
	}
	s.remember(path, own)
	return nil
}

// keep copies an entry's content into a pack if the rule of what to keep wants it. Content that is not at
// hand was not wanted when the layer was indexed.
func (s *Store) keep(p *packWriter, e *Entry) error {
	if e.content == nil || e.Size == 0 {
		return nil
	}
	f, err := e.content.Open()
	if err != nil {
		return err
	}
	defer f.Close()
	head := make([]byte, min(e.Size, headSize))
	if _, err := io.ReadFull(f, head); err != nil {
		return err
	}
	whole := io.MultiReader(bytes.NewReader(head), f)
	e.content = nil
	if s.opts.Keep == nil || !s.opts.Keep(e, head) {
		e.md5, err = md5Of(whole)
		return err
	}
	if _, err := io.Copy(p, whole); err != nil {
		return err
	}
	e.content = p.cut()
	return nil
}

// rewritten is a layer in a file of the store.
type rewritten struct {
	path           string
	kind           compression
	digest, diffID v1.Hash
	size           int64
	media          types.MediaType
}

func (r *rewritten) Digest() (v1.Hash, error)            { return r.digest, nil }
func (r *rewritten) DiffID() (v1.Hash, error)            { return r.diffID, nil }
func (r *rewritten) Size() (int64, error)                { return r.size, nil }
func (r *rewritten) MediaType() (types.MediaType, error) { return r.media, nil }
func (r *rewritten) Compressed() (io.ReadCloser, error)  { return open(r.path) }
func (r *rewritten) Uncompressed() (io.ReadCloser, error) {
	f, err := open(r.path)
	if err != nil {
		return nil, err
	}
	in, err := newInflater(f)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &inflated{in, f}, nil
}

// inflated is the uncompressed content of a file.
type inflated struct {
	*inflater
	f io.Closer
}

func (i *inflated) Close() error {
	i.end()
	return i.f.Close()
}
