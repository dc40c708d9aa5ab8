//go:build e2e

package e2e

import (
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/image/imagetest"
)

// idleLimit is what a night with nothing to do may move between registries and a machine, in bytes.
const idleLimit = 64 << 10

// TestBytes counts on the wire what rebuilding the Debian image moves, over a registry with referrers and one without: a
// first run, nights with nothing to do, with a cache and without, and one package of the three layers.
func TestBytes(t *testing.T) {
	for kind, start := range map[string]func(*testing.T) http.Handler{
		"docker-registry": func(t *testing.T) http.Handler { return imagetest.Forward(debianRegistry(t)) },
		"referrers":       func(t *testing.T) http.Handler { return imagetest.NewRegistry(t, true) },
	} {
		t.Run(kind, func(t *testing.T) {
			m := &meter{T: t, proxy: imagetest.NewCountingProxy(t, start(t))}
			push(t, m.proxy.Host+"/base:old", debian)
			m.private, _ = keys(t)
			m.proxy.Take()
			cache := filepath.Join(t.TempDir(), "cache")
			first, _ := m.rebuild("(a) first run", cache, "/out:new", "--key", m.private)
			m.idle(first, "(b) nothing to do, with cache", cache)
			m.idle(first, "(c) nothing to do, empty cache", filepath.Join(t.TempDir(), "empty"))
			m.onePackage(cache)
		})
	}
}

// meter makes runs through a proxy that counts.
type meter struct {
	*testing.T
	proxy   *imagetest.CountingProxy
	private string
}

func (m *meter) rebuild(what, cache, to string, more ...string) (result, imagetest.Moved) {
	m.Helper()
	m.proxy.Take()
	start := time.Now()
	args := append([]string{"rebuild", m.proxy.Host + "/base:old", "-t", m.proxy.Host + to, "--cache-dir", cache, "-o", "json"}, more...)
	r := decode[result](m.T, nanopatch(m.T, args...).must(m.T, 0))
	took := time.Since(start)
	moved := m.proxy.Take()
	m.Logf("BYTES %-32s registry: %d pulled, %d pushed, %d in all; reported: %d pulled, %d pushed, %d mounted, %d of indexes, %d of packages; %.2f s",
		what, moved.Pulled, moved.Pushed, moved.All, r.Bytes["pulled"], r.Bytes["pushed"], r.Bytes["mounted"], r.Bytes["repository"],
		r.Bytes["artifacts"], took.Seconds())
	return r, moved
}

// idle makes a run that has nothing to do.
func (m *meter) idle(first result, what, cache string) {
	m.Helper()
	r, moved := m.rebuild(what, cache, "/out:new", "--key", m.private)
	if r.Image.Digest != first.Image.Digest {
		m.Errorf("%s: the result is %s, not %s", what, r.Image.Digest, first.Image.Digest)
	}
	if moved.All > idleLimit || moved.Pushed > 0 {
		m.Errorf("%s: %d bytes moved, %d pushed", what, moved.All, moved.Pushed)
	}
	for _, l := range first.Platforms[0].Layers {
		if slices.Contains(moved.PulledBlobs, l.OldDigest) || slices.Contains(moved.PulledBlobs, l.NewDigest) {
			m.Errorf("%s: layer %d was fetched", what, l.Index)
		}
	}
}

// onePackage updates one package, unsigned, so that nothing but the image itself is pushed: the layers that are rewritten,
// the config and the manifest, by digest and by tag.
func (m *meter) onePackage(cache string) {
	m.Helper()
	r, moved := m.rebuild("(d) one package", cache, "/one:new", "--only", "libexpat1", "--no-sign", "--no-attest")
	if n := len(r.Platforms[0].Updates); n != 1 {
		m.Fatalf("%d updates", n)
	}
	config, err := pull(m.T, m.proxy.Host+"/one:new").ConfigName()
	if err != nil {
		m.Fatal(err)
	}
	want := []string{config.String()}
	kept := 0
	for _, l := range r.Platforms[0].Layers {
		if l.OldDigest == l.NewDigest {
			kept++
		} else {
			want = append(want, l.NewDigest)
		}
	}
	slices.Sort(want)
	slices.Sort(moved.UploadedBlobs)
	if kept == 0 || !slices.Equal(want, moved.UploadedBlobs) {
		m.Errorf("%d layers kept; uploaded were %v, want %v", kept, moved.UploadedBlobs, want)
	}
	slices.Sort(moved.WrittenManifests)
	if names := []string{"new", r.Image.Digest}; !slices.Equal(names, moved.WrittenManifests) {
		m.Errorf("manifests written as %v, want %v", moved.WrittenManifests, names)
	}
}
