package layer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Open opens the content of a regular file of a layer, or of what a hard link of it names, whether the
// layer's index kept it or not. Where it did not, the layer is streamed up to the file, once per run.
func (s *Store) Open(ctx context.Context, l v1.Layer, e *Entry) (File, error) {
	if e.IsRegular() && e.content != nil {
		f, err := e.content.Open()
		if err != nil {
			return nil, fmt.Errorf("opening %s: %w", e.Path, err)
		}
		return f, nil
	}
	x, err := s.Index(ctx, l)
	if err != nil {
		return nil, err
	}
	at, err := x.find(e)
	if err != nil {
		return nil, err
	}
	if f, err := x.Open(at); !errors.Is(err, ErrNotKept) {
		return f, err
	}
	path := filepath.Join(s.run, "content-"+hex.EncodeToString(at.SHA256[:]))
	f, err := os.Open(path)
	if err == nil {
		return f, nil
	}
	if err := s.extract(ctx, l, at, path); err != nil {
		return nil, fmt.Errorf("opening %s: %w", e.Path, err)
	}
	return os.Open(path)
}

// find looks for the content of e in an index. e may come from another index, such as that of an edited
// layer, where it lies elsewhere or goes by another name: what counts is its digest.
func (x *Index) find(e *Entry) (*Entry, error) {
	if !e.IsRegular() {
		return x.Target(e)
	}
	if e.Sparse {
		return nil, fmt.Errorf("opening %s, a sparse file: %w", e.Path, ErrNotKept)
	}
	if own, ok := x.Lookup(e.Path); ok && own.IsRegular() && own.SHA256 == e.SHA256 {
		return own, nil
	}
	for i := range x.Entries {
		if own := &x.Entries[i]; own.IsRegular() && !own.Sparse && own.SHA256 == e.SHA256 {
			return own, nil
		}
	}
	return nil, fmt.Errorf("opening %s: not in layer %s: %w", e.Path, x.DiffID, os.ErrNotExist)
}

// extract streams a layer up to the end of an entry and copies the entry's content into a file.
func (s *Store) extract(ctx context.Context, l v1.Layer, e *Entry, path string) error {
	st, err := s.stream(ctx, l)
	if err != nil {
		return err
	}
	defer st.Close()
	st.sum, st.diffID = nil, v1.Hash{} // it will not be read to its end; the content has a digest of its own
	t, err := s.temp()
	if err != nil {
		return err
	}
	defer t.discard()
	if _, err := io.CopyN(io.Discard, st, e.offset+e.head); err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(t, sum), st, e.Size); err != nil {
		return err
	}
	if [sha256.Size]byte(sum.Sum(nil)) != e.SHA256 {
		return errMismatch
	}
	return t.commit(path)
}
