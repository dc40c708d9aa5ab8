package image_test

import (
	"encoding/json"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/image/imagetest"
)

var stated = []image.Statement{{PredicateType: "https://spdx.dev/Document", Content: []byte(`{"predicate":{}}`)}}

// An image's statements become one manifest behind all entries; what stands there stays byte for byte.
func TestAttestIndex(t *testing.T) {
	amd64, arm64 := linux(t, "amd64", "x"), linux(t, "arm64", "x")
	base := imagetest.Index(t, types.OCIImageIndex,
		imagetest.Entry{Image: amd64, Platform: "linux/amd64", Extra: `"annotations": {"k": "v"}`},
		imagetest.Entry{Image: arm64, Platform: "linux/arm64"}, attestation(t, arm64))
	statements := map[v1.Hash][]image.Statement{digestOf(t, amd64): stated, digestOf(t, arm64): stated}
	idx, notes, err := image.AttestIndex(base, statements)
	if err != nil || len(notes) > 0 {
		t.Fatal(notes, err)
	}
	was, is := rawIndexOf(t, base), rawIndexOf(t, idx)
	if before, after, ok := strings.Cut(was, "\n  ]"); !ok || !strings.HasPrefix(is, before) || !strings.HasSuffix(is, after) {
		t.Errorf("more changed than the end of the list:\n%s\n%s", was, is)
	}
	manifest, err := idx.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Manifests) != 4 {
		t.Fatalf("%d entries, want one more than 3: an image that has an attestation keeps it", len(manifest.Manifests))
	}
	entry := manifest.Manifests[3]
	if entry.Platform.String() != "unknown/unknown" || entry.Annotations["vnd.docker.reference.type"] != "attestation-manifest" ||
		entry.Annotations["vnd.docker.reference.digest"] != digestOf(t, amd64).String() {
		t.Errorf("entry %+v", entry)
	}
	img, err := idx.Image(entry.Digest)
	if err != nil {
		t.Fatal(err)
	}
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	if m.Config.MediaType != types.OCIConfigJSON || len(m.Layers) != 1 || m.Layers[0].MediaType != "application/vnd.in-toto+json" ||
		m.Layers[0].Annotations["in-toto.io/predicate-type"] != "https://spdx.dev/Document" {
		t.Errorf("manifest %+v", m)
	}
	if got, err := idx.Image(digestOf(t, arm64)); err != nil || digestOf(t, got) != digestOf(t, arm64) {
		t.Errorf("an image of the base: %v", err)
	}
	for of, want := range map[v1.ImageIndex]bool{base: false, idx: true} {
		if got, err := image.IsAttested(of); err != nil || got != want {
			t.Errorf("IsAttested: %t, %v, want %t", got, err, want)
		}
	}
	// Once more, it is complete.
	if again, _, err := image.AttestIndex(idx, statements); err != nil || rawIndexOf(t, again) != is {
		t.Errorf("a second time it changes: %v", err)
	}
}

// An index for a single image; Docker's own list of manifests is left alone, and says so.
func TestAttestIndexOf(t *testing.T) {
	img := linux(t, "amd64", "x")
	idx, err := image.IndexOf(img, v1.Platform{OS: "linux", Architecture: "amd64"}, map[string]string{"k": "v"})
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(idx); err != nil {
		t.Error(err)
	}
	if _, err := idx.Image(v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("0", 64)}); err == nil {
		t.Error("it has an image that nobody put there")
	}
	if want := `"annotations":{"k":"v"}`; !strings.Contains(rawIndexOf(t, idx), want) {
		t.Errorf("no %s in %s", want, rawIndexOf(t, idx))
	}
	statements := map[v1.Hash][]image.Statement{digestOf(t, img): stated}
	list := imagetest.Index(t, types.DockerManifestList, imagetest.Entry{Image: img, Platform: "linux/amd64"})
	same, notes, err := image.AttestIndex(list, statements)
	if err != nil || rawIndexOf(t, same) != rawIndexOf(t, list) || len(notes) != 1 || !strings.Contains(notes[0].Text, "Docker") {
		t.Errorf("a manifest list of Docker's: %v, %v", notes, err)
	}
	if same, notes, err = image.AttestIndex(idx, nil); err != nil || len(notes) > 0 || rawIndexOf(t, same) != rawIndexOf(t, idx) {
		t.Errorf("nothing to state: %v, %v", notes, err)
	}
}

// An artifact is found by what it refers to, and is the same bytes each time.
func TestNewArtifact(t *testing.T) {
	c := client(t)
	reg := imagetest.NewRegistry(t, true)
	r := ref(t, reg.Host+"/app:1")
	desc := push(t, c, r, linux(t, "amd64", "x"))
	repo, err := c.Repository(r)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		a, err := image.NewArtifact("application/spdx+json", desc, map[string]string{"made": "today"},
			image.Blob{MediaType: "application/spdx+json", Content: []byte(`{"a":1}`), Annotations: map[string]string{"title": "x"}})
		if err != nil {
			t.Fatal(err)
		}
		if err := repo.Attach(t.Context(), desc, a); err != nil {
			t.Fatal(err)
		}
	}
	found, err := repo.Referrers(t.Context(), desc.Digest)
	if err != nil || len(found) != 1 {
		t.Fatalf("%d referrers, %v", len(found), err)
	}
	raw, err := found[0].RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		ArtifactType string
		Config       v1.Descriptor
		Subject      v1.Descriptor
		Layers       []v1.Descriptor
		Annotations  map[string]string
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	if m.ArtifactType != "application/spdx+json" || m.Subject.Digest != desc.Digest || m.Annotations["made"] != "today" ||
		m.Config.MediaType != "application/vnd.oci.empty.v1+json" || len(m.Layers) != 1 || m.Layers[0].Annotations["title"] != "x" {
		t.Errorf("manifest %s", raw)
	}
}
