package image_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/image/imagetest"
)

const mebibyte = 1 << 20

// large is an image with one layer of size bytes, which nobody looks into.
func large(t *testing.T, size int) v1.Image {
	t.Helper()
	random := rand.NewChaCha8([32]byte{1})
	content := make([]byte, size)
	_, _ = random.Read(content)
	img, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), static.NewLayer(content, types.OCIUncompressedLayer))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// What two cuts of a transfer cost. Each loses what was on its way, some MiB in the buffers of sockets; to begin again would
// cost what went through before each cut besides.
const (
	wholeSize   = 24 * mebibyte
	cutAfter    = 10 * mebibyte
	mostResumed = wholeSize + 2*cutAfter
)

// testCutUpload pushes through a proxy that cuts twice, and returns how many of the bytes were pushed.
func testCutUpload(t *testing.T, host string) int64 {
	t.Helper()
	img := large(t, wholeSize)
	cutter := imagetest.NewCutter(t, host, cutAfter)
	cutter.Cuts.Store(2)
	// A server needs a moment to see that a connection is gone.
	c := client(t, func(o *image.Options) { o.Retry = image.Retry{First: 100 * time.Millisecond, Longest: time.Second} })
	push(t, c, ref(t, cutter.Host+"/app:1"), img)
	if cutter.Cut.Load() != 2 {
		t.Errorf("%d connections were cut, the test means 2", cutter.Cut.Load())
	}
	pushed := c.Traffic().Pushed
	t.Logf("%d bytes were pushed for %d, with 2 cuts after %d", pushed, wholeSize, cutAfter)
	requireSame(t, open(t, client(t), ref(t, host+"/app:1")).Images[0].Image, img)
	return pushed
}

// testResumedDownload reads a layer through a proxy that cuts.
func testResumedDownload(t *testing.T, host string) {
	t.Helper()
	img := large(t, wholeSize)
	push(t, client(t), ref(t, host+"/app:1"), img)
	cutter := imagetest.NewCutter(t, host, cutAfter)
	cutter.Cuts.Store(2)
	c := client(t)
	requireSame(t, open(t, c, ref(t, cutter.Host+"/app:1")).Images[0].Image, img)
	if cutter.Cut.Load() != 2 {
		t.Errorf("%d connections were cut, the test means 2", cutter.Cut.Load())
	}
	if pulled := c.Traffic().Pulled; pulled > wholeSize+mebibyte {
		t.Errorf("%d bytes were pulled for %d", pulled, wholeSize)
	}
}

func requireSame(t *testing.T, got, want v1.Image) {
	t.Helper()
	a, err := got.Layers()
	if err != nil {
		t.Fatal(err)
	}
	b, err := want.Layers()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(readAll(t, a[0]), readAll(t, b[0])) {
		t.Error("another layer came back")
	}
}

func TestResumedDownload(t *testing.T) {
	testResumedDownload(t, imagetest.NewRegistry(t, true).Host)
}

// Over HTTP/2 a transfer that breaks off ends its stream, with errors of their own. What breaks off for good is the network's
// failure, not the content's.
func TestResumedDownloadHTTP2(t *testing.T) {
	img := large(t, 8*mebibyte)
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	content := readAll(t, layers[0])
	for name, broken := range map[string]int64{"twice": 2, "always": 1000} {
		t.Run(name, func(t *testing.T) {
			reg := imagetest.NewRegistry(t, true)
			push(t, client(t), ref(t, reg.Host+"/app:1"), img)
			server := httptest.NewUnstartedServer(reg)
			server.EnableHTTP2 = true
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.StartTLS()
			t.Cleanup(server.Close)
			ca := writePEM(t, filepath.Join(t.TempDir(), "ca.crt"), "CERTIFICATE", server.Certificate().Raw)
			r := ref(t, strings.TrimPrefix(server.URL, "https://")+"/app:1")
			c := client(t, func(o *image.Options) { o.CACert = ca })
			src := open(t, c, r)
			var asked atomic.Int64
			reg.Answer(func(w http.ResponseWriter, r *http.Request) bool {
				if r.ProtoMajor != 2 || !strings.HasSuffix(r.URL.Path, "/blobs/"+digestOf(t, layers[0]).String()) || asked.Add(1) > broken {
					return false
				}
				var from int
				if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); err == nil {
					w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(content)-1, len(content)))
					w.Header().Set("Content-Length", strconv.Itoa(len(content)-from))
					w.WriteHeader(http.StatusPartialContent)
				} else {
					w.Header().Set("Content-Length", strconv.Itoa(len(content)))
				}
				_, _ = w.Write(content[from:min(from+mebibyte/2, len(content)-1)])
				panic(http.ErrAbortHandler)
			})
			if broken == 2 {
				requireSame(t, src.Images[0].Image, img)
				if asked.Load() != 3 {
					t.Errorf("the layer was asked for %d times, the test means 3", asked.Load())
				}
				return
			}
			repo, err := client(t).Repository(ref(t, imagetest.NewRegistry(t, true).Host+"/copy:1"))
			if err != nil {
				t.Fatal(err)
			}
			_, err = repo.Push(t.Context(), src.Images[0].Image)
			requireError(t, err, image.ErrUnreachable)
		})
	}
}

// A server that knows no ranges gives all of it again; one that has another file there gives nothing that goes on.
func TestDownloadNotResumed(t *testing.T) {
	img := large(t, 6*mebibyte)
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	content := readAll(t, layers[0])
	for name, tc := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request)
		want   error
	}{
		"no ranges": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(content)))
			_, _ = w.Write(content)
		}, nil},
		"another range": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", len(content)-1, len(content)))
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(content)
		}, nil}, // the blob is asked for once more
		"other content": {func(w http.ResponseWriter, r *http.Request) {
			var from int
			_, _ = fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from)
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(content)-1, len(content)))
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(make([]byte, len(content)-from))
		}, image.ErrVerification},
	} {
		t.Run(name, func(t *testing.T) {
			reg := imagetest.NewRegistry(t, true)
			r := ref(t, reg.Host+"/app:1")
			push(t, client(t), r, img)
			first := true
			reg.Answer(func(w http.ResponseWriter, r *http.Request) bool {
				switch {
				case r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, "/blobs/"+digestOf(t, layers[0]).String()):
					return false
				case first:
					first = false
					w.Header().Set("Content-Length", strconv.Itoa(len(content)))
					_, _ = w.Write(content[:2*mebibyte])
					panic(http.ErrAbortHandler)
				case r.Header.Get("Range") == "":
					return false
				}
				tc.answer(w, r)
				return true
			})
			// What is pushed on is checked by who reads it, here on the way to another registry.
			repo, err := client(t).Repository(ref(t, imagetest.NewRegistry(t, true).Host+"/copy:1"))
			if err != nil {
				t.Fatal(err)
			}
			_, err = repo.Push(t.Context(), open(t, client(t), r).Images[0].Image)
			if tc.want == nil && err != nil {
				t.Fatal(err)
			}
			if tc.want != nil {
				requireError(t, err, tc.want)
			}
		})
	}
}

// busyFor answers 503 and Retry-After for most of a second from the first request on.
func busyFor(retryAfter string) (answer func(http.ResponseWriter) bool, asked *atomic.Int64) {
	var since time.Time
	asked = new(atomic.Int64)
	return func(w http.ResponseWriter) bool {
		if asked.Add(1) == 1 {
			since = time.Now()
		}
		if time.Since(since) > 900*time.Millisecond {
			return false
		}
		w.Header().Set("Retry-After", retryAfter)
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}, asked
}

// A transfer goes on when the registry asked for it, unless that is later than anyone waits.
func TestResumeWaitsAsAsked(t *testing.T) {
	img := large(t, 6*mebibyte)
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	content := readAll(t, layers[0])
	for header, want := range map[string]struct {
		asked int64
		err   bool
	}{"1": {2, false}, "3000": {1, true}} {
		t.Run("download "+header, func(t *testing.T) {
			reg := imagetest.NewRegistry(t, true)
			push(t, client(t), ref(t, reg.Host+"/app:1"), img)
			busy, asked := busyFor(header)
			reg.Answer(func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasSuffix(r.URL.Path, "/blobs/"+digestOf(t, layers[0]).String()) {
					return false
				}
				if r.Header.Get("Range") != "" {
					if busy(w) {
						return true
					}
					http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
					return true
				}
				w.Header().Set("Content-Length", strconv.Itoa(len(content)))
				_, _ = w.Write(content[:2*mebibyte])
				panic(http.ErrAbortHandler)
			})
			got, err := open(t, client(t), ref(t, reg.Host+"/app:1")).Images[0].Image.Layers()
			if err != nil {
				t.Fatal(err)
			}
			rc, err := got[0].Compressed()
			if err != nil {
				t.Fatal(err)
			}
			defer rc.Close()
			if b, err := io.ReadAll(rc); (err != nil) != want.err || err == nil && !bytes.Equal(b, content) {
				t.Errorf("read %d bytes: %v", len(b), err)
			}
			if asked.Load() != want.asked {
				t.Errorf("the rest was asked for %d times, want %d", asked.Load(), want.asked)
			}
		})
	}
	t.Run("upload", func(t *testing.T) {
		u := newUploads(t)
		busy, asked := busyFor("1")
		var begun, broken atomic.Int64
		u.registry.Answer(func(w http.ResponseWriter, r *http.Request) bool {
			switch {
			case r.Method == http.MethodPost:
				begun.Add(1)
			case r.Method == http.MethodPatch && r.ContentLength > mebibyte && broken.Add(1) == 1:
				r.Body = io.NopCloser(io.MultiReader(io.LimitReader(r.Body, 2*mebibyte), iotest.ErrReader(io.ErrUnexpectedEOF)))
			case r.Method == http.MethodGet && uploadID.MatchString(r.URL.Path) && busy(w):
				return true
			}
			return u.answer(w, r)
		})
		push(t, client(t), ref(t, u.registry.Host+"/app:1"), img)
		requireSame(t, open(t, client(t), ref(t, u.registry.Host+"/app:1")).Images[0].Image, img)
		if begun.Load() != 2 || asked.Load() != 2 {
			t.Errorf("%d uploads were begun, and one was asked after %d times; want 2 and 2", begun.Load(), asked.Load())
		}
	})
}

// uploads answers the requests of uploads as the distribution spec has them; go-containerregistry's registry does not tell
// how far an upload is.
type uploads struct {
	registry *imagetest.Registry

	mu       sync.Mutex
	received map[string][]byte
	// parts are the ranges that came, each as in its request.
	parts []string
	// outdated is how many answers are still to tell less than is there.
	outdated int
}

var uploadID = regexp.MustCompile(`^(/v2/.+/blobs/uploads/)([0-9]+)$`)

func newUploads(t *testing.T) *uploads {
	u := &uploads{registry: imagetest.NewRegistry(t, true), received: make(map[string][]byte)}
	u.registry.Answer(u.answer)
	return u
}

func (u *uploads) answer(w http.ResponseWriter, r *http.Request) bool {
	m := uploadID.FindStringSubmatch(r.URL.Path)
	if m == nil {
		return false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	have := u.received[m[2]]
	w.Header().Set("Location", r.URL.Path)
	switch r.Method {
	case http.MethodPatch:
		part := r.Header.Get("Content-Range")
		if part != "" && !strings.HasPrefix(part, fmt.Sprintf("%d-", len(have))) {
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return true
		}
		u.parts = append(u.parts, part)
		got, err := io.ReadAll(r.Body)
		u.received[m[2]] = append(have, got...)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(http.StatusAccepted)
	case http.MethodGet:
		if u.outdated > 0 {
			u.outdated--
			have = have[:len(have)/2]
		}
		w.Header().Set("Range", fmt.Sprintf("0-%d", max(0, len(have)-1)))
		w.WriteHeader(http.StatusNoContent)
	case http.MethodPut:
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(have)), int64(len(have))
		return false
	}
	return true
}

func TestResumedUpload(t *testing.T) {
	if pushed := testCutUpload(t, newUploads(t).registry.Host); pushed > mostResumed {
		t.Error("what was there already was sent again")
	}
}

// A registry that is still busy with what came before the break tells more when it is asked again; one that never agrees with
// itself gets the blob from the beginning.
func TestUploadStatusOutdated(t *testing.T) {
	for name, outdated := range map[string]int{"once": 1, "always": 1000} {
		t.Run(name, func(t *testing.T) {
			u := newUploads(t)
			u.outdated = outdated
			if pushed := testCutUpload(t, u.registry.Host); name == "once" && pushed > mostResumed {
				t.Error("what was there already was sent again")
			}
		})
	}
}

// A registry that does not tell how far it is gets the blob again.
func TestUploadNotResumed(t *testing.T) {
	reg := imagetest.NewRegistry(t, true)
	cutter := imagetest.NewCutter(t, reg.Host, 5*mebibyte)
	cutter.Cuts.Store(1)
	img := large(t, 8*mebibyte)
	push(t, client(t), ref(t, cutter.Host+"/app:1"), img)
	requireSame(t, open(t, client(t), ref(t, reg.Host+"/app:1")).Images[0].Image, img)
	if cutter.Cut.Load() != 1 {
		t.Errorf("%d connections were cut", cutter.Cut.Load())
	}
}

// A registry that answers before it has read an upload, and then reads no more, is not waited for.
func TestUploadRefusedEarly(t *testing.T) {
	const holds = 20 * time.Second
	u := newUploads(t)
	var refused atomic.Int64
	u.registry.Answer(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPatch || r.ContentLength < mebibyte || refused.Add(1) > 1 {
			return u.answer(w, r)
		}
		w.Header().Set("Content-Length", "4")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte("busy"))
		rc := http.NewResponseController(w)
		if err := errors.Join(rc.Flush(), rc.EnableFullDuplex()); err != nil {
			t.Error(err)
		}
		select {
		case <-time.After(holds):
		case <-t.Context().Done():
		}
		return true
	})
	img := large(t, wholeSize)
	start := time.Now()
	push(t, client(t), ref(t, u.registry.Host+"/app:1"), img)
	if took := time.Since(start); took >= holds {
		t.Errorf("waited %s", took)
	}
	requireSame(t, open(t, client(t), ref(t, u.registry.Host+"/app:1")).Images[0].Image, img)
	if refused.Load() != 2 {
		t.Errorf("the layer was sent %d times, the test means 2", refused.Load())
	}
}

// Where a host's settings ask for it, a blob goes up in parts.
func TestChunkedUpload(t *testing.T) {
	u := newUploads(t)
	img := large(t, 5*mebibyte)
	_, port, _ := strings.Cut(u.registry.Host, ":")
	c := client(t, func(o *image.Options) { // as somebody may write it
		o.Hosts = map[string]image.HostOptions{"LocalHost:" + port: {ChunkSize: 2 * mebibyte}}
	})
	push(t, c, ref(t, "localhost:"+port+"/app:1"), img)
	requireSame(t, open(t, client(t), ref(t, u.registry.Host+"/app:1")).Images[0].Image, img)
	var parts []string
	for _, p := range u.parts {
		if p != "" { // the config goes at once
			parts = append(parts, p)
		}
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("0-2097151 2097152-4194303 4194304-%d", sizeOf(t, layers[0])-1)
	if got := strings.Join(parts, " "); got != want {
		t.Errorf("the parts were %s, want %s", got, want)
	}
}

// A token that expires between two parts is no reason to give up, nor to send the rest under the name of all.
func TestTokenExpiresWithinUpload(t *testing.T) {
	u := newUploads(t)
	var generation, refused atomic.Int64
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"token":"%d"}`, generation.Load())
	}))
	t.Cleanup(tokens.Close)
	// On loopback the token server must have a name: addresses there are refused.
	challenge := `Bearer realm="` + strings.Replace(tokens.URL, "127.0.0.1", "localhost", 1) + `",service="test"`
	u.registry.Answer(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.Header.Get("Content-Range"), "2097152-") && refused.Load() == 0 {
			refused.Add(1)
			generation.Add(1)
		}
		if r.Header.Get("Authorization") != fmt.Sprintf("Bearer %d", generation.Load()) {
			w.Header().Set("WWW-Authenticate", challenge)
			w.WriteHeader(http.StatusUnauthorized)
			return true
		}
		return u.answer(w, r)
	})
	img := large(t, 5*mebibyte)
	from := ref(t, imagetest.NewRegistry(t, true).Host+"/app:1")
	push(t, client(t), from, img)
	with := func(o *image.Options) {
		o.Hosts = map[string]image.HostOptions{u.registry.Host: {ChunkSize: 2 * mebibyte}}
	}
	for name, img := range map[string]v1.Image{"held": img, "read": open(t, client(t), from).Images[0].Image} {
		refused.Store(0)
		r := ref(t, u.registry.Host+"/"+name+":1")
		push(t, client(t, with), r, img)
		requireSame(t, open(t, client(t), r).Images[0].Image, img)
		if refused.Load() != 1 {
			t.Error("no part was refused")
		}
	}
}
