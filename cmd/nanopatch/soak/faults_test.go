//go:build e2e

package soak

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/image/imagetest"
)

// patience is how long the runs wait for a peer that stalls.
const patience = 500 * time.Millisecond

// faulty is a registry behind a proxy that makes faults while it is armed.
type faulty struct {
	registry http.Handler
	// host is the proxy's, which stands for the registry; direct is the registry's own.
	host, direct string

	mu  sync.Mutex
	rng *rand.Rand
	// rate is how many of 100 requests fail, left how many faults are still to be made.
	rate, left int
	// killAt counts down to the request at which kill is called, after it was answered if late is set; 0 is never.
	killAt int
	late   bool
	kill   func()
	// made counts the faults by their kinds.
	made map[string]int
	// log is what was asked, and what became of it.
	log []string
}

// registries are the kinds of registries that runs are made over.
var registries = []string{"with referrers", "without referrers", "docker-registry"}

func newFaulty(t *testing.T, kind string) *faulty {
	t.Helper()
	f := &faulty{made: make(map[string]int)}
	if kind == "docker-registry" {
		f.direct = imagetest.StartDistribution(t)
		f.registry = imagetest.Forward(f.direct)
	} else {
		registry := imagetest.NewRegistry(t, kind == "with referrers")
		f.registry, f.direct = registry, registry.Host
	}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.host = strings.TrimPrefix(server.URL, "http://")
	return f
}

// arm makes faults from now on; the zero rate ends them.
func (f *faulty) arm(rng *rand.Rand, rate, faults int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rng, f.rate, f.left = rng, rate, faults
}

// killOn calls kill at a request, counted from 1; 0 is never. With late the registry does what it is asked, and the answer
// is lost.
func (f *faulty) killOn(request int, late bool, kill func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.killAt, f.late, f.kill = request, late, kill
}

// requests returns what was asked since the last call.
func (f *faulty) requests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	requests := f.log
	f.log = nil
	return requests
}

var faultKinds = []string{"5xx", "429", "reset", "truncation", "stall"}

// next decides what becomes of a request.
func (f *faulty) next(req *http.Request) (kind string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer func() {
		f.log = append(f.log, strings.TrimSpace(req.Method+" "+req.URL.RequestURI()+" "+kind))
	}()
	if f.killAt > 0 {
		if f.killAt--; f.killAt == 0 {
			f.made["kill -9"]++
			if f.late {
				return "late kill"
			}
			f.kill()
			return "reset"
		}
	}
	if f.left == 0 || f.rng.IntN(100) >= f.rate {
		return ""
	}
	f.left--
	kind = faultKinds[f.rng.IntN(len(faultKinds))]
	f.made[kind]++
	return kind
}

func (f *faulty) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	switch f.next(req) {
	case "5xx":
		http.Error(w, "down", http.StatusServiceUnavailable)
	case "429":
		w.Header().Set("Retry-After", "0")
		http.Error(w, `{"errors":[{"code":"TOOMANYREQUESTS"}]}`, http.StatusTooManyRequests)
	case "reset":
		panic(http.ErrAbortHandler)
	case "truncation":
		// The beginning of the answer or, where that is short, nothing of it, after the registry has done what it was asked.
		f.registry.ServeHTTP(&cut{ResponseWriter: w, left: 200}, req)
		panic(http.ErrAbortHandler)
	case "stall":
		stall(w, req, 3*patience)
	case "late kill":
		f.registry.ServeHTTP(httptest.NewRecorder(), req)
		f.kill()
		panic(http.ErrAbortHandler)
	default:
		f.registry.ServeHTTP(w, req)
	}
}

// stall answers the beginning of what is asked for and then nothing. To HEAD it says nothing at all: the beginning would be
// the answer, and a proxy that answers 200 for what is not there does not stall but lie. (It once did: then runs left out
// the layer that was said to be there.)
func stall(w http.ResponseWriter, req *http.Request, long time.Duration) {
	if req.Method == http.MethodGet {
		w.Header().Set("Content-Length", "100000")
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write([]byte("{"))
		_ = http.NewResponseController(w).Flush()
	}
	select {
	case <-req.Context().Done():
	case <-time.After(long):
	}
	panic(http.ErrAbortHandler)
}

// cut breaks the connection after some bytes of an answer.
type cut struct {
	http.ResponseWriter
	left int
}

func (c *cut) Write(p []byte) (int, error) {
	if len(p) <= c.left {
		c.left -= len(p)
		return c.ResponseWriter.Write(p)
	}
	_, _ = c.ResponseWriter.Write(p[:c.left])
	_ = http.NewResponseController(c.ResponseWriter).Flush()
	panic(http.ErrAbortHandler)
}
