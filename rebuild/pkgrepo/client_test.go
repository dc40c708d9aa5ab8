package pkgrepo_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
)

const content = "a package file"

func artifact(url, text string) pkgrepo.Artifact {
	return pkgrepo.Artifact{URL: url, Size: int64(len(text)), SHA256: sha256.Sum256([]byte(text))}
}

func now() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// cacheDir is where a cache can be made: the directories of tests themselves are as open as the umask allows.
func cacheDir(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "cache")
}

// newClient returns a client that is quick to give up.
func newClient(t *testing.T, dir string, change ...func(*pkgrepo.Options)) *pkgrepo.Client {
	t.Helper()
	opts := pkgrepo.Options{Dir: dir, Now: now, Wait: time.Millisecond, Tries: 3, Stall: 5 * time.Second}
	for _, f := range change {
		f(&opts)
	}
	c, err := pkgrepo.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// server answers the nth request, counted from 1, with f.
func server(t *testing.T, f func(n int64, w http.ResponseWriter, r *http.Request)) (url string, requests *atomic.Int64) {
	t.Helper()
	requests = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f(requests.Add(1), w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL, requests
}

func send(w http.ResponseWriter, text string) { _, _ = w.Write([]byte(text)) }

// wantClean fails if the cache holds a blob or a temporary file.
func wantClean(t *testing.T, dir string) {
	t.Helper()
	for _, sub := range []string{"blob", "tmp"} {
		err := filepath.WalkDir(filepath.Join(dir, sub), func(p string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				t.Errorf("%s was left behind", p)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestFetch(t *testing.T) {
	url, requests := server(t, func(_ int64, w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Accept-Encoding"); got != "identity" {
			t.Errorf("Accept-Encoding is %q: the transport may unpack what is hashed packed", got)
		}
		send(w, content+r.URL.Path)
	})
	dir := cacheDir(t)
	var artifacts []pkgrepo.Artifact
	for i := range 20 {
		p := fmt.Sprintf("/%d.deb", i)
		artifacts = append(artifacts, artifact(url+p, content+p))
	}
	for run, want := range []int64{20, 20} {
		c := newClient(t, dir)
		paths, err := c.Fetch(t.Context(), artifacts, 7)
		if err != nil {
			t.Fatal(err)
		}
		var total int64
		for i, p := range paths {
			data, err := os.ReadFile(p)
			if err != nil || string(data) != fmt.Sprintf("%s/%d.deb", content, i) {
				t.Errorf("artifact %d: %q, %v", i, data, err)
			}
			total += artifacts[i].Size
		}
		if got := requests.Load(); got != want {
			t.Errorf("run %d: %d requests so far, want %d: the cache is to serve the second run", run, got, want)
		}
		if run == 1 {
			total = 0
		}
		if got := c.Bytes(); got.Artifacts != total || got.Repository != 0 {
			t.Errorf("run %d: counted %+v, want %d bytes of artifacts", run, got, total)
		}
	}
}

// fetchFailures are servers that answer in odd ways.
var fetchFailures = []struct {
	name string
	// serve answers the nth request; nil means the right content.
	serve    func(n int64, w http.ResponseWriter, r *http.Request)
	kind     error
	text     string
	requests int64
}{
	{
		name:  "not found",
		serve: func(_ int64, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) },
		kind:  pkgrepo.ErrNotFound, text: "listed by its repository but not there", requests: 1,
	}, {
		name:  "gone",
		serve: func(_ int64, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(410) },
		kind:  pkgrepo.ErrNotFound, requests: 1,
	}, {
		name:  "forbidden",
		serve: func(_ int64, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) },
		kind:  pkgrepo.ErrUnreachable, text: "403 Forbidden", requests: 1,
	}, {
		name: "error, then there",
		serve: func(n int64, w http.ResponseWriter, _ *http.Request) {
			if n < 3 {
				w.WriteHeader(500)
			} else {
				send(w, content)
			}
		},
		requests: 3,
	}, {
		name:  "error for good",
		serve: func(_ int64, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) },
		kind:  pkgrepo.ErrUnreachable, text: "503 Service Unavailable", requests: 3,
	}, {
		name: "too many requests, then there",
		serve: func(n int64, w http.ResponseWriter, _ *http.Request) {
			if n == 1 {
				w.Header().Set("Retry-After", now().Add(-time.Minute).UTC().Format(http.TimeFormat))
				w.WriteHeader(429)
			} else {
				send(w, content)
			}
		},
		requests: 2,
	}, {
		name: "asked to wait for too long",
		serve: func(_ int64, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "86400")
			w.WriteHeader(429)
		},
		kind: pkgrepo.ErrUnreachable, text: "429", requests: 1,
	}, {
		name: "cut off, then there",
		serve: func(n int64, w http.ResponseWriter, _ *http.Request) {
			if n == 1 {
				w.Header().Set("Content-Length", "14")
				send(w, content[:5])
			} else {
				send(w, content)
			}
		},
		requests: 2,
	}, {
		name: "reset",
		serve: func(_ int64, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "14")
			send(w, content[:5])
			panic(http.ErrAbortHandler)
		},
		kind: pkgrepo.ErrUnreachable, text: "EOF", requests: 3,
	}, {
		name:  "too large",
		serve: func(_ int64, w http.ResponseWriter, _ *http.Request) { send(w, content+strings.Repeat("x", 1<<20)) },
		kind:  pkgrepo.ErrVerification, text: "larger than the 14 bytes", requests: 1,
	}, {
		name:  "too small",
		serve: func(_ int64, w http.ResponseWriter, _ *http.Request) { send(w, content[1:]) },
		kind:  pkgrepo.ErrVerification, text: "size is 13, its index declares 14", requests: 3,
	}, {
		name: "cut off without an announced length, then there",
		serve: func(n int64, w http.ResponseWriter, _ *http.Request) {
			if n > 1 {
				send(w, content)
				return
			}
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_, _ = io.WriteString(conn, "HTTP/1.0 200 OK\r\n\r\n"+content[:5])
				_ = conn.Close()
			}
		},
		requests: 2,
	}, {
		name:  "other content",
		serve: func(_ int64, w http.ResponseWriter, _ *http.Request) { send(w, "A"+content[1:]) },
		kind:  pkgrepo.ErrVerification, text: "SHA-256", requests: 1,
	}, {
		name: "redirected",
		serve: func(_ int64, w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/a.deb" {
				http.Redirect(w, r, "/pool/a.deb", http.StatusFound)
			} else {
				send(w, content)
			}
		},
		requests: 2,
	}, {
		name: "redirected in a circle",
		serve: func(_ int64, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
		},
		kind: pkgrepo.ErrUnreachable, text: "10 redirects", requests: 10,
	}, {
		name: "redirected to a local file",
		serve: func(_ int64, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		},
		kind: pkgrepo.ErrUnreachable, requests: 1,
	}, {
		name: "not modified, unasked",
		serve: func(_ int64, w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotModified)
		},
		kind: pkgrepo.ErrUnreachable, text: "304", requests: 1,
	},
}

func TestFetchFailures(t *testing.T) {
	for _, tt := range fetchFailures {
		t.Run(tt.name, func(t *testing.T) {
			url, requests := server(t, tt.serve)
			dir := cacheDir(t)
			a := artifact(url+"/a.deb", content)
			paths, err := newClient(t, dir).Fetch(t.Context(), []pkgrepo.Artifact{a}, 1)
			if got := requests.Load(); got != tt.requests {
				t.Errorf("%d requests, want %d", got, tt.requests)
			}
			if tt.kind == nil {
				if err != nil {
					t.Fatal(err)
				}
				if data, err := os.ReadFile(paths[0]); err != nil || string(data) != content {
					t.Errorf("got %q, %v", data, err)
				}
				return
			}
			wantKind(t, err, tt.kind)
			if !strings.Contains(err.Error(), tt.text) || !strings.Contains(err.Error(), a.URL) {
				t.Errorf("error %q lacks %q or the URL", err, tt.text)
			}
			wantClean(t, dir)
		})
	}
}

// wantKind fails unless err is of the kind, and of no other.
func wantKind(t *testing.T, err, kind error) {
	t.Helper()
	for _, k := range []error{pkgrepo.ErrUnreachable, pkgrepo.ErrNotFound, pkgrepo.ErrVerification} {
		if got, want := errors.Is(err, k), errors.Is(kind, k); got != want {
			t.Errorf("error %q: is %q: %t, want %t", err, k, got, want)
		}
	}
}

func TestFetchMissingSome(t *testing.T) {
	url, _ := server(t, func(_ int64, w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/gone.deb" {
			w.WriteHeader(404)
		} else {
			send(w, content)
		}
	})
	gone := artifact(url+"/gone.deb", "something else")
	paths, err := newClient(t, cacheDir(t)).Fetch(t.Context(), []pkgrepo.Artifact{gone, artifact(url+"/a.deb", content)}, 2)
	var missing *pkgrepo.MissingError
	if !errors.As(err, &missing) || len(missing.Artifacts) != 1 || missing.Artifacts[0] != gone {
		t.Fatalf("error is %v, want a MissingError for %s", err, gone.URL)
	}
	if paths[0] != "" || paths[1] == "" {
		t.Errorf("paths are %q: the other file is to be there", paths)
	}
}

func TestFetchStalled(t *testing.T) {
	for _, when := range []string{"before the header", "in the body"} {
		t.Run(when, func(t *testing.T) {
			url, requests := server(t, func(_ int64, w http.ResponseWriter, r *http.Request) {
				if when == "in the body" {
					w.Header().Set("Content-Length", "14")
					send(w, content[:5])
					w.(http.Flusher).Flush()
				}
				<-r.Context().Done()
			})
			dir := cacheDir(t)
			c := newClient(t, dir, func(o *pkgrepo.Options) { o.Stall, o.Tries = 50*time.Millisecond, 2 })
			_, err := c.Fetch(t.Context(), []pkgrepo.Artifact{artifact(url+"/a", content)}, 1)
			wantKind(t, err, pkgrepo.ErrUnreachable)
			if !strings.Contains(err.Error(), "sent nothing for 50ms") || requests.Load() != 2 {
				t.Errorf("after %d requests: %v", requests.Load(), err)
			}
			wantClean(t, dir)
		})
	}
}

// TestFetchTrickles has a server that never goes silent and never gets there either.
func TestFetchTrickles(t *testing.T) {
	url, requests := server(t, func(_ int64, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000000")
		for r.Context().Err() == nil {
			send(w, "x")
			w.(http.Flusher).Flush()
			time.Sleep(10 * time.Millisecond)
		}
	})
	dir := cacheDir(t)
	c := newClient(t, dir, func(o *pkgrepo.Options) { o.Stall, o.Tries = 500*time.Millisecond, 2 })
	_, err := c.Fetch(t.Context(), []pkgrepo.Artifact{artifact(url+"/a", strings.Repeat("x", 1_000_000))}, 1)
	wantKind(t, err, pkgrepo.ErrUnreachable)
	if err == nil || !strings.Contains(err.Error(), "bytes in 1s") || requests.Load() != 2 {
		t.Errorf("after %d requests: %v", requests.Load(), err)
	}
	wantClean(t, dir)
}

// TestFetchSlowly has a server that is slow, but gets there: over several windows of the watchdog.
func TestFetchSlowly(t *testing.T) {
	const pieces, size = 30, 1000
	url, requests := server(t, func(_ int64, w http.ResponseWriter, _ *http.Request) {
		for range pieces {
			send(w, strings.Repeat("x", size))
			w.(http.Flusher).Flush()
			time.Sleep(20 * time.Millisecond)
		}
	})
	c := newClient(t, cacheDir(t), func(o *pkgrepo.Options) { o.Stall = 100 * time.Millisecond })
	_, err := c.Fetch(t.Context(), []pkgrepo.Artifact{artifact(url+"/a", strings.Repeat("x", pieces*size))}, 1)
	if err != nil || requests.Load() != 1 {
		t.Errorf("after %d requests: %v", requests.Load(), err)
	}
}

func TestFetchCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	url, _ := server(t, func(_ int64, _ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	dir := cacheDir(t)
	_, err := newClient(t, dir).Fetch(ctx, []pkgrepo.Artifact{artifact(url+"/a", content)}, 1)
	if !errors.Is(err, context.Canceled) || errors.Is(err, pkgrepo.ErrUnreachable) {
		t.Errorf("error is %v: an interrupt is no fault of the server", err)
	}
	wantClean(t, dir)
}

func TestNobodyListens(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	_, err := newClient(t, cacheDir(t)).Latest(t.Context(), strings.Replace(s.URL, "http://", "http://user:secret@", 1)+"/InRelease", 100)
	wantKind(t, err, pkgrepo.ErrUnreachable)
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("the error tells the password: %v", err)
	}
}

func TestPerHost(t *testing.T) {
	var at, most atomic.Int64
	url, _ := server(t, func(_ int64, w http.ResponseWriter, r *http.Request) {
		n := at.Add(1)
		defer at.Add(-1)
		for {
			m := most.Load()
			if n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		time.Sleep(5 * time.Millisecond)
		send(w, r.URL.Path)
	})
	var artifacts []pkgrepo.Artifact
	for i := range 12 {
		p := fmt.Sprintf("/%d", i)
		artifacts = append(artifacts, artifact(url+p, p))
	}
	c := newClient(t, cacheDir(t), func(o *pkgrepo.Options) { o.PerHost = 3 })
	if _, err := c.Fetch(t.Context(), artifacts, 12); err != nil {
		t.Fatal(err)
	}
	if m := most.Load(); m < 2 || m > 3 {
		t.Errorf("%d requests at a time, want 2 or 3", m)
	}
}

func TestPrivateCA(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/plain" {
			http.Redirect(w, r, "http://"+r.Host+"/a", http.StatusFound)
			return
		}
		send(w, content)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of refused handshakes
	s.StartTLS()
	defer s.Close()
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	trusting := func(o *pkgrepo.Options) { o.Transport = pkgrepo.NewTransport(&tls.Config{RootCAs: pool}) }

	if _, err := newClient(t, cacheDir(t), trusting).Fetch(t.Context(), []pkgrepo.Artifact{artifact(s.URL+"/a", content)}, 1); err != nil {
		t.Errorf("with the authority: %v", err)
	}
	_, err := newClient(t, cacheDir(t)).Fetch(t.Context(), []pkgrepo.Artifact{artifact(s.URL+"/a", content)}, 1)
	wantKind(t, err, pkgrepo.ErrUnreachable)
	_, err = newClient(t, cacheDir(t), trusting).Fetch(t.Context(), []pkgrepo.Artifact{artifact(s.URL+"/plain", content)}, 1)
	wantKind(t, err, pkgrepo.ErrUnreachable)
	if err == nil || !strings.Contains(err.Error(), "redirect from https") {
		t.Errorf("https to http: %v", err)
	}
}

func TestLocalFiles(t *testing.T) {
	src := t.TempDir()
	if err := os.WriteFile(filepath.Join(src, "a b.deb"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := cacheDir(t)
	c := newClient(t, dir)
	paths, err := c.Fetch(t.Context(), []pkgrepo.Artifact{artifact("file://"+src+"/a%20b.deb", content)}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if data, _ := os.ReadFile(paths[0]); string(data) != content || !strings.HasPrefix(paths[0], dir) {
		t.Errorf("%s holds %q: want a copy in the cache, which cannot change any more", paths[0], data)
	}
	for url, kind := range map[string]error{
		"file://" + src + "/none":            pkgrepo.ErrNotFound,
		"file://" + src:                      pkgrepo.ErrUnreachable,
		"file:///dev/zero":                   pkgrepo.ErrUnreachable,
		"file://elsewhere" + src + "/a.deb":  pkgrepo.ErrUnreachable,
		"ftp://example.org/a.deb":            pkgrepo.ErrUnreachable,
		"file://" + src + "/a%20b.deb?other": pkgrepo.ErrVerification,
	} {
		_, err := c.Fetch(t.Context(), []pkgrepo.Artifact{artifact(url, "other content")}, 1)
		wantKind(t, err, kind)
	}
}

func TestMalformedURL(t *testing.T) {
	_, err := newClient(t, cacheDir(t)).Latest(t.Context(), "http://user:secret@host:port/", 100)
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("error is %v", err)
	}
}
