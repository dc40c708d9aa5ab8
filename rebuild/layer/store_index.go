package layer

import (
	"context"
	"errors"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Index returns the index of a layer: from the cache, by its diffID, or else from one pass over its
// compressed bytes, which checks digest, size and diffID on the way and fails with a DigestError. A layer
// that is no well-formed archive is a FormatError.
func (s *Store) Index(ctx context.Context, l v1.Layer) (*Index, error) {
	diffID, err := l.DiffID()
	if err != nil {
		return nil, fmt.Errorf("reading a layer's diffID: %w", err)
	}
	path := s.packPath(diffID.String(), "layer:"+s.opts.KeepID)
	return s.cached(ctx, path, func() (*Index, error) {
		s.opts.Logger.Debug("indexing layer", "diffID", diffID.String())
		st, err := s.stream(ctx, l)
		if err != nil {
			return nil, err
		}
		defer st.Close()
		return s.scan(ctx, st, path, ScanOptions{Keep: s.opts.Keep, Limits: s.opts.Limits, Layer: diffID})
	})
}

// IndexTar returns the index of any archive, compressed or not, with all content. Whoever asks again with the
// same key gets the same index: key names the archive's bytes, as a digest does.
func (s *Store) IndexTar(ctx context.Context, key string, open Opener) (*Index, error) {
	path := s.packPath(key, tarKeepID)
	return s.cached(ctx, path, func() (*Index, error) {
		st, err := s.openTar(ctx, open)
		if err != nil {
			return nil, fmt.Errorf("opening archive %s: %w", key, err)
		}
		defer st.Close()
		x, err := s.scan(ctx, st, path, ScanOptions{Keep: KeepAll, Limits: s.opts.Limits})
		if err != nil {
			return nil, fmt.Errorf("indexing archive %s: %w", key, err)
		}
		return x, nil
	})
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
