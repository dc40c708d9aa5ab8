package rebuild_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/klauspost/compress/zstd"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
)

// TestChiselledImageIsHeld: an image that was cut from packages has no database of dpkg, and its old packages are named as what
// they are: outdated, and not to be replaced by a package file.
func TestChiselledImageIsHeld(t *testing.T) {
	twin := newTwin(t)
	lines := []string{`{"jsonwall":"1.0","schema":"1.0","count":2}`}
	for name, u := range twin.Updates {
		lines = append(lines, fmt.Sprintf(`{"kind":"package","name":%q,"version":%q,"arch":"amd64"}`, name, u.From))
	}
	lines = append(lines, `{"kind":"package","name":"not-in-any-archive","version":"1","arch":"amd64"}`)
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, content := range map[string][]byte{
		"etc/os-release":               []byte("ID=debian\nVERSION_ID=12\n"),
		"var/lib/chisel/manifest.wall": z.EncodeAll([]byte(strings.Join(lines, "\n")+"\n"), nil),
	} {
		if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
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
	img, err := mutate.AppendLayers(empty.Image, l)
	if err != nil {
		t.Fatal(err)
	}
	p := planImage(t, img, options(t, twin)).Plan
	if !p.Empty() {
		t.Errorf("updates %v, want none", p.Updates)
	}
	held := make(map[string]bool)
	for _, h := range p.Held {
		held[h.Name] = h.Reason == ecosystem.ReasonNoArtifact && strings.Contains(h.Detail, "chisel") && h.Candidate == twin.Updates[h.Name].To
	}
	for name, u := range twin.Updates {
		if u.To != "" && !held[name] {
			t.Errorf("%s is not held as a slice: %+v", name, p.Held)
		}
	}
	if len(p.Unmanaged) != 1 || p.Unmanaged[0].Name != "not-in-any-archive" {
		t.Errorf("unmanaged %v, want the package that is in no archive", p.Unmanaged)
	}
}
