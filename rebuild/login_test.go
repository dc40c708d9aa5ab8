package rebuild_test

import (
	"archive/tar"
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/testdata/fixture"
)

// TestImagesOwnLogin: an image whose repositories want a login has it in etc/apt/auth.conf.d, as images with Ubuntu Pro do.
func TestImagesOwnLogin(t *testing.T) {
	twin := newTwin(t)
	files := http.FileServer(http.Dir(filepath.Dir(twin.Repository)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "bearer" || password != "s3cret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		files.ServeHTTP(w, r)
	}))
	defer server.Close()
	base := server.URL + "/" + filepath.Base(twin.Repository)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, text := range map[string]string{
		"etc/apt/sources.list.d/.wh.debian.sources": "",
		"etc/apt/sources.list": "deb " + base + " bookworm main\ndeb " + base + " bookworm-updates main\n" +
			"deb " + fixture.SecurityMirror(base) + " bookworm-security main\n",
		"etc/apt/auth.conf.d/90ubuntu-advantage": "machine " + server.URL + "/ login bearer password s3cret  # ubuntu-advantage-tools\n",
	} {
		if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o600, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(twin.Images[0], l)
	if err != nil {
		t.Fatal(err)
	}
	opts := options(t, twin)
	opts.Repositories = nil
	opts.Client, err = pkgrepo.New(pkgrepo.Options{Dir: filepath.Join(t.TempDir(), "packages"), Now: opts.Now})
	if err != nil {
		t.Fatal(err)
	}
	p := planImage(t, img, opts).Plan
	if len(p.Updates) != len(twin.Updates) {
		t.Errorf("%d updates, want %d", len(p.Updates), len(twin.Updates))
	}
}
