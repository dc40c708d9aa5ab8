//go:build e2e

package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/match"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/pipeline"
	"github.com/nanopatch/nanopatch/rebuild/image/imagetest"
	"github.com/nanopatch/nanopatch/testdata/fixture"
)

// Annotations of BuildKit's attestations in an index.
const (
	referenceType   = "vnd.docker.reference.type"
	referenceDigest = "vnd.docker.reference.digest"
)

// TestIndexes rebuilds two platforms of an index of three, one of them with a variant, with BuildKit's attestations beside
// them and, in a second one, within another index. What is not rebuilt stays, with what attests it; what attests another
// image than is there now goes, and the report says so. Transports that hold one image say that they do.
func TestIndexes(t *testing.T) {
	s := newSuite(t, "amd64", "arm64", "armhf")
	k := kind{name: "index", pack: func(t *testing.T, p []byte) packed { return packed{blob: gzipped(t, p), media: types.OCILayer} }}
	var images []v1.Image
	for _, img := range s.twin.Images {
		images = append(images, withKind(t, img, k))
	}
	flat := indexOf(t, images...)
	nested := mutate.IndexMediaType(mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: flat}), types.OCIImageIndex)
	var table []string
	for _, sort := range []struct {
		name    string
		idx     v1.ImageIndex
		trouble []string
	}{{"index", flat, []string{"umoci"}}, {"index in an index", nested, []string{"crane", "skopeo", "umoci", "podman"}}} {
		k.trouble = sort.trouble
		source := filepath.Join(t.TempDir(), "source")
		writeIndex(t, source, "old", sort.idx)
		cells := []string{sort.name}
		for _, tr := range s.transports {
			cells = append(cells, s.throughIndex(t, k, tr, "oci:"+source+":old", strings.ReplaceAll(sort.name, " ", "-"), images, sort.idx))
		}
		table = append(table, row(cells))
	}
	fmt.Println(strings.Join(slices.Concat(table, s.footnotes()), "\n"))
}

// indexOf is an index of images, and of what attests each.
func indexOf(t *testing.T, images ...v1.Image) v1.ImageIndex {
	t.Helper()
	idx := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, img := range images {
		config, err := img.ConfigFile()
		must(t, err)
		idx = mutate.AppendManifests(idx, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: config.Platform()}})
	}
	for _, img := range images {
		digest, err := img.Digest()
		must(t, err)
		about := static.NewLayer(fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v0.1","subject":[{"digest":{"sha256":%q}}]}`, digest.Hex), "application/vnd.in-toto+json")
		attestation, err := mutate.Append(mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), types.OCIManifestSchema1),
			mutate.Addendum{Layer: about, MediaType: "application/vnd.in-toto+json"})
		must(t, err)
		idx = mutate.AppendManifests(idx, mutate.IndexAddendum{Add: attestation, Descriptor: v1.Descriptor{
			Platform:    &v1.Platform{OS: "unknown", Architecture: "unknown"},
			Annotations: map[string]string{referenceType: "attestation-manifest", referenceDigest: digest.String()},
		}})
	}
	return idx
}

func (s *suite) throughIndex(t *testing.T, k kind, tr *transport, source, image string, before []v1.Image, idx v1.ImageIndex) string {
	t.Helper()
	args := []string{
		"rebuild", source, "-t", tr.ref(image), "--no-sign", "--no-attest", "--only", "np-zlib", "-o", "json", "-q",
		"--platform", "linux/amd64", "--platform", "linux/arm/v7",
	}
	stdout, stderr, err := s.program(t, tr, args...)
	if tr.single {
		if err == nil || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: an index where one image fits: %v: %s", tr.name, err, stderr)
		}
		return "refused " + s.noted("nanopatch", errors.New(strings.TrimPrefix(strings.TrimSpace(stderr), "nanopatch: ")))
	}
	if err != nil {
		t.Errorf("%s: %v: %s", tr.name, err, stderr)
		return "✗"
	}
	var result pipeline.Result
	must(t, json.Unmarshal([]byte(stdout), &result))
	s.mustKeep(t, tr, image, &result, before)
	cell := []string{"N"}
	if _, stderr, err := s.program(t, tr, "plan", tr.ref(image), "--only", "np-zlib", "--platform", "linux/arm/v7"); err != nil || !strings.Contains(stderr, "0 updates") {
		t.Errorf("%s: planning from the result: %v: %s", tr.name, err, stderr)
		cell[0] = "N✗"
	}
	for _, r := range readers {
		letter := strings.ToUpper(r.name[:1])
		for _, platform := range []string{"linux/amd64", "linux/arm/v7"} {
			p := s.place(t, tr, image)
			p.platform, p.index = platform, true
			files, err := r.read(t.Context(), p)
			if err == nil {
				err = k.as(files, true)
			}
			if err != nil {
				letter = s.blameIndex(t, r, k, tr, image, platform, idx, err)
				break
			}
		}
		cell = append(cell, letter)
	}
	return strings.Join(cell, " ")
}

// mustKeep holds the written index against what was there before.
func (s *suite) mustKeep(t *testing.T, tr *transport, image string, result *pipeline.Result, before []v1.Image) {
	t.Helper()
	if len(result.Platforms) != 2 {
		t.Fatalf("%s: %d platforms rebuilt", tr.name, len(result.Platforms))
	}
	idx := s.innermost(t, tr, image)
	kept, err := before[1].Digest()
	must(t, err)
	want := []string{
		"linux/amd64 " + result.Platforms[0].NewDigest.String(), "linux/arm64 " + kept.String(),
		"linux/arm/v7 " + result.Platforms[1].NewDigest.String(), "attests " + kept.String(),
	}
	var got []string
	for _, m := range idx.Manifests {
		if of := m.Annotations[referenceDigest]; of != "" {
			got = append(got, "attests "+of)
			continue
		}
		got = append(got, m.Platform.String()+" "+m.Digest.String())
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: the index holds\n%s\nand should\n%s", tr.name, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, i := range []int{0, 2} {
		digest, err := before[i].Digest()
		must(t, err)
		if !strings.Contains(strings.Join(result.Notes, "\n"), "attestation of "+digest.String()+" dropped") {
			t.Errorf("%s: the notes do not say that an attestation was dropped: %q", tr.name, result.Notes)
		}
	}
}

// indexIn is the one index in a layout.
func indexIn(dir string) (v1.Hash, error) {
	root, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return v1.Hash{}, err
	}
	m, err := root.IndexManifest()
	if err != nil {
		return v1.Hash{}, err
	}
	if len(m.Manifests) != 1 {
		return v1.Hash{}, fmt.Errorf("%s holds %d images", dir, len(m.Manifests))
	}
	return m.Manifests[0].Digest, nil
}

// innermost reads an index, and from one that holds nothing but another that other one.
func (s *suite) innermost(t *testing.T, tr *transport, image string) *v1.IndexManifest {
	t.Helper()
	var idx v1.ImageIndex
	if strings.HasPrefix(tr.ref(image), "oci") {
		dir, err := layoutOf(t.Context(), s.place(t, tr, image))
		must(t, err)
		idx, err = layout.ImageIndexFromPath(dir)
		must(t, err)
	} else {
		ref, err := name.ParseReference(tr.ref(image))
		must(t, err)
		idx, err = remote.Index(ref)
		must(t, err)
	}
	for {
		m, err := idx.IndexManifest()
		must(t, err)
		if len(m.Manifests) != 1 || !m.Manifests[0].MediaType.IsIndex() {
			return m
		}
		idx, err = idx.ImageIndex(m.Manifests[0].Digest)
		must(t, err)
	}
}

// putIndex writes an index into a transport without nanopatch.
func (s *suite) putIndex(t *testing.T, tr *transport, image string, idx v1.ImageIndex) {
	t.Helper()
	where, isLayout := strings.CutPrefix(strings.TrimSuffix(tr.ref(image), ":new"), "oci")
	if !isLayout {
		ref, err := name.ParseReference(tr.ref(image))
		must(t, err)
		must(t, remote.WriteIndex(ref, idx))
		return
	}
	archive, isArchive := strings.CutPrefix(where, "-archive:")
	dir := strings.TrimPrefix(where, ":")
	if isArchive {
		dir = s.place(t, tr, image).dir
	}
	writeIndex(t, dir, "new", idx)
	if isArchive {
		_, err := tool(t.Context(), nil, "tar", "-cf", archive, "-C", dir, ".")
		must(t, err)
	}
}

func writeIndex(t *testing.T, dir, tag string, idx v1.ImageIndex) {
	t.Helper()
	l, err := layout.Write(dir, empty.Index)
	must(t, err)
	must(t, l.ReplaceIndex(idx, match.Name(tag), layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": tag})))
}

// blameIndex is blame for an index.
func (s *suite) blameIndex(t *testing.T, r reader, k kind, tr *transport, image, platform string, source v1.ImageIndex, failed error) string {
	t.Helper()
	p := s.place(t, tr, image+"-source-"+r.name)
	p.platform, p.index = platform, true
	s.putIndex(t, tr, p.image, source)
	why := r.source(t.Context(), p, k)
	letter := strings.ToUpper(r.name[:1])
	if why == nil || !slices.Contains(k.trouble, r.name) {
		t.Errorf("%s: %s fails at the result's %s: %v; at the source's: %v", tr.name, r.name, platform, failed, why)
		return letter + "✗"
	}
	t.Logf("%s: %s: %v; of the source: %v", tr.name, r.name, failed, why)
	return letter + s.noted(r.name, why)
}

// TestRefused: what nanopatch does not rebuild it says in one line, from registries and, where that can hold it, a layout, and
// writes nothing.
func TestRefused(t *testing.T) {
	s := newSuite(t, "amd64")
	registry := s.transports[1]
	schema1 := imagetest.Raw(t, types.DockerManifestSchema1Signed, []byte(`{"schemaVersion":1,"name":"old","tag":"new","architecture":"amd64","fsLayers":[],"history":[],"signatures":[]}`), []byte("{}"))
	encrypted := withKind(t, s.twin.Images[0], kind{name: "encrypted", pack: func(t *testing.T, p []byte) packed {
		return packed{blob: gzipped(t, p), media: types.OCILayer + "+encrypted"}
	}})
	layoutDir := filepath.Join(t.TempDir(), "layout")
	must(t, fixture.WriteLayout(layoutDir, "new", encrypted))
	put := func(image string, img v1.Image) string {
		ref, err := name.ParseReference(registry.ref(image))
		must(t, err)
		must(t, remote.Put(ref, img))
		return registry.ref(image)
	}
	ref, err := name.ParseReference(registry.ref("encrypted"))
	must(t, err)
	must(t, remote.Write(ref, encrypted))
	for _, c := range []struct{ name, source, want string }{
		{"schema 1", put("schema1", schema1), "schema 1"},
		{"encrypted", registry.ref("encrypted"), "is encrypted"},
		{"encrypted", "oci:" + layoutDir + ":new", "is encrypted"},
	} {
		dest := filepath.Join(t.TempDir(), "dest")
		_, stderr, err := s.program(t, registry, "rebuild", c.source, "-t", "oci:"+dest+":new", "--no-sign", "-q")
		if err == nil || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: %v: %s", c.source, err, stderr)
		}
		if _, err := os.Stat(dest); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: something was written: %v", c.source, err)
		}
		fmt.Println(row([]string{c.name, "refused, " + fmt.Sprint(err) + ": " + specific.ReplaceAllString(strings.TrimSpace(stderr), "…")}))
	}
}
