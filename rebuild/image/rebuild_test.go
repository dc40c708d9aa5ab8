package image_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/image/imagetest"
)

func threeLayers(t *testing.T, mediaType types.MediaType) v1.Image {
	t.Helper()
	return imagetest.Image(t, mediaType, "linux/arm64/v8", map[string]string{"a": "1"}, map[string]string{"b": "2"}, map[string]string{"c": "3"})
}

func rebuild(t *testing.T, base v1.Image, opts image.RebuildOptions, changes ...image.LayerChange) v1.Image {
	t.Helper()
	img, _, err := image.Rebuild(base, changes, opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(img); err != nil {
		t.Fatal(err)
	}
	return img
}

func TestRebuildWithoutChange(t *testing.T) {
	base := threeLayers(t, types.OCIManifestSchema1)
	img, notes, err := image.Rebuild(base, nil, image.RebuildOptions{
		Created: time.Unix(0, 0), Annotations: map[string]string{"a": "b"}, Labels: map[string]string{"a": "b"},
	})
	if err != nil || len(notes) > 0 {
		t.Fatal(notes, err)
	}
	if digestOf(t, img) != digestOf(t, base) {
		t.Error("nothing changed, but the digest")
	}
	// A layer in its own place changes nothing either.
	layers, err := base.Layers()
	if err != nil {
		t.Fatal(err)
	}
	same := rebuild(t, base, image.RebuildOptions{}, image.LayerChange{Index: 1, New: layers[1]})
	if digestOf(t, same) != digestOf(t, base) {
		t.Error("a layer replaced by itself changed the digest")
	}
}

// changedLines shows a change as the lines that differ, one JSON member a line.
func changedLines(before, after []byte) []string {
	split := func(b []byte) []string {
		return strings.Split(strings.NewReplacer(`,"`, ",\n\"", `},{`, "},\n{").Replace(string(b)), "\n")
	}
	a, b := split(before), split(after)
	var out []string
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) {
			return append(out, "another number of lines")
		}
		if a[i] != b[i] {
			out = append(out, strings.TrimSpace(b[i]))
		}
	}
	return out
}

// Replacing a layer changes what must change and not a byte else, of either kind of manifest.
func TestRebuildIsMinimal(t *testing.T) {
	for _, mediaType := range []types.MediaType{types.OCIManifestSchema1, types.DockerManifestSchema2} {
		t.Run(string(mediaType), func(t *testing.T) {
			base := threeLayers(t, mediaType)
			layers, err := base.Layers()
			if err != nil {
				t.Fatal(err)
			}
			layerType, err := layers[1].MediaType()
			if err != nil {
				t.Fatal(err)
			}
			fresh := imagetest.Layer(t, layerType, map[string]string{"b": "two"})
			img := rebuild(t, base, image.RebuildOptions{}, image.LayerChange{Index: 1, New: fresh, HistoryComment: "b 1 -> 2"})

			oldManifest, oldConfig := rawOf(t, base)
			newManifest, newConfig := rawOf(t, img)
			configDigest, configSize, err := v1.SHA256(bytes.NewReader(newConfig))
			if err != nil {
				t.Fatal(err)
			}
			diffID, err := fresh.DiffID()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{
				fmt.Sprintf(`"size": %d,`, configSize),
				fmt.Sprintf(`"digest": %q`, configDigest),
				fmt.Sprintf(`"digest": %q,`, digestOf(t, fresh)),
				fmt.Sprintf(`"size": %d,`, sizeOf(t, fresh)),
			}, changedLines(oldManifest, newManifest)); diff != "" {
				t.Errorf("manifest: %s", diff)
			}
			if diff := cmp.Diff([]string{
				fmt.Sprintf(`"%s",`, diffID),
				`"comment":"buildkit.dockerfile.v0; b 1 -> 2"},`,
			}, changedLines(oldConfig, newConfig)); diff != "" {
				t.Errorf("config: %s", diff)
			}
		})
	}
}

// A subject, and the media type of a layer that nobody knows, stay where they are, and come back from a registry.
func TestRebuildKeepsSubject(t *testing.T) {
	for _, mediaType := range []types.MediaType{types.OCIManifestSchema1, types.DockerManifestSchema2} {
		base := threeLayers(t, mediaType)
		manifest, config := rawOf(t, base)
		subject := `"subject": {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:` + hex64 + `", "size": 7, "x": 1.0}`
		manifest = bytes.Replace(manifest, []byte(`"x-unknown"`), []byte(subject+`, "x-unknown"`), 1)
		// The last layer is of a kind that is not ours.
		at := bytes.LastIndex(manifest, []byte(`"mediaType"`))
		manifest = append(manifest[:at:at], bytes.Replace(manifest[at:], []byte("tar"), []byte("tar.of.some.kind"), 1)...)
		layers, err := base.Layers()
		if err != nil {
			t.Fatal(err)
		}
		odd := imagetest.Raw(t, mediaType, manifest, config, layers...)
		layerType, err := layers[0].MediaType()
		if err != nil {
			t.Fatal(err)
		}
		fresh := imagetest.Layer(t, layerType, map[string]string{"a": "x"})
		img := rebuildUnread(t, odd, image.LayerChange{Index: 0, New: fresh})
		raw, _ := rawOf(t, img)
		for _, want := range []string{subject + `, "x-unknown"`, ".of.some.kind"} {
			if !bytes.Contains(raw, []byte(want)) {
				t.Errorf("%s is gone:\n%s", want, raw)
			}
		}
		changes := changedLines(manifest, raw)
		for _, line := range changes {
			if !strings.HasPrefix(line, `"digest"`) && !strings.HasPrefix(line, `"size"`) {
				t.Errorf("%s changed", line)
			}
		}
		if len(changes) > 4 { // of config and layer
			t.Errorf("%d lines changed", len(changes))
		}
		r := ref(t, imagetest.NewRegistry(t, true).Host+"/app:1")
		push(t, client(t), r, img)
		if back, _ := rawOf(t, open(t, client(t), r).Images[0].Image); !bytes.Equal(back, raw) {
			t.Errorf("came back as\n%s", back)
		}
	}
}

func TestRebuildOptions(t *testing.T) {
	base := threeLayers(t, types.OCIManifestSchema1)
	change := image.LayerChange{Index: 0, New: imagetest.Layer(t, types.OCILayer, map[string]string{"a": "x"})}
	created := time.Date(2025, 3, 1, 12, 0, 0, 500, time.FixedZone("", 3600))
	img := rebuild(t, base, image.RebuildOptions{
		Created:     created,
		Annotations: map[string]string{"dev.nanopatch.source": "sha256:x", "dev.nanopatch.plan": "y"},
		Labels:      map[string]string{"org.example.new": "l"},
	}, change)
	manifest, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{
		"org.opencontainers.image.base.name": "example.com/base:1", "dev.nanopatch.source": "sha256:x", "dev.nanopatch.plan": "y",
	}, manifest.Annotations); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"org.example": "label", "org.example.new": "l"}, config.Config.Labels); diff != "" {
		t.Error(diff)
	}
	if !config.Created.Equal(created) || config.Created.Location() != time.UTC {
		t.Errorf("created %v", config.Created)
	}
	// The same time in other words is no change, and time does not run backwards.
	for _, notLater := range []time.Time{
		time.Date(2024, 1, 9, 1, 0, 0, 0, time.FixedZone("", 3600)), time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), {},
	} {
		same := rebuild(t, base, image.RebuildOptions{Created: notLater}, change)
		if _, raw := rawOf(t, same); !bytes.Contains(raw, []byte(`"created":"2024-01-09T00:00:00Z","x.unknown":{"n":1.50}`)) {
			t.Errorf("%v makes %s", notLater, raw)
		}
	}
	// Nothing depends on the order of maps.
	for range 20 {
		again := rebuild(t, base, image.RebuildOptions{
			Created:     created,
			Annotations: map[string]string{"dev.nanopatch.plan": "y", "dev.nanopatch.source": "sha256:x"},
			Labels:      map[string]string{"org.example.new": "l"},
		}, change)
		if digestOf(t, again) != digestOf(t, img) {
			t.Fatal("two rebuilds, two digests")
		}
	}
}

// The digest of a rebuilt image is part of what users rely on: a change here needs a reason in the change log. The layers
// are plain bytes, for the output of gzip may change with the compiler.
func TestRebuildGolden(t *testing.T) {
	layer := func(s string) v1.Layer { return static.NewLayer([]byte(s), types.OCILayer) }
	one, two, fresh := layer("one"), layer("two"), layer("fresh")
	config := fmt.Sprintf(`{"architecture":"amd64","os":"linux","created":"2024-01-01T00:00:00Z","rootfs":{"type":"layers","diff_ids":[%q,%q]},`+
		`"history":[{"created_by":"one"},{"created_by":"two"}]}`, digestOf(t, one), digestOf(t, two))
	digest, size, err := v1.SHA256(strings.NewReader(config))
	if err != nil {
		t.Fatal(err)
	}
	manifest := fmt.Sprintf(`{"schemaVersion":2,"config":{"mediaType":%q,"digest":%q,"size":%d},"layers":[`+
		`{"mediaType":%[4]q,"digest":%[5]q,"size":3},{"mediaType":%[4]q,"digest":%[6]q,"size":3}]}`,
		types.OCIConfigJSON, digest, size, types.OCILayer, digestOf(t, one), digestOf(t, two))
	base := imagetest.Raw(t, types.OCIManifestSchema1, []byte(manifest), []byte(config), one, two)
	img, _, err := image.Rebuild(base, []image.LayerChange{
		{Index: 1, New: fresh, HistoryComment: "nanopatch: openssl 3.0.15 -> 3.0.16"},
	}, image.RebuildOptions{Created: time.Unix(1710000000, 0), Annotations: map[string]string{"dev.nanopatch.source": digestOf(t, base).String()}})
	if err != nil {
		t.Fatal(err)
	}
	const want = "sha256:af147bccbeb7a384f1723df64f703685ae76e0360327d19731d577479d06bc33"
	if got := digestOf(t, img).String(); got != want {
		raw, rawConfig := rawOf(t, img)
		t.Errorf("digest %s, want %s\n%s\n%s", got, want, raw, rawConfig)
	}
}

func TestRebuildInserts(t *testing.T) {
	base := threeLayers(t, types.OCIManifestSchema1)
	layer := func(s string) v1.Layer { return imagetest.Layer(t, types.OCILayer, map[string]string{"new": s}) }
	img := rebuild(t, base, image.RebuildOptions{Created: time.Unix(1700000000, 0)},
		image.LayerChange{Index: 3, New: layer("top"), Insert: true, CreatedBy: "top", HistoryComment: "c"},
		image.LayerChange{Index: 1, New: layer("middle 1"), Insert: true, CreatedBy: "middle 1"},
		image.LayerChange{Index: 1, New: layer("replaced")},
		image.LayerChange{Index: 1, New: layer("middle 2"), Insert: true, CreatedBy: "middle 2"},
		image.LayerChange{Index: 0, New: layer("bottom"), Insert: true, CreatedBy: "bottom"})
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	var history []string
	for _, h := range config.History {
		s := h.CreatedBy
		if h.EmptyLayer {
			s += " (empty)"
		}
		history = append(history, s)
	}
	if diff := cmp.Diff([]string{
		"bottom", "FROM scratch (empty)", "RUN step 0", "middle 1", "middle 2", "ENV STEP=0 (empty)",
		"RUN step 1", "ENV STEP=1 (empty)", "RUN step 2", "top", "ENV STEP=2 (empty)",
	}, history); diff != "" {
		t.Error(diff)
	}
	var got []string
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	names := map[v1.Hash]string{}
	for _, s := range []string{"top", "middle 1", "middle 2", "replaced", "bottom"} {
		names[digestOf(t, layer(s))] = s
	}
	for _, l := range layers {
		got = append(got, names[digestOf(t, l)])
	}
	if diff := cmp.Diff([]string{"bottom", "", "middle 1", "middle 2", "replaced", "", "top"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestRebuildWithoutHistory(t *testing.T) {
	base := threeLayers(t, types.OCIManifestSchema1)
	manifest, config := rawOf(t, base)
	cut := append(bytes.Clone(config[:bytes.Index(config, []byte(`,"history":`))]), '}')
	digest, size, err := v1.SHA256(bytes.NewReader(cut))
	if err != nil {
		t.Fatal(err)
	}
	oldDigest, oldSize, err := v1.SHA256(bytes.NewReader(config))
	if err != nil {
		t.Fatal(err)
	}
	manifest = bytes.ReplaceAll(manifest, []byte(oldDigest.String()), []byte(digest.String()))
	manifest = bytes.ReplaceAll(manifest, fmt.Appendf(nil, `"size": %d,`, oldSize), fmt.Appendf(nil, `"size": %d,`, size))
	layers, err := base.Layers()
	if err != nil {
		t.Fatal(err)
	}
	bare := imagetest.Raw(t, types.OCIManifestSchema1, manifest, cut, layers...)
	img := rebuild(t, bare, image.RebuildOptions{},
		image.LayerChange{Index: 1, New: imagetest.Layer(t, types.OCILayer, map[string]string{"b": "x"}), HistoryComment: "lost"},
		image.LayerChange{Index: 3, New: imagetest.Layer(t, types.OCILayer, map[string]string{"d": "x"}), Insert: true, HistoryComment: "lost"})
	if _, raw := rawOf(t, img); bytes.Contains(raw, []byte("history")) {
		t.Errorf("a history came from nowhere: %s", raw)
	}
}

// What describes the old content goes, what describes the layer's role stays.
func TestRebuildDropsStaleDescription(t *testing.T) {
	base := threeLayers(t, types.OCIManifestSchema1)
	manifest, config := rawOf(t, base)
	manifest = bytes.Replace(manifest, []byte(`"annotations": {"org.example.layer": "1"}`), []byte(
		`"urls": ["https://example.com/l"], "data": "aGVsbG8=", "annotations": {"containerd.io/snapshot/stargz/toc.digest": "sha256:x",`+
			` "org.example.layer": "1", "io.github.containers.zstd-chunked.manifest-position": "1:2:3:4"}, "x-keep": true`), 1)
	manifest = bytes.Replace(manifest, []byte("layer.v1.tar+gzip"), []byte("layer.nondistributable.v1.tar+gzip"), 2)
	manifest = bytes.Replace(manifest, []byte("layer.nondistributable.v1.tar+gzip"), []byte("layer.v1.tar+gzip"), 1)
	layers, err := base.Layers()
	if err != nil {
		t.Fatal(err)
	}
	odd := imagetest.Raw(t, types.OCIManifestSchema1, manifest, config, layers...)
	fresh := imagetest.Layer(t, types.OCIRestrictedLayer, map[string]string{"b": "x"})
	img, notes, err := image.Rebuild(odd, []image.LayerChange{{Index: 1, New: fresh}}, image.RebuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(notes) != 3 {
		t.Errorf("notes %v", notes)
	}
	raw, _ := rawOf(t, img)
	for _, gone := range []string{"urls", "aGVsbG8", "stargz", "zstd-chunked", "nondistributable"} {
		if bytes.Contains(raw, []byte(gone)) {
			t.Errorf("%s is still there:\n%s", gone, raw)
		}
	}
	if !bytes.Contains(raw, []byte(`"annotations": {"org.example.layer": "1"}, "x-keep": true`)) {
		t.Errorf("more is gone:\n%s", raw)
	}
}

func TestRebuildRefuses(t *testing.T) {
	base := threeLayers(t, types.OCIManifestSchema1)
	l := imagetest.Layer(t, types.OCILayer, map[string]string{"a": "x"})
	for name, changes := range map[string][]image.LayerChange{
		"no layer":      {{Index: 0}},
		"too high":      {{Index: 3, New: l}},
		"far too high":  {{Index: 4, New: l, Insert: true}},
		"negative":      {{Index: -1, New: l}},
		"replace twice": {{Index: 1, New: l}, {Index: 1, New: l}},
	} {
		_, _, err := image.Rebuild(base, changes, image.RebuildOptions{})
		if err == nil {
			t.Errorf("%s passes", name)
			continue
		}
		requireError(t, err, image.ErrUsage)
	}
	manifest, config := rawOf(t, base)
	layers, err := base.Layers()
	if err != nil {
		t.Fatal(err)
	}
	// encoding/json would read one of the two, another reader the other.
	twice := bytes.Replace(manifest, []byte(`"layers"`), []byte(`"Layers": [], "layers"`), 1)
	_, _, err = image.Rebuild(imagetest.Raw(t, types.OCIManifestSchema1, twice, config, layers...),
		[]image.LayerChange{{Index: 0, New: l}}, image.RebuildOptions{})
	requireError(t, err, image.ErrInvalid)
}

func TestRebuildCreated(t *testing.T) {
	base := threeLayers(t, types.OCIManifestSchema1)
	layers, err := base.Layers()
	if err != nil {
		t.Fatal(err)
	}
	later := rebuild(t, base, image.RebuildOptions{Created: time.Unix(2_000_000_000, 0)}, image.LayerChange{Index: 0, New: layers[1]})
	for _, exactly := range []bool{false, true} {
		opts := image.RebuildOptions{Created: time.Unix(5, 0), CreatedExactly: exactly}
		config, err := rebuild(t, later, opts, image.LayerChange{Index: 0, New: layers[2]}).ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if back := config.Created.Equal(opts.Created); back != exactly {
			t.Errorf("exactly %t: created %s", exactly, config.Created)
		}
	}
}
