package image_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/image/imagetest"
)

func attestation(t *testing.T, of v1.Image) imagetest.Entry {
	t.Helper()
	return imagetest.Entry{
		Image: linux(t, "unknown", digestOf(t, of).String()), Platform: "unknown/unknown",
		Extra: fmt.Sprintf(`"annotations": {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": %q}`, digestOf(t, of)),
	}
}

func changed(t *testing.T, img v1.Image) v1.Image {
	t.Helper()
	return rebuild(t, img, image.RebuildOptions{}, image.LayerChange{Index: 0, New: imagetest.Layer(t, types.OCILayer, map[string]string{"new": "new"})})
}

func rawIndexOf(t *testing.T, idx v1.ImageIndex) string {
	t.Helper()
	raw, err := idx.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// Entries are re-pointed in place; the attestation of what changed is dropped, all else is kept byte for byte.
func TestRebuildIndexIsMinimal(t *testing.T) {
	for _, mediaType := range []types.MediaType{types.OCIImageIndex, types.DockerManifestList} {
		amd64, arm64 := linux(t, "amd64", "x"), linux(t, "arm64", "x")
		stale, fresh := attestation(t, amd64), attestation(t, arm64)
		entries := []imagetest.Entry{
			{Image: amd64, Platform: "linux/amd64", Extra: `"annotations": {"k": "v"}, "data": "aGVsbG8="`},
			{Image: arm64, Platform: "linux/arm64/v8"},
			stale, fresh,
		}
		base := imagetest.Index(t, mediaType, entries...)
		rebuilt := changed(t, amd64)
		idx, notes, err := image.RebuildIndex(base, map[v1.Hash]v1.Image{
			digestOf(t, amd64): rebuilt, digestOf(t, arm64): arm64,
		}, map[string]string{"dev.nanopatch.source": "s"})
		if err != nil {
			t.Fatal(err)
		}
		size, err := rebuilt.Size()
		if err != nil {
			t.Fatal(err)
		}
		oldSize, err := amd64.Size()
		if err != nil {
			t.Fatal(err)
		}
		want := rawIndexOf(t, imagetest.Index(t, mediaType, entries[0], entries[1], entries[3]))
		want = strings.Replace(want, `, "data": "aGVsbG8="`, "", 1)
		want = strings.Replace(want, fmt.Sprintf(`"size": %d, "digest": %q`, oldSize, digestOf(t, amd64)),
			fmt.Sprintf(`"size": %d, "digest": %q`, size, digestOf(t, rebuilt)), 1)
		want = strings.Replace(want, `"x-unknown": null`, "\"x-unknown\": null,\n  \"annotations\": {\"dev.nanopatch.source\":\"s\"}", 1)
		if diff := cmp.Diff(want, rawIndexOf(t, idx)); diff != "" {
			t.Error(diff)
		}
		if len(notes) != 1 || notes[0].Digest != digestOf(t, stale.Image) || !strings.Contains(notes[0].Text, digestOf(t, amd64).String()) {
			t.Errorf("notes %v", notes)
		}
		if got, err := idx.MediaType(); err != nil || got != mediaType {
			t.Errorf("%s, %v", got, err)
		}
		for _, h := range []v1.Hash{digestOf(t, rebuilt), digestOf(t, arm64)} {
			if img, err := idx.Image(h); err != nil || digestOf(t, img) != h {
				t.Errorf("%s: %v", h, err)
			}
		}
	}
}

func TestRebuildIndexWithoutChange(t *testing.T) {
	amd64 := linux(t, "amd64", "x")
	base := imagetest.Index(t, types.OCIImageIndex, imagetest.Entry{Image: amd64, Platform: "linux/amd64"}, attestation(t, amd64))
	idx, notes, err := image.RebuildIndex(base, map[v1.Hash]v1.Image{digestOf(t, amd64): amd64}, map[string]string{"a": "b"})
	if err != nil || len(notes) != 0 || digestOf(t, idx) != digestOf(t, base) {
		t.Errorf("%v, %v", notes, err)
	}
	_, _, err = image.RebuildIndex(base, map[v1.Hash]v1.Image{someDigest: amd64}, nil)
	requireError(t, err, image.ErrUsage, someDigest.String())
}

func TestRebuildNestedIndex(t *testing.T) {
	c, from, to := client(t), ref(t, "oci:"+t.TempDir()+":old"), ref(t, "oci:"+t.TempDir()+":new")
	pushIndex(t, c, from, nestedIndex(t))
	src := open(t, c, from)
	arm64 := src.Images[1]
	rebuilt := changed(t, arm64.Image)
	idx, notes, err := image.RebuildIndex(src.Index, map[v1.Hash]v1.Image{arm64.Descriptor.Digest: rebuilt}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(notes) != 1 {
		t.Errorf("notes %v", notes)
	}
	pushIndex(t, c, to, idx)
	back := open(t, c, to)
	if got := digestOf(t, back.Images[1].Image); got != digestOf(t, rebuilt) {
		t.Errorf("linux/arm64 is %s", got)
	}
	if got := digestOf(t, back.Images[0].Image); got != src.Images[0].Descriptor.Digest {
		t.Errorf("linux/amd64 is %s", got)
	}
	if bytes.Contains([]byte(rawIndexOf(t, back.Index)), []byte(arm64.Descriptor.Digest.String())) {
		t.Error("the old image is still named")
	}
}
