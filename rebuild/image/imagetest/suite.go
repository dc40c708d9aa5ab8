package imagetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/nanopatch/nanopatch/rebuild/image"
)

// Fixture is an empty repository to test.
type Fixture struct {
	Client *image.Client
	// Ref names the repository, by a tag that is not there.
	Ref image.Ref
}

func (f Fixture) repository(t *testing.T) image.Repository {
	t.Helper()
	repo, err := f.Client.Repository(f.Ref)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

// Run holds an implementation of [image.Repository] to its contract. fixture makes an empty repository for each test.
func Run(t *testing.T, fixture func(t *testing.T) Fixture) {
	for name, test := range map[string]func(*testing.T, Fixture){
		"the tag comes last":       testTagLast,
		"images stay as they are":  testImagesStay,
		"indexes stay as they are": testIndexesStay,
		"rebuilt images":           testRebuilt,
		"tags move":                testTagsMove,
		"attach":                   testAttach,
		"attach at once":           testAttachAtOnce,
		"attach to another":        testAttachToAnother,
	} {
		t.Run(name, func(t *testing.T) { test(t, fixture(t)) })
	}
}

func sample(t *testing.T, content string) v1.Image {
	t.Helper()
	return Image(t, types.OCIManifestSchema1, "linux/amd64",
		map[string]string{"etc/os-release": "ID=test\n"}, map[string]string{"content": content})
}

func testTagLast(t *testing.T, f Fixture) {
	repo, img := f.repository(t), sample(t, "one")
	desc, err := repo.Push(t.Context(), img)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Client.Open(t.Context(), f.Ref); !errors.Is(err, image.ErrNotFound) {
		t.Errorf("before Tag, opening the tag gives %v", err)
	}
	src, err := f.Client.Open(t.Context(), f.Ref.WithDigest(desc.Digest))
	if err != nil {
		t.Fatal(err)
	}
	requireSame(t, src.Images[0].Image, img)
	if err := repo.Tag(t.Context(), desc.Digest, f.Ref.Tag, "other"); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []image.Ref{f.Ref, f.Ref.WithTag("other")} {
		src, err := f.Client.Open(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		if src.Descriptor.Digest != desc.Digest {
			t.Errorf("%s names %s, not %s", ref, src.Descriptor.Digest, desc.Digest)
		}
	}
}

func testImagesStay(t *testing.T, f Fixture) {
	repo := f.repository(t)
	for _, mediaType := range []types.MediaType{types.OCIManifestSchema1, types.DockerManifestSchema2} {
		img := Image(t, mediaType, "linux/arm64/v8", map[string]string{"a": "1"}, map[string]string{"a": "1"}, map[string]string{"b": "2"})
		desc, err := repo.Push(t.Context(), img)
		if err != nil {
			t.Fatal(err)
		}
		// What is there already changes nothing.
		if again, err := repo.Push(t.Context(), img); err != nil || again.Digest != desc.Digest {
			t.Fatalf("pushing again: %v, %v", again, err)
		}
		src, err := f.Client.Open(t.Context(), f.Ref.WithDigest(desc.Digest))
		if err != nil {
			t.Fatal(err)
		}
		if src.Descriptor.MediaType != mediaType {
			t.Errorf("%s came back as %s", mediaType, src.Descriptor.MediaType)
		}
		requireSame(t, src.Images[0].Image, img)
	}
}

func testIndexesStay(t *testing.T, f Fixture) {
	repo := f.repository(t)
	amd64 := Image(t, types.OCIManifestSchema1, "linux/amd64", map[string]string{"a": "amd64"})
	arm64 := Image(t, types.OCIManifestSchema1, "linux/arm64", map[string]string{"a": "arm64"})
	idx := Index(t, types.OCIImageIndex, Entry{Image: amd64, Platform: "linux/amd64"}, Entry{Image: arm64, Platform: "linux/arm64/v8"})
	desc, err := repo.PushIndex(t.Context(), idx)
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.Tag(t.Context(), desc.Digest, f.Ref.Tag); err != nil {
		t.Fatal(err)
	}
	src, err := f.Client.Open(t.Context(), f.Ref)
	if err != nil {
		t.Fatal(err)
	}
	want, got := must(idx.RawManifest()), must(src.Index.RawManifest())
	if !bytes.Equal(want, got) {
		t.Errorf("the index came back as\n%s\nnot\n%s", got, want)
	}
	if len(src.Images) != 2 {
		t.Fatalf("%d images", len(src.Images))
	}
	requireSame(t, src.Images[0].Image, amd64)
	requireSame(t, src.Images[1].Image, arm64)
}

func testRebuilt(t *testing.T, f Fixture) {
	repo := f.repository(t)
	first, err := repo.Push(t.Context(), sample(t, "old"))
	if err != nil {
		t.Fatal(err)
	}
	src, err := f.Client.Open(t.Context(), f.Ref.WithDigest(first.Digest))
	if err != nil {
		t.Fatal(err)
	}
	fresh := Layer(t, types.OCILayer, map[string]string{"content": "new"})
	rebuilt, _, err := image.Rebuild(src.Images[0].Image, []image.LayerChange{{Index: 1, New: fresh}}, image.RebuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	desc, err := repo.Push(t.Context(), rebuilt)
	if err != nil {
		t.Fatal(err)
	}
	back, err := f.Client.Open(t.Context(), f.Ref.WithDigest(desc.Digest))
	if err != nil {
		t.Fatal(err)
	}
	requireSame(t, back.Images[0].Image, rebuilt)
}

func testTagsMove(t *testing.T, f Fixture) {
	repo := f.repository(t)
	for _, content := range []string{"one", "two", "two", "one"} {
		desc, err := repo.Push(t.Context(), sample(t, content))
		if err != nil {
			t.Fatal(err)
		}
		if err := repo.Tag(t.Context(), desc.Digest, f.Ref.Tag); err != nil {
			t.Fatal(err)
		}
		src, err := f.Client.Open(t.Context(), f.Ref)
		if err != nil {
			t.Fatal(err)
		}
		if src.Descriptor.Digest != desc.Digest {
			t.Errorf("the tag did not move to %s", content)
		}
	}
	missing := v1.Hash{Algorithm: "sha256", Hex: fmt.Sprintf("%064x", 1)}
	if err := repo.Tag(t.Context(), missing, f.Ref.Tag); !errors.Is(err, image.ErrNotFound) {
		t.Errorf("tagging what is not there gives %v", err)
	}
}

func testAttach(t *testing.T, f Fixture) {
	repo, img := f.repository(t), sample(t, "one")
	desc, err := repo.Push(t.Context(), img)
	if err != nil {
		t.Fatal(err)
	}
	if none, err := repo.Referrers(t.Context(), desc.Digest); err != nil || len(none) != 0 {
		t.Fatalf("Referrers of what nothing refers to: %v, %v", none, err)
	}
	for _, content := range []string{"signature", "sbom", "signature"} {
		if err := repo.Attach(t.Context(), desc, Artifact(t, "application/vnd.example."+content, content)); err != nil {
			t.Fatal(err)
		}
	}
	found, err := repo.Referrers(t.Context(), desc.Digest)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, artifact := range found {
		got = append(got, content(t, artifact))
		if subject := must(artifact.Manifest()).Subject; subject.Digest != desc.Digest || subject.Size != desc.Size {
			t.Errorf("subject %+v", subject)
		}
	}
	slices.Sort(got)
	if want := []string{"sbom", "signature"}; !slices.Equal(got, want) {
		t.Errorf("attached %v, want %v", got, want)
	}
	if err := repo.Tag(t.Context(), desc.Digest, f.Ref.Tag); err != nil {
		t.Fatal(err)
	}
	// What is attached must not be taken for the image.
	src, err := f.Client.Open(t.Context(), f.Ref)
	if err != nil {
		t.Fatal(err)
	}
	requireSame(t, src.Images[0].Image, img)
}

func testAttachAtOnce(t *testing.T, f Fixture) {
	repo := f.repository(t)
	desc, err := repo.Push(t.Context(), sample(t, "one"))
	if err != nil {
		t.Fatal(err)
	}
	const n = 8
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := repo.Attach(t.Context(), desc, Artifact(t, "application/vnd.example", fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	found, err := repo.Referrers(t.Context(), desc.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != n {
		t.Errorf("%d of %d are listed", len(found), n)
	}
}

func testAttachToAnother(t *testing.T, f Fixture) {
	repo := f.repository(t)
	one, err := repo.Push(t.Context(), sample(t, "one"))
	if err != nil {
		t.Fatal(err)
	}
	two, err := repo.Push(t.Context(), sample(t, "two"))
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.Attach(t.Context(), one, Artifact(t, "application/vnd.example", "x")); err != nil {
		t.Fatal(err)
	}
	found, err := repo.Referrers(t.Context(), one.Digest)
	if err != nil || len(found) != 1 {
		t.Fatalf("%v, %v", found, err)
	}
	if others, err := repo.Referrers(t.Context(), two.Digest); err != nil || len(others) != 0 {
		t.Errorf("the other image has referrers %v, %v", others, err)
	}
	if err := repo.Attach(t.Context(), two, found[0]); !errors.Is(err, image.ErrInvalid) {
		t.Errorf("attaching what refers to another image gives %v", err)
	}
}

// content is the content of an artifact's first layer.
func content(t *testing.T, img v1.Image) string {
	t.Helper()
	layers, err := img.Layers()
	if err != nil || len(layers) == 0 {
		t.Fatalf("%d layers, %v", len(layers), err)
	}
	return string(read(t, layers[0]))
}

func read(t *testing.T, l v1.Layer) []byte {
	t.Helper()
	rc, err := l.Compressed()
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	b, err := io.ReadAll(rc)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// requireSame compares all bytes of two images.
func requireSame(t *testing.T, got, want v1.Image) {
	t.Helper()
	if g, w := must(got.RawManifest()), must(want.RawManifest()); !bytes.Equal(g, w) {
		t.Fatalf("manifest\n%s\nwant\n%s", g, w)
	}
	if g, w := must(got.RawConfigFile()), must(want.RawConfigFile()); !bytes.Equal(g, w) {
		t.Fatalf("config\n%s\nwant\n%s", g, w)
	}
	gl, wl := must(got.Layers()), must(want.Layers())
	if len(gl) != len(wl) {
		t.Fatalf("%d layers, want %d", len(gl), len(wl))
	}
	for i := range gl {
		if must(gl[i].DiffID()) != must(wl[i].DiffID()) {
			t.Errorf("layer %d has another diffID", i)
		}
		if !bytes.Equal(read(t, gl[i]), read(t, wl[i])) {
			t.Errorf("layer %d has other bytes", i)
		}
	}
}

// must is for what cannot fail with images in memory or just checked.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
