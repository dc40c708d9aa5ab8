package imagetest

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// Forward passes requests on to a registry at a host, which answers as if it were where it was asked.
func Forward(host string) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: host})
			r.Out.Host = r.In.Host // it names places for uploads after the host that it is asked as
		},
		ErrorLog: log.New(io.Discard, "", 0), // clients go away
	}
}

// CountingProxy stands before a registry and counts the bytes of all bodies, whatever they are.
type CountingProxy struct {
	// Host is its host:port on loopback, for plain HTTP.
	Host string

	registry http.Handler
	mu       sync.Mutex
	moved    Moved
}

// Moved is what went through a proxy, in bytes of bodies: All in both directions, Pulled and Pushed those of manifests,
// lists and blobs, as nanopatch counts them. Blobs are by digest, manifests as they were named.
type Moved struct {
	All, Pulled, Pushed                          int64
	PulledBlobs, UploadedBlobs, WrittenManifests []string
}

var (
	pulledBlob   = regexp.MustCompile(`/blobs/(sha256:[0-9a-f]{64})$`)
	manifestName = regexp.MustCompile(`/manifests/([^/]+)$`)
)

// NewCountingProxy starts a proxy that ends with the test.
func NewCountingProxy(t testing.TB, registry http.Handler) *CountingProxy {
	t.Helper()
	p := &CountingProxy{registry: registry}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.Host = strings.TrimPrefix(server.URL, "http://")
	return p
}

// ServeHTTP implements http.Handler.
func (p *CountingProxy) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body := &countedReader{ReadCloser: req.Body}
	req.Body = body
	out := &countedWriter{ResponseWriter: w}
	method, path, digest := req.Method, req.URL.Path, req.URL.Query().Get("digest")
	p.registry.ServeHTTP(out, req)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.moved.All += out.n + body.n
	switch method {
	case http.MethodGet:
		if strings.Count(path, "/") > 2 {
			p.moved.Pulled += out.n
		}
		if m := pulledBlob.FindStringSubmatch(path); m != nil {
			p.moved.PulledBlobs = append(p.moved.PulledBlobs, m[1])
		}
	case http.MethodPut, http.MethodPatch:
		p.moved.Pushed += body.n
		if m := manifestName.FindStringSubmatch(path); m != nil {
			p.moved.WrittenManifests = append(p.moved.WrittenManifests, m[1])
		}
		if digest != "" {
			p.moved.UploadedBlobs = append(p.moved.UploadedBlobs, digest)
		}
	}
}

// Take returns what was counted since the last call.
func (p *CountingProxy) Take() Moved {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.moved
	p.moved = Moved{}
	return m
}

type countedReader struct {
	io.ReadCloser
	n int64
}

func (c *countedReader) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n += int64(n)
	return n, err
}

type countedWriter struct {
	http.ResponseWriter
	n int64
}

func (c *countedWriter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.n += int64(n)
	return n, err
}
