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
	registry *imagetest.Registry
	// host is the proxy's, which stands for the registry.
	host string

	mu  sync.Mutex
	rng *rand.Rand
	// rate is how many of 100 requests fail, left how many faults are still to be made.
	rate, left int
	// killAt counts down to the request at which kill is called; 0 is never.
	killAt int
	kill   func()
	// made counts the faults by their kinds.
	made map[string]int
}

func newFaulty(t *testing.T, referrers bool) *faulty {
	t.Helper()
	f := &faulty{registry: imagetest.NewRegistry(t, referrers), made: make(map[string]int)}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.host = strings.TrimPrefix(server.URL, "http://")
	return f
}

// arm makes faults from now on; the zero rate ends them.
func (f *faulty) arm(rng *rand.Rand, rate, faults, killAt int, kill func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rng, f.rate, f.left, f.killAt, f.kill = rng, rate, faults, killAt, kill
}

var faultKinds = []string{"5xx", "429", "reset", "truncation", "stall"}

// next decides what becomes of a request.
func (f *faulty) next() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.killAt > 0 {
		if f.killAt--; f.killAt == 0 {
			f.made["kill -9"]++
			f.kill()
			return "reset"
		}
	}
	if f.left == 0 || f.rng.IntN(100) >= f.rate {
		return ""
	}
	f.left--
	kind := faultKinds[f.rng.IntN(len(faultKinds))]
	f.made[kind]++
	return kind
}

func (f *faulty) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	switch f.next() {
	case "5xx":
		http.Error(w, "down", http.StatusServiceUnavailable)
	case "429":
		w.Header().Set("Retry-After", "0")
		http.Error(w, `{"errors":[{"code":"TOOMANYREQUESTS"}]}`, http.StatusTooManyRequests)
	case "reset":
		panic(http.ErrAbortHandler)
	case "truncation":
		// Half of the answer, after the registry has done what it was asked.
		f.registry.ServeHTTP(&cut{ResponseWriter: w, left: 200}, req)
	case "stall":
		stall(w, req, 3*patience)
	default:
		f.registry.ServeHTTP(w, req)
	}
}

// stall answers the beginning of what is asked for and then nothing; where the beginning is the whole answer, not even that.
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
