package image_test

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/image/imagetest"
)

// A registry that stops in the middle of a layer is given up, and says so; one that is only slow is not.
func TestStall(t *testing.T) {
	reg := imagetest.NewRegistry(t, true)
	r := ref(t, reg.Host+"/app:1")
	img := linux(t, "amd64", strings.Repeat("x", 5<<20))
	push(t, client(t), r, img)
	patient := func(o *image.Options) { o.Stall = 300 * time.Millisecond }
	for pace, want := range map[time.Duration]error{time.Hour: image.ErrUnreachable, 30 * time.Millisecond: nil} {
		reg.Answer(func(w http.ResponseWriter, req *http.Request) bool {
			if req.Method != http.MethodGet || !strings.Contains(req.URL.Path, "/blobs/") {
				return false
			}
			layers, err := img.Layers()
			if err != nil {
				t.Error(err)
			}
			for _, l := range layers {
				if digest := digestOf(t, l).String(); strings.HasSuffix(req.URL.Path, digest) {
					body := readAll(t, l)
					for len(body) > 0 {
						n := min(len(body), 1+len(body)/4)
						if _, err := w.Write(body[:n]); err != nil {
							return true
						}
						w.(http.Flusher).Flush()
						body = body[n:]
						select {
						case <-req.Context().Done():
							return true
						case <-time.After(pace):
						}
					}
					return true
				}
			}
			return false
		})
		c := client(t, patient)
		src := open(t, c, r)
		to, err := c.Repository(ref(t, "oci:"+t.TempDir()+":1"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := to.Push(t.Context(), src.Images[0].Image); !errors.Is(err, want) {
			t.Errorf("with %s between two pieces: %v, want %v", pace, err, want)
		}
	}
}

// A registry is not to blame for what the source of an upload takes.
func TestSlowSourceIsNoStall(t *testing.T) {
	img := large(t, 6*mebibyte)
	from := imagetest.NewRegistry(t, true)
	push(t, client(t), ref(t, from.Host+"/app:1"), img)
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	var cut, refused atomic.Int64
	from.Answer(func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, "/blobs/"+digestOf(t, layers[0]).String()):
			return false
		case cut.Add(1) == 1:
			content := readAll(t, layers[0])
			w.Header().Set("Content-Length", strconv.Itoa(len(content)))
			_, _ = w.Write(content[:4*mebibyte])
			panic(http.ErrAbortHandler)
		case refused.Add(1) == 1:
			w.Header().Set("Retry-After", "2")
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
		return false
	})
	to := newUploads(t)
	c := client(t, func(o *image.Options) { o.Stall = time.Second })
	push(t, c, ref(t, to.registry.Host+"/app:1"), open(t, c, ref(t, from.Host+"/app:1")).Images[0].Image)
	if cut.Load() != 3 || refused.Load() < 1 || len(to.parts) != 2 {
		t.Errorf("%d requests for the layer, %d uploads, the test means 3 and 2", cut.Load(), len(to.parts))
	}
}
