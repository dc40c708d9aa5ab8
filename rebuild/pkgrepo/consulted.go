package pkgrepo

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"slices"
	"sync"
)

// Consulted is a file that may change under its URL, as a Client found it. All that is read besides is named by digests
// that such files hold, so whoever finds the same again knows that a repository still says the same.
type Consulted struct {
	URL string
	// SHA256 is that of the content; it means nothing where the file is Absent.
	SHA256 [sha256.Size]byte
	Absent bool
}

// Consulted lists the files that Latest was asked for, by their URLs. complete is false where one was not read to its end,
// or could not be had, or was another one the second time.
func (c *Client) Consulted() (files []Consulted, complete bool) {
	return c.consulted.list()
}

// Same tells whether a file that changes under its URL is as it was consulted before.
func (c *Client) Same(ctx context.Context, was Consulted, limit int64) (bool, error) {
	r, err := c.Latest(ctx, was.URL, limit)
	if errors.Is(err, ErrNotFound) {
		return was.Absent, nil
	}
	if err != nil {
		return false, err
	}
	sum := sha256.New()
	_, err = io.Copy(sum, r)
	if err := errors.Join(err, r.Close()); err != nil {
		return false, err
	}
	return !was.Absent && [sha256.Size]byte(sum.Sum(nil)) == was.SHA256, nil
}

type consultations struct {
	mu         sync.Mutex
	found      map[string]Consulted
	incomplete bool
}

func (c *consultations) add(found Consulted) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.found == nil {
		c.found = make(map[string]Consulted)
	}
	if before, ok := c.found[found.URL]; ok && before != found {
		c.incomplete = true
	}
	c.found[found.URL] = found
}

func (c *consultations) miss() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.incomplete = true
}

func (c *consultations) list() ([]Consulted, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	files := make([]Consulted, 0, len(c.found))
	for _, f := range c.found {
		files = append(files, f)
	}
	slices.SortFunc(files, func(a, b Consulted) int { return cmp.Compare(a.URL, b.URL) })
	return files, !c.incomplete
}

// record notes how a file was found.
func (c *consultations) record(url string, r io.ReadCloser, err error) (io.ReadCloser, error) {
	switch {
	case errors.Is(err, ErrNotFound):
		c.add(Consulted{URL: url, Absent: true})
	case err != nil:
		c.miss()
	default:
		return &consultedFile{ReadCloser: r, url: url, sum: sha256.New(), to: c}, nil
	}
	return nil, err
}

// consultedFile hashes what is read.
type consultedFile struct {
	io.ReadCloser
	url   string
	sum   hash.Hash
	to    *consultations
	ended bool
}

func (f *consultedFile) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	f.sum.Write(p[:n])
	f.ended = f.ended || err == io.EOF
	return n, err
}

func (f *consultedFile) Close() error {
	if f.ended {
		f.to.add(Consulted{URL: f.url, SHA256: [sha256.Size]byte(f.sum.Sum(nil))})
	} else {
		f.to.miss()
	}
	return f.ReadCloser.Close()
}
