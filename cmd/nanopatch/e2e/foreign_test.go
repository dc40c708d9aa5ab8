//go:build e2e

package e2e

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"path"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const foreign = `
Package: np-foreign
Status: install ok installed
Priority: optional
Section: misc
Installed-Size: 1
Maintainer: Nobody <nobody@example.org>
Architecture: amd64
Version: 1.0-1
Description: package whose repository is gone
`

// withForeignPackage adds a layer in which a package was installed whose repository has been removed since.
func withForeignPackage(t *testing.T, img v1.Image) v1.Image {
	t.Helper()
	status := append(topFile(t, img, "var/lib/dpkg/status"), foreign...)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range []struct {
		name    string
		content []byte
	}{{"var/lib/dpkg/info/np-foreign.list", []byte("/.\n")}, {"var/lib/dpkg/status", status}} {
		err := w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.content)), Typeflag: tar.TypeReg})
		if err == nil {
			_, err = w.Write(f.content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(b.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		t.Fatal(err)
	}
	out, err := mutate.Append(img, mutate.Addendum{Layer: l, History: v1.History{CreatedBy: "RUN dpkg -i np-foreign.deb"}})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// topFile reads a file out of the highest layer that holds it.
func topFile(t *testing.T, img v1.Image, name string) []byte {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for i := len(layers) - 1; i >= 0; i-- {
		rc, err := layers[i].Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		content, found := fileIn(t, rc, name)
		_ = rc.Close()
		if found {
			return content
		}
	}
	t.Fatalf("no layer holds %s", name)
	return nil
}

func fileIn(t *testing.T, r io.Reader, name string) ([]byte, bool) {
	t.Helper()
	archive := tar.NewReader(r)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil, false
		}
		if err != nil {
			t.Fatal(err)
		}
		if path.Clean(h.Name) == name {
			b, err := io.ReadAll(archive)
			if err != nil {
				t.Fatal(err)
			}
			return b, true
		}
	}
}
