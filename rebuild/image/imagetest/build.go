package imagetest

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Layer makes a gzip layer of regular files: content by path.
func Layer(t testing.TB, mediaType types.MediaType, files map[string]string) v1.Layer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, path := range slices.Sorted(maps.Keys(files)) {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: path, Mode: 0o644, Size: int64(len(files[path]))}
		if err := w.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, files[path]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(b.Bytes())), nil
	}, tarball.WithMediaType(mediaType))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Image makes an image for a platform ("linux/arm64/v8") with one layer for each map of files. Its JSON is what a
// careless editor would lose: indented, with unknown fields, annotations, entries of the history without a layer.
func Image(t testing.TB, mediaType types.MediaType, platform string, layers ...map[string]string) v1.Image {
	t.Helper()
	configType, layerType := types.OCIConfigJSON, types.OCILayer
	if mediaType == types.DockerManifestSchema2 {
		configType, layerType = types.DockerConfigJSON, types.DockerLayer
	}
	p, err := v1.ParsePlatform(platform)
	if err != nil {
		t.Fatal(err)
	}
	var made []v1.Layer
	var diffIDs, history, descs []string
	history = append(history, `{"created":"2024-01-01T00:00:00Z","created_by":"FROM scratch","empty_layer":true}`)
	for i, files := range layers {
		l := Layer(t, layerType, files)
		made = append(made, l)
		diffID, desc := describe(t, l)
		diffIDs = append(diffIDs, fmt.Sprintf("%q", diffID))
		history = append(history,
			fmt.Sprintf(`{"created":"2024-01-0%dT00:00:00.5Z","created_by":"RUN step %d","comment":"buildkit.dockerfile.v0"}`, i%9+1, i),
			fmt.Sprintf(`{"created":"2024-01-0%dT00:00:00Z","created_by":"ENV STEP=%d","empty_layer":true}`, i%9+1, i))
		descs = append(descs, fmt.Sprintf(
			"{\n         \"mediaType\": %q,\n         \"digest\": %q,\n         \"size\": %d,\n"+
				"         \"annotations\": {\"org.example.layer\": \"%d\"}\n      }", desc.MediaType, desc.Digest, desc.Size, i))
	}
	config := fmt.Sprintf(`{"architecture":%q,"os":%q,"variant":%q,"created":"2024-01-09T00:00:00Z","x.unknown":{"n":1.50},`+
		`"config":{"Env":["PATH=/usr/bin"],"Labels":{"org.example":"label"}},"rootfs":{"type":"layers","diff_ids":[%s]},"history":[%s]}`,
		p.Architecture, p.OS, p.Variant, strings.Join(diffIDs, ","), strings.Join(history, ","))
	digest, size, err := v1.SHA256(strings.NewReader(config))
	if err != nil {
		t.Fatal(err)
	}
	manifest := fmt.Sprintf("{\n   \"schemaVersion\": 2,\n   \"mediaType\": %q,\n   \"x-unknown\": [1.0, \"\\u0041\"],\n"+
		"   \"config\": {\n      \"mediaType\": %q,\n      \"size\": %d,\n      \"digest\": %q\n   },\n   \"layers\": [\n      %s\n   ],\n"+
		"   \"annotations\": {\n      \"org.opencontainers.image.base.name\": \"example.com/base:1\"\n   }\n}",
		mediaType, configType, size, digest, strings.Join(descs, ",\n      "))
	return Raw(t, mediaType, []byte(manifest), []byte(config), made...)
}

func describe(t testing.TB, l v1.Layer) (v1.Hash, *v1.Descriptor) {
	t.Helper()
	diffID, err := l.DiffID()
	if err != nil {
		t.Fatal(err)
	}
	desc, err := partial.Descriptor(l)
	if err != nil {
		t.Fatal(err)
	}
	return diffID, desc
}

// Raw makes an image of its bytes, right or wrong.
func Raw(t testing.TB, mediaType types.MediaType, manifest, config []byte, layers ...v1.Layer) v1.Image {
	t.Helper()
	img, err := partial.CompressedToImage(&raw{mediaType: mediaType, manifest: manifest, config: config, layers: layers})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

type raw struct {
	mediaType        types.MediaType
	manifest, config []byte
	layers           []v1.Layer
}

func (r *raw) MediaType() (types.MediaType, error) { return r.mediaType, nil }
func (r *raw) RawManifest() ([]byte, error)        { return r.manifest, nil }
func (r *raw) RawConfigFile() ([]byte, error)      { return r.config, nil }

func (r *raw) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	for _, l := range r.layers {
		if digest, err := l.Digest(); err == nil && digest == h {
			return l, nil
		}
	}
	return nil, fmt.Errorf("no layer %s", h)
}

// Entry is an image in an index, with fields of its descriptor besides the usual ones: `"annotations":{…}`.
type Entry struct {
	Image    v1.Image
	Platform string
	Extra    string
}

// Index makes an index, indented and with unknown fields.
func Index(t testing.TB, mediaType types.MediaType, entries ...Entry) v1.ImageIndex {
	t.Helper()
	idx := &index{mediaType: mediaType, images: make(map[v1.Hash]v1.Image)}
	var descs []string
	for _, e := range entries {
		desc, err := partial.Descriptor(e.Image)
		if err != nil {
			t.Fatal(err)
		}
		idx.images[desc.Digest] = e.Image
		text := fmt.Sprintf(`"mediaType": %q, "size": %d, "digest": %q, "x-entry": 1e3`, desc.MediaType, desc.Size, desc.Digest)
		if e.Platform != "" {
			p, err := v1.ParsePlatform(e.Platform)
			if err != nil {
				t.Fatal(err)
			}
			encoded, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			text += `, "platform": ` + string(encoded)
		}
		if e.Extra != "" {
			text += ", " + e.Extra
		}
		descs = append(descs, "{"+text+"}")
	}
	idx.raw = fmt.Appendf(nil, "{\n  \"manifests\": [\n    %s\n  ],\n  \"mediaType\": %q,\n  \"schemaVersion\": 2,\n  \"x-unknown\": null\n}\n",
		strings.Join(descs, ",\n    "), mediaType)
	return idx
}

type index struct {
	mediaType types.MediaType
	raw       []byte
	images    map[v1.Hash]v1.Image
}

func (i *index) MediaType() (types.MediaType, error) { return i.mediaType, nil }
func (i *index) Digest() (v1.Hash, error)            { return partial.Digest(i) }
func (i *index) Size() (int64, error)                { return partial.Size(i) }
func (i *index) RawManifest() ([]byte, error)        { return i.raw, nil }

func (i *index) IndexManifest() (*v1.IndexManifest, error) {
	return v1.ParseIndexManifest(bytes.NewReader(i.raw))
}

func (i *index) Image(h v1.Hash) (v1.Image, error) {
	if img, ok := i.images[h]; ok {
		return img, nil
	}
	return nil, fmt.Errorf("no image %s", h)
}

func (i *index) ImageIndex(h v1.Hash) (v1.ImageIndex, error) {
	return nil, fmt.Errorf("no index %s", h)
}

// Artifact makes what a signature is to a registry: a manifest with an artifact type and one blob, without a subject.
func Artifact(t testing.TB, artifactType, content string) v1.Image {
	t.Helper()
	blob := static.NewLayer([]byte(content), types.MediaType(artifactType))
	desc, err := partial.Descriptor(blob)
	if err != nil {
		t.Fatal(err)
	}
	digest, size, err := v1.SHA256(strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		Config:        v1.Descriptor{MediaType: types.OCIEmptyJSON, Digest: digest, Size: size},
		Layers:        []v1.Descriptor{*desc},
		ArtifactType:  artifactType,
		Annotations:   map[string]string{"org.example.artifact": "yes"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return Raw(t, types.OCIManifestSchema1, manifest, []byte("{}"), blob)
}
