package imagetest

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
)

// Registry is a registry in the process.
type Registry struct {
	// Host is its host:port on loopback, for plain HTTP.
	Host string

	backend http.Handler

	mu       sync.Mutex
	requests []string
	// blobs are those that a repository may see: "repo@digest".
	blobs  map[string]bool
	answer func(http.ResponseWriter, *http.Request) bool
}

// NewRegistry starts a registry that ends with the test. Without referrers it has no referrers API.
func NewRegistry(t testing.TB, referrers bool) *Registry {
	t.Helper()
	r := &Registry{
		backend: registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(referrers)),
		blobs:   make(map[string]bool),
	}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.Host = strings.TrimPrefix(server.URL, "http://")
	return r
}

// Answer lets f answer requests in the registry's stead: those for which it returns true. nil ends that.
func (r *Registry) Answer(f func(http.ResponseWriter, *http.Request) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

// Requests returns what was asked since the last call, as "METHOD path?query", pings left out.
func (r *Registry) Requests() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	requests := r.requests
	r.requests = nil
	return requests
}

var (
	blobPath   = regexp.MustCompile(`^/v2/(.+)/blobs/(sha256:[0-9a-f]+)$`)
	uploadPath = regexp.MustCompile(`^/v2/(.+)/blobs/uploads/`)
)

// ServeHTTP makes a Registry fit for a server with TLS too.
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	if req.URL.Path != "/v2/" {
		r.requests = append(r.requests, req.Method+" "+req.URL.RequestURI())
	}
	answer := r.answer
	r.mu.Unlock()
	if answer != nil && answer(w, req) {
		return
	}
	if m := blobPath.FindStringSubmatch(req.URL.Path); m != nil && !r.sees(m[1], m[2]) {
		http.Error(w, `{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown"}]}`, http.StatusNotFound)
		return
	}
	if m := uploadPath.FindStringSubmatch(req.URL.Path); m != nil {
		query := req.URL.Query()
		if digest := query.Get("mount"); req.Method == http.MethodPost && digest != "" && r.sees(query.Get("from"), digest) {
			r.show(m[1], digest)
			w.Header().Set("Location", "/v2/"+m[1]+"/blobs/"+digest)
			w.WriteHeader(http.StatusCreated)
			return
		}
		if digest := query.Get("digest"); digest != "" {
			recorder := &statusRecorder{ResponseWriter: w}
			r.backend.ServeHTTP(recorder, req)
			if recorder.status == http.StatusCreated {
				r.show(m[1], digest)
			}
			return
		}
	}
	r.backend.ServeHTTP(w, req)
}

func (r *Registry) sees(repo, digest string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.blobs[repo+"@"+digest]
}

func (r *Registry) show(repo, digest string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.blobs[repo+"@"+digest] = true
}

type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (s *statusRecorder) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}
