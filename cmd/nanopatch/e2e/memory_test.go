//go:build e2e

package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/nanopatch/nanopatch/testdata/fixture"
)

// BenchmarkMemory shows the peak memory where layers are large, or many: of an image with a layer of 4 GiB that is
// rewritten, and of one with 120 layers.
func BenchmarkMemory(b *testing.B) {
	twin, err := fixture.NewTwin(b.Context(), b.TempDir(), fixture.TwinOptions{})
	if err != nil {
		b.Fatal(err)
	}
	for image, change := range map[string]func(*testing.B, v1.Image) v1.Image{"layer-of-4GiB": withHugeLayer, "120-layers": withManyLayers} {
		b.Run(image, func(b *testing.B) {
			host, private := startRegistry(b), benchKey(b)
			ref, err := name.NewTag(host+"/"+strings.ToLower(image)+":old", name.Insecure)
			if err != nil {
				b.Fatal(err)
			}
			if err := remote.Write(ref, change(b, twin.Images[0])); err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			for i := range b.N { // each into a place of its own, where no record says that nothing is to do
				measure(b, filepath.Join(b.TempDir(), "cache"), []string{
					"rebuild", ref.String(), "-t", fmt.Sprintf("%s-%d-%d:new", ref.Context().Name(), b.N, i), "--key", private, "-q", "-o", "json",
					"--repo-override", twin.Repository, "--repo-override", fixture.SecurityMirror(twin.Repository), "--keyring", twin.Keyring,
				})
			}
		})
	}
}

// gzipOf is one gzip member.
func gzipOf(b *testing.B, content []byte) []byte {
	b.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(content); err != nil {
		b.Fatal(err)
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	return out.Bytes()
}

// fileHeader is a tar header of a regular file.
func fileHeader(b *testing.B, name string, size int64) []byte {
	b.Helper()
	var out bytes.Buffer
	if err := tar.NewWriter(&out).WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size}); err != nil {
		b.Fatal(err)
	}
	return out.Bytes()
}

// knownLayer is a layer whose diffID is known without inflating it.
type knownLayer struct {
	v1.Layer
	diffID v1.Hash
}

func (k *knownLayer) DiffID() (v1.Hash, error) { return k.diffID, nil }

func gzipLayer(b *testing.B, blob []byte) v1.Layer {
	b.Helper()
	plain, err := gzip.NewReader(bytes.NewReader(blob))
	if err != nil {
		b.Fatal(err)
	}
	diffID, _, err := v1.SHA256(plain)
	if err != nil {
		b.Fatal(err)
	}
	return &knownLayer{Layer: static.NewLayer(blob, types.OCILayer), diffID: diffID}
}

// withHugeLayer adds 64 files of 64 MiB to the layer that gets the updates. What is in them compresses well, so that making
// them takes little; memory depends on sizes, not on what is in them.
func withHugeLayer(b *testing.B, base v1.Image) v1.Image {
	const size = 64 << 20
	layers, err := base.Layers()
	if err != nil {
		b.Fatal(err)
	}
	rc, err := layers[1].Uncompressed()
	if err != nil {
		b.Fatal(err)
	}
	plain, err := io.ReadAll(rc)
	if err != nil {
		b.Fatal(err)
	}
	for len(plain) >= 512 && len(bytes.Trim(plain[len(plain)-512:], "\x00")) == 0 {
		plain = plain[:len(plain)-512]
	}
	blob := gzipOf(b, plain)
	content := gzipOf(b, bytes.Repeat([]byte("nanopatch keeps images current. "), size/32))
	for i := range 64 {
		blob = append(append(blob, gzipOf(b, fileHeader(b, fmt.Sprintf("srv/large/%d", i), size))...), content...)
	}
	return replaced(b, base, 1, gzipLayer(b, append(blob, gzipOf(b, make([]byte, 1024))...)))
}

// replaced puts a layer in the place of another.
func replaced(b *testing.B, base v1.Image, at int, l v1.Layer) v1.Image {
	b.Helper()
	config, err := base.ConfigFile()
	if err != nil {
		b.Fatal(err)
	}
	layers, err := base.Layers()
	if err != nil {
		b.Fatal(err)
	}
	bare := config.DeepCopy()
	bare.RootFS.DiffIDs, bare.History = nil, nil
	out, err := mutate.ConfigFile(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON), bare)
	for i, old := range layers {
		if i == at {
			old = l
		}
		if err == nil {
			out, err = mutate.Append(out, mutate.Addendum{Layer: old, MediaType: types.OCILayer, History: v1.History{CreatedBy: fmt.Sprint("layer ", i)}})
		}
	}
	if err != nil {
		b.Fatal(err)
	}
	return out
}

// withManyLayers adds small layers up to 120.
func withManyLayers(b *testing.B, base v1.Image) v1.Image {
	out := base
	for i := 3; i < 120; i++ {
		text := fmt.Sprintf("%-512d", i)
		blob := gzipOf(b, append(append(fileHeader(b, fmt.Sprintf("srv/%d", i), 512), text...), make([]byte, 1024)...))
		var err error
		if out, err = mutate.Append(out, mutate.Addendum{Layer: gzipLayer(b, blob), MediaType: types.OCILayer, History: v1.History{CreatedBy: "many"}}); err != nil {
			b.Fatal(err)
		}
	}
	return out
}
