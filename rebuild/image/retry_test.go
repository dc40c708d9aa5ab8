package image_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/image/imagetest"
)

// failFirst lets the first n requests that match fail.
func failFirst(n int, pattern string, fail http.HandlerFunc) (answer func(http.ResponseWriter, *http.Request) bool, failed *atomic.Int64) {
	match := regexp.MustCompile(pattern)
	failed = &atomic.Int64{}
	var mu sync.Mutex
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !match.MatchString(r.Method + " " + r.URL.Path) {
			return false
		}
		mu.Lock()
		defer mu.Unlock()
		if failed.Load() >= int64(n) {
			return false
		}
		failed.Add(1)
		fail(w, r)
		return true
	}, failed
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		// A code that go-containerregistry holds to be final.
		http.Error(w, `{"errors":[{"code":"INTERNAL_ERROR","message":"oops"}]}`, code)
	}
}

// reset breaks the connection without an answer.
func reset(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// truncate promises more than it sends.
func truncate(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	_, _ = w.Write([]byte("{"))
	panic(http.ErrAbortHandler)
}

func TestRetries(t *testing.T) {
	const (
		ping     = `^GET /v2/$`
		manifest = `^GET .*/manifests/`
		blob     = `^GET .*/blobs/`
		head     = `^HEAD `
		start    = `^POST .*/blobs/uploads/`
		send     = `^PATCH .*/blobs/uploads/`
		commit   = `^PUT .*/blobs/uploads/`
		put      = `^PUT .*/manifests/sha256`
		tag      = `^PUT .*/manifests/new$`
		list     = `^GET .*/referrers/`
	)
	for _, tc := range []struct {
		name, pattern string
		fail          http.HandlerFunc
	}{
		{"500 to a ping", ping, status(500)},
		{"500 for a manifest", manifest, status(500)},
		{"429 for a manifest", manifest, status(429)},
		{"reset for a manifest", manifest, reset},
		{"truncated manifest", manifest, truncate},
		{"truncated config", blob, truncate},
		{"502 to HEAD", head, status(502)},
		{"503 at the start of an upload", start, status(503)},
		{"reset at the start of an upload", start, reset},
		{"500 in an upload", send, status(500)},
		{"reset in an upload", send, reset},
		{"500 at the end of an upload", commit, status(500)},
		{"500 to a manifest", put, status(500)},
		{"reset by a manifest", put, reset},
		{"500 to a tag", tag, status(500)},
		{"504 for referrers", list, status(504)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			reg := imagetest.NewRegistry(t, true)
			answer, failed := failFirst(2, tc.pattern, tc.fail)
			reg.Answer(answer)
			c, r := client(t), ref(t, reg.Host+"/app:new")
			img := linux(t, "amd64", "x")
			desc := push(t, c, r, img)
			repo, err := c.Repository(r)
			if err != nil {
				t.Fatal(err)
			}
			if err := repo.Attach(t.Context(), desc, imagetest.Artifact(t, "application/vnd.example", "x")); err != nil {
				t.Fatal(err)
			}
			src := open(t, client(t), r)
			if src.Descriptor.Digest != digestOf(t, img) {
				t.Error("another image came back")
			}
			if found, err := repo.Referrers(t.Context(), desc.Digest); err != nil || len(found) != 1 {
				t.Errorf("%d referrers, %v", len(found), err)
			}
			if failed.Load() != 2 {
				t.Errorf("%d requests failed, the test means 2", failed.Load())
			}
		})
	}
}

// Tries are counted once, not once for each layer of software.
func TestRetriesEnd(t *testing.T) {
	for _, pattern := range []string{`^GET .*/manifests/`, `^GET .*/blobs/`, `^HEAD .*/blobs/`, `^POST `, `^PUT .*/manifests/sha256`, `^GET .*/referrers/`} {
		t.Run(pattern, func(t *testing.T) {
			t.Parallel()
			reg := imagetest.NewRegistry(t, true)
			r := ref(t, reg.Host+"/app:new")
			img := imagetest.Image(t, "application/vnd.oci.image.manifest.v1+json", "linux/amd64", map[string]string{"a": "b"})
			push(t, client(t), r, img)
			answer, failed := failFirst(1000, pattern, status(503))
			reg.Answer(answer)
			c := client(t, func(o *image.Options) { o.Jobs = 1 })
			src, err := c.Open(t.Context(), r)
			if err == nil {
				var repo image.Repository
				if repo, err = c.Repository(ref(t, reg.Host+"/copy:new")); err != nil {
					t.Fatal(err)
				}
				_, err = repo.Push(t.Context(), src.Images[0].Image)
				if err == nil {
					_, err = repo.Referrers(t.Context(), src.Descriptor.Digest)
				}
			}
			requireError(t, err, image.ErrUnreachable, "503")
			// Two blobs are pushed.
			if n := failed.Load(); n < int64(impatient.Tries) || n > 2*int64(impatient.Tries) {
				t.Errorf("%d tries", n)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	reg := imagetest.NewRegistry(t, true)
	r := ref(t, reg.Host+"/app:new")
	push(t, client(t), r, linux(t, "amd64", "x"))
	for _, tc := range []struct {
		name, header string
		// date is the answer's own, by a clock that need not be ours.
		date    string
		atLeast time.Duration
		tries   int64
	}{
		{"seconds", "1", "", time.Second, 1},
		{"date", "Mon, 02 Jan 2006 15:04:06 GMT", "Mon, 02 Jan 2006 15:04:05 GMT", time.Second, 1},
		{"date gone by", "Mon, 02 Jan 2006 15:04:04 GMT", "Mon, 02 Jan 2006 15:04:05 GMT", 0, 1},
		{"longer than anyone waits", "3000", "", 0, 1000},
		{"longer than numbers", "9223372036854775807", "", 0, 1000},
		{"date later than anyone waits", "Tue, 03 Jan 2006 15:04:05 GMT", "Mon, 02 Jan 2006 15:04:05 GMT", 0, 1000},
		{"nonsense", "soon", "", 0, 1},
		{"negative", "-5", "", 0, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			answer, failed := failFirst(int(tc.tries), `/manifests/`, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", tc.header)
				if tc.date != "" {
					w.Header().Set("Date", tc.date)
				}
				w.WriteHeader(http.StatusTooManyRequests)
			})
			reg.Answer(answer)
			start := time.Now()
			_, err := client(t).Open(t.Context(), r)
			if tc.tries > 1 {
				requireError(t, err, image.ErrUnreachable, "limiting")
				if failed.Load() != 1 {
					t.Errorf("asked %d times", failed.Load())
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took < tc.atLeast {
				t.Errorf("waited %v", took)
			}
		})
	}
}

// HTTP/2 has errors of its own.
func TestRetriesHTTP2(t *testing.T) {
	reg := imagetest.NewRegistry(t, true)
	push(t, client(t), ref(t, reg.Host+"/app:1"), linux(t, "amd64", "x"))
	server := httptest.NewUnstartedServer(reg)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	answer, failed := failFirst(2, `/manifests/`, reset)
	reg.Answer(answer)
	c := client(t, func(o *image.Options) { o.Transport = server.Client().Transport })
	open(t, c, ref(t, strings.TrimPrefix(server.URL, "https://")+"/app:1"))
	if failed.Load() != 2 {
		t.Errorf("%d requests failed", failed.Load())
	}
}

// A cancelled run ends at once, in the middle of a wait too.
func TestCancel(t *testing.T) {
	reg := imagetest.NewRegistry(t, true)
	reg.Answer(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	c := client(t, func(o *image.Options) { o.Retry = image.Retry{Tries: 100, First: time.Hour, Longest: time.Hour} })
	repo, err := c.Repository(ref(t, reg.Host+"/app:1"))
	if err != nil {
		t.Fatal(err)
	}
	img := linux(t, "amd64", "x")
	for name, f := range map[string]func(context.Context) error{
		"open": func(ctx context.Context) error { _, err := c.Open(ctx, ref(t, reg.Host+"/app:1")); return err },
		"push": func(ctx context.Context) error { _, err := repo.Push(ctx, img); return err },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		start := time.Now()
		err := f(ctx)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 10*time.Second {
			t.Errorf("%s: %v after %v", name, err, time.Since(start))
		}
	}
}
