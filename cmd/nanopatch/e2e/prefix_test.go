//go:build e2e

package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/nanopatch/nanopatch/testdata/fixture"
)

// TestEveryPrefixIsConsistent cuts results after each layer and lets the real dpkg hold the files against the database
// that the prefix carries. The twin has a package at home in layer 0 of which layer 1 holds a chmod copy, and one that
// layer 1 had upgraded already; the Debian image has its sizes.
func TestEveryPrefixIsConsistent(t *testing.T) {
	t.Run("twin", func(t *testing.T) {
		twin, err := fixture.NewTwin(t.Context(), t.TempDir(), fixture.TwinOptions{})
		if err != nil {
			t.Fatal(err)
		}
		checkPrefixes(t, twin.Images[0], "--repo-override", twin.Repository, "--repo-override",
			fixture.SecurityMirror(twin.Repository), "--keyring", twin.Keyring)
	})
	t.Run("debian", func(t *testing.T) { checkPrefixes(t, debian) })
}

func checkPrefixes(t *testing.T, img v1.Image, repositories ...string) {
	t.Helper()
	host := referrersRegistry(t)
	push(t, host+"/base:old", img)
	args := append([]string{"rebuild", host + "/base:old", "-t", host + "/base:new", "--no-sign", "-o", "json"}, repositories...)
	r := decode[result](t, nanopatch(t, args...).must(t, 0))
	after := pull(t, host+"/base:new")
	layers, err := after.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= len(layers); n++ {
		before, now := dpkgVerify(t, prefix(t, img, n)), dpkgVerify(t, prefix(t, after, n))
		for line := range now {
			if !before[line] {
				t.Errorf("after layer %d dpkg finds what it did not find before: %s", n-1, line)
			}
		}
		t.Logf("after layer %d: %d findings before, %d now", n-1, len(before), len(now))
	}
	sharesRewrites(t, host, img, r, repositories)
}

// sharesRewrites rebuilds the image without its top layer: the layers that both have come out the same.
func sharesRewrites(t *testing.T, host string, img v1.Image, whole result, repositories []string) {
	t.Helper()
	n := len(whole.Platforms[0].Layers) - 1
	push(t, host+"/shorter:old", prefix(t, img, n))
	args := append([]string{"rebuild", host + "/shorter:old", "-t", host + "/shorter:new", "--no-sign", "-o", "json"}, repositories...)
	r := decode[result](t, nanopatch(t, args...).must(t, 0))
	for i, l := range r.Platforms[0].Layers {
		if want := whole.Platforms[0].Layers[i].NewDigest; l.NewDigest != want {
			t.Errorf("layer %d is %s in the shorter image, %s in the whole one", i, l.NewDigest, want)
		}
	}
}

// prefix is the image of the first n layers.
func prefix(t *testing.T, img v1.Image, n int) v1.Image {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	out := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	short := &v1.ConfigFile{
		Architecture: config.Architecture, OS: config.OS, Created: config.Created, Config: config.Config,
		RootFS: v1.RootFS{Type: "layers"},
	}
	if out, err = mutate.ConfigFile(out, short); err != nil {
		t.Fatal(err)
	}
	for i, l := range layers[:n] {
		add := mutate.Addendum{Layer: l, History: v1.History{CreatedBy: fmt.Sprintf("layer %d", i)}}
		if out, err = mutate.Append(out, add); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// dpkgVerify unpacks an image and returns what the host's dpkg has to say of its packages, a line each: of a prefix
// whose own database names every file's digest, that is a file-by-file check.
func dpkgVerify(t *testing.T, img v1.Image) map[string]bool {
	t.Helper()
	layout := filepath.Join(t.TempDir(), "layout")
	if err := fixture.WriteLayout(layout, "prefix", img); err != nil {
		t.Fatal(err)
	}
	root := unpack(t, layout, "prefix")
	if out := run(t, "dpkg", "--root="+root, "--audit"); strings.TrimSpace(out) != "" {
		t.Errorf("dpkg --audit: %s", out)
	}
	findings := map[string]bool{}
	out, err := tryRun(t, "dpkg", "--root="+root, "--verify")
	if err != nil && out == "" {
		t.Fatalf("dpkg --verify: %v", err)
	}
	for line := range strings.Lines(out) {
		findings[strings.TrimSpace(line)] = true
	}
	return findings
}
