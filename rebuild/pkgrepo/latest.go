package pkgrepo

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
)

// Latest returns the present content of a file that changes under its URL: the signed file a repository
// starts with. A copy in the cache only saves the transfer, by a conditional request; the server is asked
// every time, and one that does not answer is an error. The content is not verified.
//
// A file larger than limit is an ErrVerification, one that is not there an ErrNotFound. What was found is among the
// Consulted when it was read and closed.
func (c *Client) Latest(ctx context.Context, rawURL string, limit int64) (io.ReadCloser, error) {
	r, err := c.Vouched(ctx, rawURL, limit)
	return c.consulted.record(rawURL, r, err)
}

// Vouched is Latest for a file of which another one says what it must be, though not by a digest that the cache goes by.
// It is not among the Consulted.
func (c *Client) Vouched(ctx context.Context, rawURL string, limit int64) (io.ReadCloser, error) {
	key := sha256.Sum256([]byte(rawURL))
	path := filepath.Join(c.cache.dir, refDir, hex.EncodeToString(key[:]))
	held := c.openRef(path)
	keep := false
	defer func() {
		if held != nil && !keep {
			_ = held.Close()
		}
	}()
	err := c.get(ctx, request{
		url:     rawURL,
		header:  held.conditions(),
		counter: c.repo,
		take: func(r *response) error {
			if keep = r.status == http.StatusNotModified; keep {
				return nil
			}
			return c.storeRef(path, rawURL, r, limit)
		},
	})
	switch {
	case err != nil:
		return nil, err
	case keep:
		return held, nil
	}
	if fresh := c.openRef(path); fresh != nil {
		return fresh, nil
	}
	return nil, c.cache.fail(fmt.Errorf("%s vanished after it was written", path))
}

// refHeader is the first line of a file below ref/: JSON.
type refHeader struct {
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"lastModified,omitempty"`
}

// ref is an opened copy of a mutable file.
type ref struct {
	refHeader
	body *bufio.Reader
	file *Sealed
}

func (r *ref) Read(p []byte) (int, error) { return r.body.Read(p) }

func (r *ref) Close() error { return r.file.Close() }

// conditions are the request headers that spare the transfer where nothing changed. max-age=0 makes
// caches on the way ask the origin: a proxy's old copy of a signed file does not fit the indexes.
func (r *ref) conditions() http.Header {
	h := http.Header{"Cache-Control": {"max-age=0"}}
	if r == nil {
		return h
	}
	if r.ETag != "" {
		h.Set("If-None-Match", r.ETag)
	}
	if r.LastModified != "" {
		h.Set("If-Modified-Since", r.LastModified)
	}
	return h
}

// openRef returns nil where there is no usable copy.
func (c *Client) openRef(path string) *ref {
	f, err := c.cache.openSealed(path)
	if err != nil {
		return nil
	}
	r := &ref{body: bufio.NewReader(f), file: f}
	line, err := r.body.ReadBytes('\n')
	if err != nil || json.Unmarshal(line, &r.refHeader) != nil {
		_ = f.Close()
		return nil
	}
	return r
}

func (c *Client) storeRef(path, rawURL string, r *response, limit int64) error {
	h := refHeader{ETag: r.header.Get("ETag"), LastModified: r.header.Get("Last-Modified")}
	// A server's validators are echoed back, no more; absurd ones are not kept.
	if len(h.ETag)+len(h.LastModified) > 1024 {
		h = refHeader{}
	}
	line, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return c.cache.createSealed(path, func(w io.Writer) error {
		if _, err := w.Write(append(line, '\n')); err != nil {
			return err
		}
		n, err := io.Copy(w, io.LimitReader(r.body, limit+1))
		if err == nil && n > limit {
			return &Error{ErrVerification, redact(rawURL), fmt.Errorf("larger than %d bytes", limit)}
		}
		return err
	})
}

// redact leaves out a URL's password.
func redact(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "(malformed URL)"
	}
	return u.Redacted()
}
