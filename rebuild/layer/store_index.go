package layer

import (
	"context"
	"errors"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Index returns the index of a layer: from the cache, or else from one pass over its compressed bytes, which
// checks digest, size and diffID on the way and fails with a DigestError. A layer that is no well-formed
// archive is a FormatError. What the cache holds was found of these very digests and size: a blob that its
// image pairs with the diffID of another layer is read, and refused, however often that layer was seen.
func (s *Store) Index(ctx context.Context, l v1.Layer) (*Index, error) {
	id, err := identify(l)
	if err != nil {
		return nil, err
	}
	path := s.layerPath(id)
	return s.cached(ctx, path, func() (*Index, error) {
		s.opts.Logger.Debug("indexing layer", "diffID", id.diffID.String())
		st, err := s.stream(ctx, l)
		if err != nil {
			return nil, err
		}
		defer st.Close()
		return s.scan(ctx, st, path, ScanOptions{Keep: s.opts.Keep, Limits: s.opts.Limits, Layer: id.diffID})
	})
}

// identity is all that an image says of a layer's bytes.
type identity struct {
	digest, diffID v1.Hash
	size           int64
}

func identify(l v1.Layer) (id identity, err error) {
	if id.digest, err = l.Digest(); err != nil {
		return id, fmt.Errorf("reading a layer's digest: %w", err)
	}
	if id.size, err = l.Size(); err != nil {
		return id, fmt.Errorf("reading the size of layer %s: %w", id.digest, err)
	}
	if id.diffID, err = l.DiffID(); err != nil {
		return id, fmt.Errorf("reading the diffID of layer %s: %w", id.digest, err)
	}
	return id, nil
}

// layerPath names the pack file of a layer. All that a pass over the layer checks is in its name, so that the
// cache never gives an index of which the pass would have been an error.
func (s *Store) layerPath(id identity) string {
	return s.packPath(fmt.Sprintf("%s %s %d", id.diffID, id.digest, id.size), "layer:"+s.opts.KeepID)
}

// maxTarKept bounds the content of one archive of IndexTar, all of which is kept: several times what the
// largest packages hold. Twice that bounds the archive.
const maxTarKept = 4 << 30

// IndexTar returns the index of any uncompressed archive, with all content: 4 GiB, unless the store's Limits
// are lower. What looks compressed is not inflated. Whoever asks again with the same key gets the same
// index: key names the archive's bytes, as a digest does.
func (s *Store) IndexTar(ctx context.Context, key string, open Opener) (*Index, error) {
	path := s.packPath(key, tarKeepID)
	return s.cached(ctx, path, func() (*Index, error) {
		st, err := s.openTar(ctx, open)
		if err != nil {
			return nil, fmt.Errorf("opening archive %s: %w", key, err)
		}
		defer st.Close()
		x, err := s.scan(ctx, st, path, ScanOptions{Keep: KeepAll, Limits: s.tarLimits()})
		if err != nil {
			return nil, fmt.Errorf("indexing archive %s: %w", key, err)
		}
		return x, nil
	})
}

func (s *Store) tarLimits() Limits {
	l := s.opts.Limits.withDefaults()
	l.Kept, l.Size = min(l.Kept, maxTarKept), min(l.Size, 2*maxTarKept)
	return l
}

// cached loads the index of a pack file or makes it. Of those in this process that ask for the same one at
// the same time, one makes it and the others wait.
func (s *Store) cached(ctx context.Context, path string, fresh func() (*Index, error)) (*Index, error) {
	s.mu.Lock()
	turn, ok := s.loading[path]
	if !ok {
		turn = make(chan struct{}, 1)
		s.loading[path] = turn
	}
	s.mu.Unlock()
	select {
	case turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-turn }()
	if x := s.load(path); x != nil {
		return x, nil
	}
	x, err := fresh()
	if err != nil {
		return nil, err
	}
	s.remember(path, x)
	return x, nil
}

// scan indexes a stream into a pack file.
func (s *Store) scan(ctx context.Context, st *stream, path string, opts ScanOptions) (*Index, error) {
	t, err := s.temp()
	if err != nil {
		return nil, fmt.Errorf("writing the layer cache: %w", err)
	}
	defer t.discard()
	p, err := newPackWriter(t)
	if err != nil {
		return nil, fmt.Errorf("writing the layer cache: %w", err)
	}
	opts.sink = p
	x, err := Scan(ctx, st, opts)
	if err != nil {
		return nil, st.blame(err)
	}
	x.DiffID = st.got()
	if err := p.commit(t, path, x); err != nil {
		return nil, fmt.Errorf("writing the layer cache: %w", err)
	}
	return x, nil
}

// blame reads on behind what is wrong in an archive: if the bytes are not those asked for, as this package or the
// layer's own reader finds, that is what is wrong.
func (st *stream) blame(err error) error {
	var f *FormatError
	if errors.As(err, &f) || errors.Is(err, errMismatch) {
		if _, e := io.Copy(io.Discard, st); e != nil && !errors.As(e, &f) {
			return e
		}
	}
	return err
}

// commit ends the pack, moves it into place and makes the content that the index keeps refer to it.
func (p *packWriter) commit(t *temp, path string, x *Index) error {
	if err := p.finish(x); err != nil {
		return err
	}
	if err := t.commit(path); err != nil {
		return err
	}
	file := &pack{path: path}
	for i := range x.Entries {
		if e := &x.Entries[i]; e.content != nil {
			if c, ok := e.content.(packed); ok {
				e.content = &section{file, c.off, e.Size}
			}
		}
	}
	return nil
}
