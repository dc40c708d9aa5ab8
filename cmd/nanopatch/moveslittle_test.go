package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/pipeline"
	"github.com/nanopatch/nanopatch/rebuild/image/imagetest"
	"github.com/nanopatch/nanopatch/testdata/fixture"
)

// nightly is a rebuild from one repository of a registry to another, run again and again.
type nightly struct {
	t     *testing.T
	proxy *imagetest.CountingProxy
	twin  *fixture.Twin
	key   string
}

func newNightly(t *testing.T) *nightly {
	t.Helper()
	twin, err := fixture.NewTwin(t.Context(), t.TempDir(), fixture.TwinOptions{})
	if err != nil {
		t.Fatal(err)
	}
	n := &nightly{t: t, twin: twin, proxy: imagetest.NewCountingProxy(t, imagetest.NewRegistry(t, true)), key: filepath.Join(t.TempDir(), "cosign")}
	if _, stderr, code := run(t.Context(), t, t.TempDir(), "keygen", "--output-prefix", n.key); code != 0 {
		t.Fatal(stderr)
	}
	if err := push(n.proxy.Host+"/base:old", twin.Images[0]); err != nil {
		t.Fatal(err)
	}
	n.proxy.Take()
	return n
}

// rebuild runs once and returns the result, what moved and how long it took.
func (n *nightly) rebuild(cache, to string, more ...string) (*pipeline.Result, imagetest.Moved, time.Duration) {
	n.t.Helper()
	args := append([]string{
		"rebuild", n.proxy.Host + "/base:old", "-t", n.proxy.Host + to, "--repo-override", n.twin.Repository,
		"--repo-override", fixture.SecurityMirror(n.twin.Repository), "--keyring", n.twin.Keyring, "--key", n.key + ".key", "-o", "json",
	}, more...)
	start := time.Now()
	stdout, stderr, code := run(n.t.Context(), n.t, cache, args...)
	took := time.Since(start)
	if code != 0 {
		n.t.Fatalf("exit code %d: %s", code, stderr)
	}
	var result pipeline.Result
	if err := json.Unmarshal([]byte(stdout), &result); err != nil {
		n.t.Fatal(err)
	}
	moved := n.proxy.Take()
	n.t.Logf("%-40s %8d B pulled, %8d B pushed, %8d B in all, %8d B mounted, %8d B of indexes, %.2f s",
		to+" "+strings.Join(more, " "), moved.Pulled, moved.Pushed, moved.All, result.Bytes.Mounted, result.Bytes.Repository, took.Seconds())
	return &result, moved, took
}

// maxErrors bounds the texts of a registry's answers that something is not there; the program does not count them.
const maxErrors = 2 << 10

// idleLimit is what a night with nothing to do may move between registries and a machine, in bytes.
const idleLimit = 64 << 10

// TestMovesLittle counts what moves on the wire: on a first run, with nothing to do, and for one package of a three-layer
// image.
func TestMovesLittle(t *testing.T) {
	n := newNightly(t)
	cache := t.TempDir()
	first, moved, _ := n.rebuild(cache, "/out:new")
	if first.Bytes.Pulled > moved.Pulled || first.Bytes.Pulled < moved.Pulled-maxErrors || first.Bytes.Pushed != moved.Pushed {
		t.Errorf("said to be pulled %d and pushed %d, were %d and %d", first.Bytes.Pulled, first.Bytes.Pushed, moved.Pulled, moved.Pushed)
	}
	layers := layersOf(t, n.proxy.Host+"/base:old")
	n.proxy.Take()
	for _, where := range []string{cache, t.TempDir()} {
		idle, moved, took := n.rebuild(where, "/out:new")
		if idle.Image.Digest != first.Image.Digest || len(idle.Platforms) != 1 || len(idle.Platforms[0].Updates) != len(first.Platforms[0].Updates) {
			t.Errorf("the result is %s with %d platforms", idle.Image.Digest, len(idle.Platforms))
		}
		if moved.All > idleLimit || moved.Pushed > 0 {
			t.Errorf("nothing to do, and %d bytes moved, %d pushed", moved.All, moved.Pushed)
		}
		if took > time.Second {
			t.Logf("nothing to do took %s on this machine", took)
		}
		for _, l := range layers {
			if slices.Contains(moved.PulledBlobs, l.String()) {
				t.Errorf("layer %s was fetched", l)
			}
		}
		same(t, first, idle)
	}
	// One package: only what is new is pushed, and the untouched layers are mounted.
	one, moved, _ := n.rebuild(cache, "/one:new", "--only", "np-zlib")
	var want []string
	var kept int64
	for _, l := range one.Platforms[0].Layers {
		if l.OldDigest == l.NewDigest {
			kept += l.NewSize
			continue
		}
		want = append(want, l.NewDigest.String())
	}
	if len(want) == 0 || kept == 0 || one.Bytes.Mounted != kept {
		t.Errorf("%d layers rewritten, %d bytes kept, %d mounted", len(want), kept, one.Bytes.Mounted)
	}
	for _, l := range layersOf(t, n.proxy.Host+"/base:old") {
		if slices.Contains(moved.UploadedBlobs, l.String()) {
			t.Errorf("untouched layer %s was pushed", l)
		}
	}
	for _, l := range want {
		if !slices.Contains(moved.UploadedBlobs, l) {
			t.Errorf("rewritten layer %s was not pushed", l)
		}
	}
}

func layersOf(t *testing.T, ref string) []v1.Hash {
	t.Helper()
	r, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(r)
	if err != nil {
		t.Fatal(err)
	}
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	var out []v1.Hash
	for _, l := range m.Layers {
		out = append(out, l.Digest)
	}
	return out
}

// same compares what two runs report, but for what moved, how long it took and what was there already.
func same(t *testing.T, a, b *pipeline.Result) {
	t.Helper()
	var texts [2]string
	for i, r := range []*pipeline.Result{a, b} {
		plain := *r
		plain.Bytes, plain.Seconds = pipeline.Bytes{}, nil
		raw, err := json.Marshal(plain)
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = strings.ReplaceAll(string(raw), `"reused":true`, `"reused":false`)
	}
	if texts[0] != texts[1] {
		t.Errorf("the reports differ:\n%s\n%s", texts[0], texts[1])
	}
}

// What a record says counts only while all of it is so and the key's owner said it.
func TestRecordIsNotBelieved(t *testing.T) {
	n := newNightly(t)
	first, _, _ := n.rebuild(t.TempDir(), "/out:new")
	idle := func(to string, more ...string) bool {
		t.Helper()
		result, moved, _ := n.rebuild(t.TempDir(), to, more...)
		if result.Image.Digest != first.Image.Digest {
			t.Errorf("the result is %s, not %s", result.Image.Digest, first.Image.Digest)
		}
		return moved.Pushed == 0
	}
	if !idle("/out:new") {
		t.Fatal("the record was not used")
	}
	record := "sha256-" + first.Image.Digest.Hex + ".nanopatch"
	ref := func(repo, tag string) name.Reference {
		t.Helper()
		r, err := name.ParseReference(n.proxy.Host + repo + ":" + tag)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	mine, err := remote.Image(ref("/out", record))
	if err != nil {
		t.Fatal(err)
	}
	// Another key's record in its place.
	theirs := *n
	theirs.key = filepath.Join(t.TempDir(), "theirs")
	if _, stderr, code := run(t.Context(), t, t.TempDir(), "keygen", "--output-prefix", theirs.key); code != 0 {
		t.Fatal(stderr)
	}
	theirs.rebuild(t.TempDir(), "/out:new")
	if idle("/out:new") {
		t.Error("another key's record was believed")
	}
	// A copy of image and record in another repository, where nothing is signed.
	img, err := remote.Image(ref("/out", "new"))
	if err != nil {
		t.Fatal(err)
	}
	for tag, img := range map[string]v1.Image{"new": img, record: mine} {
		if err := remote.Write(ref("/copy", tag), img); err != nil {
			t.Fatal(err)
		}
	}
	if idle("/copy:new") {
		t.Error("another repository's record was believed")
	}
	// A repository that says something new, be it only a byte.
	release := filepath.Join(n.twin.Repository, "dists", "bookworm-updates", "InRelease")
	raw, err := os.ReadFile(release)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(release, append(raw, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
	if idle("/out:new") {
		t.Error("a repository changed, and the record was believed")
	}
	if !idle("/out:new") {
		t.Error("the new record was not used")
	}
}
