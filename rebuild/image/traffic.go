package image

import (
	"io"
	"net/http"
	"sync/atomic"
)

// Traffic is what moved between a client and registries, in bytes of manifests and blobs as they went over the wire,
// repeated tries included. Layouts move nothing.
type Traffic struct {
	// Pulled and Pushed count bytes that were received and sent.
	Pulled, Pushed int64
	// Mounted counts bytes of blobs that a registry took over from another of its repositories: not sent.
	Mounted int64
}

type counts struct{ pulled, pushed, mounted atomic.Int64 }

func (c *counts) traffic() Traffic {
	return Traffic{Pulled: c.pulled.Load(), Pushed: c.pushed.Load(), Mounted: c.mounted.Load()}
}

// counter counts bodies of manifests and blobs. Tokens, pings and error texts are not counted.
type counter struct {
	inner  http.RoundTripper
	counts *counts
}

func (c *counter) RoundTrip(req *http.Request) (*http.Response, error) {
	path := askedPath(req)
	if req.Body != nil && req.Body != http.NoBody && (uploadPath.MatchString(path) || manifestPath.MatchString(path)) {
		req = c.countRequest(req)
	}
	resp, err := c.inner.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	switch req.Method {
	case http.MethodGet:
		if manifestPath.MatchString(path) || blobPath.MatchString(path) {
			resp.Body = &countingBody{ReadCloser: resp.Body, n: &c.counts.pulled}
		}
	case http.MethodPost:
		// Created, not Accepted: there is nothing to upload (OCI distribution spec, "Mounting a blob from another
		// repository").
		if resp.StatusCode == http.StatusCreated && req.URL.Query().Has("mount") {
			if a := attemptOf(req.Context()); a != nil {
				a.mounted.Store(true)
			}
		}
	}
	return resp, nil
}

// countRequest copies the request, because a RoundTripper must leave the caller's alone.
func (c *counter) countRequest(req *http.Request) *http.Request {
	counted := *req
	wrapBody(&counted, func(body io.ReadCloser) io.ReadCloser { return &countingBody{ReadCloser: body, n: &c.counts.pushed} })
	return &counted
}

type countingBody struct {
	io.ReadCloser
	n *atomic.Int64
}

func (b *countingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n.Add(int64(n))
	return n, err
}
