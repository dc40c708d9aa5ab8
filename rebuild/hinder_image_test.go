package rebuild_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/testdata/fixture"
)

// appended is the twin's image with more entries at the end of the layer that installed the program.
func appended(t *testing.T, twin *fixture.Twin, more ...*tar.Header) v1.Image {
	t.Helper()
	home := twin.Updates[programPackage].Layer
	layers, err := twin.Images[0].Layers()
	if err != nil {
		t.Fatal(err)
	}
	r, err := layers[home].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for in := tar.NewReader(r); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = w.WriteHeader(h)
		}
		if err == nil {
			_, err = io.Copy(w, in)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, h := range more {
		if err := w.WriteHeader(h); err != nil {
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
	img, _, err := image.Rebuild(twin.Images[0], []image.LayerChange{{Index: home, New: l}}, image.RebuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// TestUneditable: a program that an author's hard link keeps from being replaced where it lies holds its package, and
// not the others. The link's directory was a file before, so it cannot move to the program's place.
func TestUneditable(t *testing.T) {
	twin := newTwin(t)
	img := appended(t, twin,
		&tar.Header{Name: "srv/x", Typeflag: tar.TypeReg, Mode: 0o644},
		&tar.Header{Name: "srv/x", Typeflag: tar.TypeDir, Mode: 0o755},
		&tar.Header{Name: "srv/x/copy", Typeflag: tar.TypeLink, Linkname: program, Mode: 0o755},
	)
	p := planImage(t, img, options(t, twin)).Plan
	if !slices.ContainsFunc(p.Held, func(h plan.Hold) bool {
		return h.Name == programPackage && h.Reason == ecosystem.ReasonModifiedFile && strings.Contains(h.Detail, program)
	}) {
		t.Errorf("%s is not held: %+v", programPackage, p.Held)
	}
	if p.Empty() {
		t.Error("the rest does not ship")
	}
}
