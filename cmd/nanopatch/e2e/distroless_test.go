//go:build e2e

package e2e

import (
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nanopatch/nanopatch/testdata/fixture"
)

// TestDistroless rebuilds a layered image that has no dpkg, no shell, no sources and no keys: its release is enough to know
// both, every package is updated in the layer that has it, and md5sum agrees with every record afterwards.
func TestDistroless(t *testing.T) {
	dir := t.TempDir()
	image, err := fixture.Distroless(t.Context(), dir, fixture.DebianOptions{})
	if err != nil {
		t.Fatal(err)
	}
	layout := filepath.Join(dir, "layout")
	if err := fixture.WriteLayout(layout, "old", image); err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(fixture.MirrorProxy())
	t.Cleanup(proxy.Close)
	through := func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "http_proxy="+proxy.URL, "no_proxy=") }
	source, dest := "oci:"+layout+":old", "oci:"+layout+":new"
	ran := nanopatchWith(t, through, "rebuild", source, "-t", dest, "--no-sign", "-o", "json").must(t, 0)
	if !strings.Contains(ran.stderr, "checked with the archive keys of Debian that this program knows") {
		t.Error("nothing says whose keys were used")
	}
	r := decode[result](t, ran)
	checkDiff(t, r, "deb")
	p := r.Platforms[0]
	for _, h := range p.Held {
		t.Logf("held: %s %s → %s: %s: %s", h.Name, h.From, h.Candidate, h.Reason, h.Detail)
	}
	homes := map[string]int{"libssl3": 1, "libexpat1": 3, "libpython3.11-stdlib": 3}
	for _, u := range p.Updates {
		t.Logf("%s %s → %s", u.Name, u.From, u.To)
		if at, known := homes[u.Name]; known && p.Layers[at].Action != "rewrite" {
			t.Errorf("%s is updated, but layer %d is not rewritten", u.Name, at)
		}
		delete(homes, u.Name)
	}
	if len(homes) > 0 || len(p.Held) > 0 {
		t.Errorf("not updated: %v; held: %d", homes, len(p.Held))
	}
	if l := p.Layers[2]; l.Action != "keep" || l.OldDigest != l.NewDigest {
		t.Errorf("layer 2, whose packages have no updates, is %+v", l)
	}
	checkRecords(t, layout, p.Updates)
	nanopatchWith(t, through, "plan", dest, "--detailed-exitcode").must(t, 0)
}

// checkRecords lets md5sum hold the files against the digests beside every record, and reads the records' versions.
func checkRecords(t *testing.T, layout string, updates []update) {
	t.Helper()
	root := filepath.Join(t.TempDir(), "rootfs")
	run(t, "umoci", "raw", "unpack", "--rootless", "--image", layout+":new", root)
	for _, u := range updates {
		record := filepath.Join(root, "var/lib/dpkg/status.d", u.Name)
		if v := strings.TrimSpace(run(t, "grep", "-h", "^Version: ", record)); v != "Version: "+u.To {
			t.Errorf("the record of %s says %s, want %s", u.Name, v, u.To)
		}
	}
	// The image's builder left files out, and has an os-release of its own.
	script := `cd "$0" && cat var/lib/dpkg/status.d/*.md5sums | grep -v ' usr/lib/os-release$' | md5sum --check --quiet --ignore-missing -`
	run(t, "sh", "-c", script, root)
	if n := strings.Fields(run(t, "sh", "-c", `cd "$0" && cat var/lib/dpkg/status.d/*.md5sums | wc -l`, root))[0]; len(n) < 4 {
		t.Errorf("only %s files have digests", n)
	}
}
