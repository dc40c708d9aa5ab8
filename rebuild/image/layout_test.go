package image_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/image/imagetest"
	"github.com/nanopatch/nanopatch/rebuild/layer"
)

const refName = "org.opencontainers.image.ref.name"

func indexJSON(t *testing.T, dir string) v1.IndexManifest {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var idx v1.IndexManifest
	if err := json.Unmarshal(raw, &idx); err != nil {
		t.Fatal(err)
	}
	return idx
}

func blobFile(dir string, h v1.Hash) string { return filepath.Join(dir, "blobs", h.Algorithm, h.Hex) }

// Which entry is the image, in layouts as other tools leave them.
func TestLayoutChoice(t *testing.T) {
	one, two := linux(t, "amd64", "one"), linux(t, "amd64", "two")
	signature := imagetest.Artifact(t, "application/vnd.example.signature", "s")
	// Cosign's older signatures are images to look at, but for the subject.
	attached := mutate.Subject(two, v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: digestOf(t, one), Size: 1}).(v1.Image)
	entry := func(img v1.Image, extra string) string {
		size, err := img.Size()
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d%s}`, types.OCIManifestSchema1, digestOf(t, img), size, extra)
	}
	tag := func(s string) string { return fmt.Sprintf(`,"annotations":{%q:%q}`, refName, s) }
	fallback := "sha256-" + digestOf(t, one).Hex
	for _, tc := range []struct {
		name    string
		entries []string
		tag     string
		want    v1.Image
		kind    error
		words   []string
	}{
		{"only one, without a tag", []string{entry(one, "")}, "", one, nil, nil},
		{"only one, any tag", []string{entry(one, tag("x"))}, "", one, nil, nil},
		{"by tag", []string{entry(one, tag("x")), entry(two, tag("y"))}, "y", two, nil, nil},
		{"twice the same", []string{entry(one, tag("x")), entry(one, tag("y"))}, "", one, nil, nil},
		{"an artifact type that is an image's", []string{entry(one, `,"artifactType":"application/vnd.oci.image.config.v1+json"`)}, "", one, nil, nil},
		{"with a signature", []string{entry(signature, `,"artifactType":"application/vnd.example.signature"`), entry(one, "")}, "", one, nil, nil},
		{"with a signature that does not say so", []string{entry(signature, ""), entry(one, "")}, "", one, nil, nil},
		{"with an image that is attached", []string{entry(attached, ""), entry(one, "")}, "", one, nil, nil},
		{"with a subject, but tagged", []string{entry(attached, tag("x"))}, "", attached, nil, nil},
		{"with cosign's tags", []string{entry(one, tag("x")), entry(two, tag(fallback+".sig"))}, "", one, nil, nil},
		{"with the fallback tag", []string{entry(two, tag(fallback)), entry(one, tag("x"))}, "", one, nil, nil},
		{"two", []string{entry(one, tag("x")), entry(two, tag("y"))}, "", nil, image.ErrUsage, []string{"2 images", "x, y"}},
		{"two without tags", []string{entry(one, ""), entry(two, "")}, "", nil, image.ErrUsage, []string{"@sha256:…"}},
		{"no such tag", []string{entry(one, tag("x"))}, "z", nil, image.ErrNotFound, []string{"no tag z", "tags are x"}},
		{"none", nil, "", nil, image.ErrNotFound, []string{"no image"}},
		{"only a signature", []string{entry(signature, "")}, "", nil, image.ErrNotFound, []string{"no image"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			c := client(t)
			repo, err := c.Repository(ref(t, "oci:"+dir))
			if err != nil {
				t.Fatal(err)
			}
			for _, img := range []v1.Image{one, two, signature, attached} {
				if _, err := repo.Push(t.Context(), img); err != nil {
					t.Fatal(err)
				}
			}
			writeLayout(t, dir, `{"schemaVersion":2,"manifests":[`+strings.Join(tc.entries, ",")+`]}`)
			name := "oci:" + dir
			if tc.tag != "" {
				name += ":" + tc.tag
			}
			src, err := c.Open(t.Context(), ref(t, name))
			if tc.kind != nil {
				requireError(t, err, tc.kind, tc.words...)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if src.Descriptor.Digest != digestOf(t, tc.want) {
				t.Error("the wrong one")
			}
		})
	}
}

// The image's entry carries tag and platform; entries of others, and what nobody here knows, stay as they are.
func TestLayoutIndexJSON(t *testing.T) {
	dir := t.TempDir()
	c, r := client(t), ref(t, "oci:"+dir+":new")
	old := push(t, c, ref(t, "oci:"+dir+":old"), linux(t, "amd64", "old"))
	other := fmt.Sprintf("{\n  \"x\": 1.0,\n  \"manifests\": [\n    {\"mediaType\": %q, \"size\": %d, \"digest\": %q, \"annotations\": {%q: \"old\"}, \"y\": []}\n  ]\n}",
		types.OCIManifestSchema1, old.Size, old.Digest, refName)
	writeLayout(t, dir, other)
	img := imagetest.Image(t, types.OCIManifestSchema1, "linux/arm/v7", map[string]string{"a": "b"})
	desc := push(t, c, r, img)
	repo, err := c.Repository(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.Attach(t.Context(), desc, imagetest.Artifact(t, "application/vnd.example", "x")); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	kept, _, _ := strings.Cut(other, "\n  ]")
	if !strings.HasPrefix(string(raw), kept+",\n    {") {
		t.Errorf("index.json is\n%s", raw)
	}
	manifests := indexJSON(t, dir).Manifests
	if len(manifests) != 3 {
		t.Fatalf("%d entries", len(manifests))
	}
	want := v1.Descriptor{
		MediaType: desc.MediaType, Size: desc.Size, Digest: desc.Digest, Annotations: map[string]string{refName: "new"},
		Platform: &v1.Platform{OS: "linux", Architecture: "arm", Variant: "v7"},
	}
	if diff := cmp.Diff(want, manifests[1]); diff != "" {
		t.Error(diff)
	}
	if a := manifests[2]; a.ArtifactType != "application/vnd.example" || a.Annotations[refName] != "" {
		t.Errorf("%+v", a)
	}
}

// An entry without a tag, as crane leaves it, would count as another image.
func TestLayoutTagsUntagged(t *testing.T) {
	dir := t.TempDir()
	img := linux(t, "amd64", "x")
	path, err := layout.Write(dir, imagetest.Index(t, types.OCIImageIndex))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := path.AppendImage(img); err != nil {
			t.Fatal(err)
		}
	}
	push(t, client(t), ref(t, "oci:"+dir+":new"), img)
	manifests := indexJSON(t, dir).Manifests
	if len(manifests) != 1 || manifests[0].Annotations[refName] != "new" || manifests[0].Platform == nil {
		t.Errorf("%+v", manifests)
	}
}

// go-containerregistry's own reader agrees with what is written.
func TestLayoutIsValid(t *testing.T) {
	dir := t.TempDir()
	c, r := client(t), ref(t, "oci:"+dir+":1")
	idx := imagetest.Index(t, types.OCIImageIndex,
		imagetest.Entry{Image: linux(t, "amd64", "x"), Platform: "linux/amd64"}, imagetest.Entry{Image: linux(t, "arm64", "x"), Platform: "linux/arm64"})
	pushIndex(t, c, r, idx)
	root, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(root); err != nil {
		t.Error(err)
	}
	if leftovers, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(leftovers) > 0 {
		t.Errorf("left behind: %v, %v", leftovers, err)
	}
}

// Several processes write one layout: each entry ends up in index.json. Clients share nothing but the directory.
func TestLayoutTwoWriters(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	var wg sync.WaitGroup
	const n = 10
	for i := range n {
		img := linux(t, "amd64", fmt.Sprint(i))
		c, r := client(t), ref(t, fmt.Sprintf("oci:%s:tag%d", dir, i))
		wg.Go(func() {
			repo, err := c.Repository(r)
			if err != nil {
				t.Error(err)
				return
			}
			desc, err := repo.Push(t.Context(), img)
			if err == nil {
				err = repo.Attach(t.Context(), desc, imagetest.Artifact(t, "application/vnd.example", fmt.Sprint(i)))
			}
			if err == nil {
				err = repo.Tag(t.Context(), desc.Digest, r.Tag, "latest")
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	manifests := indexJSON(t, dir).Manifests
	tags := make(map[string]int)
	for _, m := range manifests {
		tags[m.Annotations[refName]]++
	}
	if len(manifests) != 2*n+1 || tags["latest"] != 1 || tags[""] != n {
		t.Errorf("%d entries, %v", len(manifests), tags)
	}
}

func TestLayoutDamaged(t *testing.T) {
	img := linux(t, "amd64", "x")
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	layerBytes := readAll(t, layers[0])
	for _, tc := range []struct {
		name   string
		blob   v1.Hash
		damage func(path string) error
		kind   error
	}{
		{"manifest changed", digestOf(t, img), func(p string) error { return os.WriteFile(p, []byte(`{"schemaVersion":2}`), 0o600) }, image.ErrVerification},
		{"manifest gone", digestOf(t, img), os.Remove, image.ErrNotFound},
		{"config changed", config, func(p string) error { return os.WriteFile(p, []byte(`{}`), 0o600) }, image.ErrVerification},
		{"config gone", config, os.Remove, image.ErrNotFound},
		{"layer changed", digestOf(t, layers[0]), func(p string) error {
			b := append([]byte(nil), layerBytes...)
			b[20] ^= 1
			return os.WriteFile(p, b, 0o600)
		}, image.ErrVerification},
		{"layer cut", digestOf(t, layers[0]), func(p string) error { return os.Truncate(p, 10) }, image.ErrVerification},
		{"layer gone", digestOf(t, layers[0]), os.Remove, image.ErrNotFound},
		{"layer is a directory", digestOf(t, layers[0]), func(p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o700)) }, image.ErrInvalid},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			c, r := client(t), ref(t, "oci:"+dir+":1")
			push(t, c, r, img)
			if err := tc.damage(blobFile(dir, tc.blob)); err != nil {
				t.Fatal(err)
			}
			src, err := c.Open(t.Context(), r)
			if err == nil {
				requireError(t, indexLayers(t, src.Images[0].Image), tc.kind, dir)
				var repo image.Repository
				if repo, err = c.Repository(ref(t, "oci:"+t.TempDir())); err != nil {
					t.Fatal(err)
				}
				_, err = repo.Push(t.Context(), src.Images[0].Image)
			}
			requireError(t, err, tc.kind)
		})
	}
}

// indexLayers indexes the layers of an image in a layout, which are read without being checked here, and copied nowhere.
func indexLayers(t *testing.T, img v1.Image) error {
	t.Helper()
	store, err := layer.OpenStore(filepath.Join(t.TempDir(), "store"), layer.StoreOptions{KeepBlobs: true})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		if _, ok := l.(layer.Local); !ok {
			t.Errorf("a layer of a layout is a %T, which is not local", l)
		}
		if _, err := store.Index(t.Context(), l); err != nil {
			return err
		}
	}
	return nil
}

// A push repairs what was cut short.
func TestLayoutRepairs(t *testing.T) {
	dir := t.TempDir()
	c, r := client(t), ref(t, "oci:"+dir+":1")
	img := linux(t, "amd64", "x")
	idx := imagetest.Index(t, types.OCIImageIndex, imagetest.Entry{Image: img, Platform: "linux/amd64"})
	pushIndex(t, c, r, idx)
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(blobFile(dir, digestOf(t, layers[1])), 3); err != nil {
		t.Fatal(err)
	}
	pushIndex(t, c, r, idx)
	back, err := open(t, c, r).Images[0].Image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	readAll(t, back[1])
}

func TestLayoutPlaces(t *testing.T) {
	c := client(t)
	_, err := c.Open(t.Context(), ref(t, "oci:"+filepath.Join(t.TempDir(), "none")))
	requireError(t, err, image.ErrNotFound, "no OCI image layout")

	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "precious"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	repo, err := c.Repository(ref(t, "oci:"+home))
	if err != nil {
		t.Fatal(err)
	}
	_, err = repo.Push(t.Context(), linux(t, "amd64", "x"))
	requireError(t, err, image.ErrUsage, "no OCI image layout", "empty")

	future := t.TempDir()
	writeLayout(t, future, `{"schemaVersion":2,"manifests":[]}`)
	if err := os.WriteFile(filepath.Join(future, "oci-layout"), []byte(`{"imageLayoutVersion":"2.0.0"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if repo, err = c.Repository(ref(t, "oci:"+future)); err != nil {
		t.Fatal(err)
	}
	_, err = repo.Push(t.Context(), linux(t, "amd64", "x"))
	requireError(t, err, image.ErrUnsupported, "2.0.0")

	// What a kill left of a layout that was about to be made is no obstacle.
	killed := t.TempDir()
	if err := os.WriteFile(filepath.Join(killed, ".oci-layout123"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	push(t, c, ref(t, "oci:"+killed+":1"), linux(t, "amd64", "x"))
}
