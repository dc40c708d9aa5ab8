package pkgrepo

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// Fetch brings artifacts into the cache, at most concurrency at a time (1 where less), and returns the
// path of each, in order. Size and SHA-256 are checked while the bytes come in, and again when a file is
// taken from the cache; no more than the declared size is ever read. The files must not be changed.
//
// Where the only trouble is that servers lack some of the files, the paths of these are empty, all others
// are valid, and the error is a *MissingError.
func (c *Client) Fetch(ctx context.Context, artifacts []Artifact, concurrency int) ([]string, error) {
	paths := make([]string, len(artifacts))
	var (
		mu      sync.Mutex
		missing = make([]bool, len(artifacts))
		absent  int
	)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(1, concurrency))
	for i, a := range artifacts {
		g.Go(func() error {
			p, err := c.blob(ctx, a, c.artefs)
			mu.Lock()
			defer mu.Unlock()
			if errors.Is(err, ErrNotFound) {
				missing[i] = true
				absent++
				return nil
			}
			paths[i] = p
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if absent == 0 {
		return paths, nil
	}
	e := &MissingError{}
	for i, a := range artifacts {
		if missing[i] {
			e.Artifacts = append(e.Artifacts, a)
		}
	}
	return paths, e
}

// Keep puts an artifact that came from elsewhere into the cache. Size and SHA-256 are checked while the bytes come in; what
// differs is ErrVerification, or io.ErrUnexpectedEOF where it ends early, and is not kept.
func (c *Client) Keep(ctx context.Context, a Artifact, content io.Reader) error {
	unlock, err := c.cache.lock(ctx, "blob", a.SHA256)
	if err != nil {
		return err
	}
	defer unlock()
	return c.cache.create(c.cache.blobPath(a.SHA256), func(w io.Writer) error { return copyExactly(w, content, a) })
}

// FetchIndex brings one index file, whose size and digest are known from a signed file, into the cache
// and returns its path. It differs from Fetch in what Bytes counts it as.
func (c *Client) FetchIndex(ctx context.Context, a Artifact) (string, error) {
	return c.blob(ctx, a, c.repo)
}

// blob returns the path of a file with the given digest, downloading it where the cache has none.
func (c *Client) blob(ctx context.Context, a Artifact, counter *atomic.Int64) (string, error) {
	path := c.cache.blobPath(a.SHA256)
	if c.cache.holds(path, a.Size, a.SHA256) {
		return path, nil
	}
	unlock, err := c.cache.lock(ctx, "blob", a.SHA256)
	if err != nil {
		return "", err
	}
	defer unlock()
	// Another process may have brought it while this one waited.
	if c.cache.holds(path, a.Size, a.SHA256) {
		return path, nil
	}
	c.log.Debug("downloading", "url", a.URL, "size", a.Size)
	return path, c.get(ctx, request{
		url:     a.URL,
		counter: counter,
		take: func(r *response) error {
			return c.cache.create(path, func(w io.Writer) error { return copyExactly(w, r.body, a) })
		},
	})
}

// copyExactly copies a.Size bytes and fails unless that is all there is and it has the digest.
func copyExactly(w io.Writer, r io.Reader, a Artifact) error {
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, h), io.LimitReader(r, a.Size+1))
	switch {
	case err != nil:
		return err
	case n > a.Size:
		return &Error{ErrVerification, redact(a.URL), fmt.Errorf("larger than the %d bytes its index declares", a.Size)}
	case n < a.Size:
		return &shortError{n, a.Size}
	case [sha256.Size]byte(h.Sum(nil)) != a.SHA256:
		return &Error{ErrVerification, redact(a.URL), fmt.Errorf("SHA-256 is %x, its index declares %x", h.Sum(nil), a.SHA256)}
	}
	return nil
}

// shortError says that a file ended early, as one does whose transfer broke where the server announced no
// length: it is worth another try. A file that stays too short is not what its index declares.
type shortError struct{ got, want int64 }

func (e *shortError) Error() string {
	return fmt.Sprintf("size is %d, its index declares %d", e.got, e.want)
}

func (e *shortError) Unwrap() error { return io.ErrUnexpectedEOF }
