package image_test

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/image/imagetest"
)

// mirrored is a registry and a mirror of it under another path.
type mirrored struct {
	origin, mirror *imagetest.Registry
	ref, at        image.Ref
}

func newMirrored(t *testing.T) *mirrored {
	t.Helper()
	m := &mirrored{origin: imagetest.NewRegistry(t, true), mirror: imagetest.NewRegistry(t, true)}
	m.ref, m.at = ref(t, m.origin.Host+"/team/app:1"), ref(t, m.mirror.Host+"/cache/team/app:1")
	push(t, client(t), m.ref, linux(t, "amd64", "origin"))
	m.origin.Requests()
	return m
}

func (m *mirrored) options(pull image.MirrorPull) func(*image.Options) {
	return func(o *image.Options) {
		o.Mirrors = []image.Mirrors{
			{Prefix: m.origin.Host, Mirrors: []image.Mirror{{Location: "127.0.0.1:1/unused"}}},
			{Prefix: m.origin.Host + "/team", Mirrors: []image.Mirror{{Location: m.mirror.Host + "/cache/team", Pull: pull}}},
		}
	}
}

// Hosts are the same in upper and lower case, paths are not.
func TestMirrorOfAHostInAnyCase(t *testing.T) {
	m := newMirrored(t)
	push(t, client(t), m.at, linux(t, "amd64", "origin"))
	_, port, _ := strings.Cut(m.origin.Host, ":")
	open(t, client(t, func(o *image.Options) {
		o.Mirrors = []image.Mirrors{{Prefix: "LocalHost:" + port + "/team", Mirrors: []image.Mirror{{Location: m.mirror.Host + "/cache/team"}}}}
	}), ref(t, "localhost:"+port+"/team/app:1"))
	if len(m.mirror.Requests()) == 0 || len(m.origin.Requests()) != 0 {
		t.Error("the mirror was not asked")
	}
}

// An image and its layers come from the mirror alone, what is pushed goes past it.
func TestMirror(t *testing.T) {
	m := newMirrored(t)
	img := linux(t, "amd64", "mirror")
	push(t, client(t), m.at, img)
	c := client(t, m.options(""))
	src := open(t, c, m.ref)
	if src.Descriptor.Digest != digestOf(t, img) || src.Ref.String() != m.ref.String() {
		t.Errorf("opened %s as %s", src.Descriptor.Digest, src.Ref)
	}
	requireSame(t, src.Images[0].Image, img)
	if asked := m.origin.Requests(); len(asked) != 0 {
		t.Errorf("the registry was asked %q", asked)
	}
	m.mirror.Requests()
	// What a tag names now, and what was just written, only the registry knows.
	if digest, err := c.Digest(t.Context(), m.ref); err != nil || digest == digestOf(t, img) {
		t.Errorf("the tag names %s, %v", digest, err)
	}
	if written, err := c.OpenWritten(t.Context(), m.ref); err != nil || written.Descriptor.Digest == digestOf(t, img) {
		t.Errorf("the mirror was asked for what was written, %v", err)
	}
	push(t, c, m.ref.WithTag("2"), img)
	if asked := m.mirror.Requests(); len(asked) != 0 {
		t.Errorf("the mirror was asked %q", asked)
	}
	// A prefix ends at a path's element.
	push(t, client(t), ref(t, m.origin.Host+"/teams/app:1"), img)
	m.mirror.Requests()
	if _, err := c.Open(t.Context(), ref(t, m.origin.Host+"/teams/app:1")); err != nil || len(m.mirror.Requests()) != 0 {
		t.Errorf("a mirror of team was asked for teams, %v", err)
	}
}

func TestMirrorPull(t *testing.T) {
	m := newMirrored(t)
	img := linux(t, "amd64", "origin") // the same in both places
	push(t, client(t), m.at, img)
	for _, tc := range []struct {
		pull          image.MirrorPull
		tag, byDigest bool
	}{{image.MirrorAll, true, true}, {image.MirrorDigestOnly, false, true}, {image.MirrorTagOnly, true, false}} {
		for r, want := range map[image.Ref]bool{m.ref: tc.tag, m.ref.WithDigest(digestOf(t, img)): tc.byDigest} {
			m.mirror.Requests()
			open(t, client(t, m.options(tc.pull)), r)
			if asked := len(m.mirror.Requests()) > 0; asked != want {
				t.Errorf("%s, %s: the mirror was asked: %v", tc.pull, r, asked)
			}
		}
	}
}

// What a mirror lacks, or has wrong, comes from the registry.
func TestMirrorFails(t *testing.T) {
	img := linux(t, "amd64", "origin")
	idx := twoPlatforms(t)
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	last := digestOf(t, layers[len(layers)-1]).String()
	config, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	for name, answer := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"down": func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) },
		"lacks everything": func(w http.ResponseWriter, r *http.Request) bool {
			http.NotFound(w, r)
			return true
		},
		"lacks a layer": func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, last) {
				return false
			}
			http.NotFound(w, r)
			return true
		},
		"lacks blobs": func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/blobs/") {
				return false
			}
			http.NotFound(w, r)
			return true
		},
		"lacks what tags name": func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/manifests/sha256:") {
				return false
			}
			http.NotFound(w, r)
			return true
		},
		"has a wrong manifest": func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/manifests/sha256:") {
				return false
			}
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			_, _ = w.Write([]byte(`{"schemaVersion":2,"config":{},"layers":[]}`))
			return true
		},
		"has a wrong config": func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/blobs/") || strings.HasSuffix(r.URL.Path, last) {
				return false
			}
			_, _ = w.Write([]byte(`{}`))
			return true
		},
		"has a wrong config of a length that it does not tell": func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, "/blobs/"+config.String()) {
				return false
			}
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			_, _ = w.Write([]byte(`{}`))
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMirrored(t)
			push(t, client(t), m.at, img)
			pushIndex(t, client(t), m.ref.WithTag("2"), idx)
			pushIndex(t, client(t), m.at.WithTag("2"), idx)
			m.mirror.Answer(answer)
			c := client(t, m.options(""))
			for _, r := range []image.Ref{m.ref, m.ref.WithDigest(digestOf(t, img))} {
				requireSame(t, open(t, c, r).Images[0].Image, img)
				requireSameLayers(t, open(t, c, r).Images[0].Image, img)
			}
			if n := len(open(t, c, m.ref.WithTag("2")).Images); n != 2 {
				t.Errorf("%d images", n)
			}
		})
	}
	// Nobody has it: the registry's error counts.
	m := newMirrored(t)
	_, err = client(t, m.options("")).Open(t.Context(), m.ref.WithTag("none"))
	requireError(t, err, image.ErrNotFound, m.ref.WithTag("none").String())
}

// requireSameLayers compares layers by diffID and uncompressed content, and how they are found.
func requireSameLayers(t *testing.T, got, want v1.Image) {
	t.Helper()
	layers, err := want.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for n, w := range layers {
		diffID, err := w.DiffID()
		if err != nil {
			t.Fatal(err)
		}
		l, err := got.LayerByDiffID(diffID)
		if err != nil {
			t.Errorf("layer %d: %v", n, err)
			continue
		}
		if id, err := l.DiffID(); err != nil || id != diffID {
			t.Errorf("layer %d has diffID %s instead of %s, %v", n, id, diffID, err)
		}
		rc, err := l.Uncompressed()
		if err != nil {
			t.Errorf("layer %d: %v", n, err)
			continue
		}
		if sum, _, err := v1.SHA256(rc); err != nil || sum != diffID {
			t.Errorf("layer %d uncompressed is %s instead of %s, %v", n, sum, diffID, err)
		}
		if err := rc.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A config that the mirror lacks is asked for once, however often the image and its layers need it.
func TestMirrorConfigOnce(t *testing.T) {
	m := newMirrored(t)
	img := linux(t, "amd64", "origin")
	push(t, client(t), m.at, img)
	config, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	m.mirror.Answer(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, config.String()) {
			return false
		}
		http.NotFound(w, r)
		return true
	})
	m.mirror.Requests()
	got := open(t, client(t, m.options("")), m.ref).Images[0].Image
	for range 3 {
		requireSameLayers(t, got, img)
	}
	for where, reg := range map[string]*imagetest.Registry{"mirror": m.mirror, "registry": m.origin} {
		asked := strings.Count(strings.Join(reg.Requests(), "\n"), config.String())
		if asked != 1 {
			t.Errorf("the %s was asked for the config %d times", where, asked)
		}
	}
}

// A mirror that breaks off in the middle of a layer, or ends with wrong bytes, is not asked for that again.
func TestMirrorFailsWithinALayer(t *testing.T) {
	img := large(t, 6*mebibyte)
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	content := readAll(t, layers[0])
	wrong := append([]byte{content[0] ^ 1}, content[1:]...)
	for name, tc := range map[string]struct {
		content []byte
		give    int
		// resumes says that one reading gets over it.
		resumes bool
	}{
		"breaks": {content, mebibyte, true}, "wrong": {wrong, len(wrong), false}, "breaks and wrong": {wrong, mebibyte, false},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMirrored(t)
			for _, r := range []image.Ref{m.ref.WithTag("2"), m.at.WithTag("2")} {
				push(t, client(t), r, img)
			}
			var asked atomic.Int64
			m.mirror.Answer(func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasSuffix(r.URL.Path, "/blobs/"+digestOf(t, layers[0]).String()) || r.Method != http.MethodGet {
					return false
				}
				asked.Add(1)
				if r.Header.Get("Range") != "" { // nor does it go on
					panic(http.ErrAbortHandler)
				}
				w.Header().Set("Content-Length", strconv.Itoa(len(tc.content)))
				_, _ = w.Write(tc.content[:tc.give])
				if tc.give < len(tc.content) {
					panic(http.ErrAbortHandler)
				}
				return true
			})
			mirrored, err := open(t, client(t, m.options("")), m.ref.WithTag("2")).Images[0].Image.Layers()
			if err != nil {
				t.Fatal(err)
			}
			rc, err := mirrored[0].Compressed()
			if err != nil {
				t.Fatal(err)
			}
			defer rc.Close()
			if b, err := io.ReadAll(rc); (err == nil) != tc.resumes || err == nil && !bytes.Equal(b, content) {
				t.Errorf("read once: %v", err)
			}
			for _, to := range []string{imagetest.NewRegistry(t, true).Host + "/copy:1", "oci:" + t.TempDir() + ":1"} {
				asked.Store(0)
				c := client(t, m.options(""))
				push(t, c, ref(t, to), open(t, c, m.ref.WithTag("2")).Images[0].Image)
				requireSame(t, open(t, c, ref(t, to)).Images[0].Image, img)
				if asked.Load() == 0 {
					t.Error("the mirror was not asked")
				}
			}
			// Where nobody tries again, what is wrong is called that.
			if !tc.resumes {
				c := client(t, m.options(""), func(o *image.Options) { o.Retry.Tries = 1 })
				repo, err := c.Repository(ref(t, imagetest.NewRegistry(t, true).Host+"/copy:1"))
				if err != nil {
					t.Fatal(err)
				}
				_, err = repo.Push(t.Context(), open(t, c, m.ref.WithTag("2")).Images[0].Image)
				requireError(t, err, image.ErrVerification)
			}
		})
	}
}

// Who closes a mirror's layer early has not found it broken.
func TestMirrorLayerClosedEarly(t *testing.T) {
	img := large(t, 6*mebibyte)
	m := newMirrored(t)
	push(t, client(t), m.at.WithTag("2"), img)
	layers, err := open(t, client(t, m.options("")), m.ref.WithTag("2")).Images[0].Image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	rc, err := layers[0].Compressed()
	if err != nil {
		t.Fatal(err)
	}
	if err := rc.Close(); err != nil {
		t.Fatal(err)
	}
	m.origin.Requests()
	if _, err := io.ReadAll(rc); err == nil || len(m.origin.Requests()) != 0 {
		t.Errorf("the registry was asked for what was closed, or it could be read: %v", err)
	}
	requireSame(t, open(t, client(t, m.options("")), m.ref.WithTag("2")).Images[0].Image, img)
}

// Layers from a mirror can be mounted where the image belongs.
func TestMirrorMounts(t *testing.T) {
	m := newMirrored(t)
	img := linux(t, "amd64", "origin")
	push(t, client(t), m.at, img)
	c := client(t, m.options(""))
	push(t, c, ref(t, m.origin.Host+"/copy:1"), open(t, c, m.ref).Images[0].Image)
	if c.Traffic().Mounted == 0 {
		t.Error("nothing was mounted")
	}
}

func TestBadMirrors(t *testing.T) {
	for _, bad := range []image.Mirrors{
		{Prefix: "UPPER case/x"},
		{Prefix: "team/app"}, // docker.io/team/app
		{Prefix: "registry.example", Mirrors: []image.Mirror{{Location: "https://mirror.example"}}},
		{Prefix: "registry.example", Mirrors: []image.Mirror{{Location: "mirror.example", Pull: "sometimes"}}},
	} {
		_, err := image.New(image.Options{Mirrors: []image.Mirrors{bad}})
		requireError(t, err, image.ErrUsage)
	}
}
