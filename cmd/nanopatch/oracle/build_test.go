//go:build e2e

package oracle

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nanopatch/nanopatch/testdata/fixture"
)

// builderVersion goes into the names of built images: it changes when the builder's own doings do.
const builderVersion = "1"

// tag is the name of an image in its layout.
const tag = "image"

func cacheDir() string { return filepath.Join(fixture.DefaultCacheDir(), "oracle") }

// slimOptions are dpkg's filters in the slim images of Docker's library.
var slimOptions = []string{
	"path-exclude=/usr/share/doc/*", "path-include=/usr/share/doc/*/copyright", "path-exclude=/usr/share/man/*",
	"path-exclude=/usr/share/locale/*", "path-exclude=/usr/share/info/*", "path-exclude=/usr/share/groff/*",
	"path-exclude=/usr/share/lintian/*", "path-exclude=/usr/share/linda/*",
}

// build returns the OCI layout of a recipe's image, built if the cache has none of the same recipe and versions.
func build(t *testing.T, r *recipe) string {
	t.Helper()
	r.release.open(t)
	key := sha256.Sum256(fmt.Appendf(nil, "%s\n%v\n%v\n%v\n%s\n%s", builderVersion, r.slim, r.base, r.layers, r.release.list(""), r.release.pins))
	built := filepath.Join(cacheDir(), "images", fmt.Sprintf("%s-%x", r.name, key[:8]))
	layout := filepath.Join(built, "layout")
	if _, err := os.Stat(layout); err == nil {
		return layout
	}
	var lowest string
	if len(r.layers) > 0 {
		lowest = build(t, lowestOf(r))
	}
	forget(t, r.name)
	work := built + ".part" // beside its final place, on the same file system
	if err := os.MkdirAll(work, 0o755); err != nil {
		t.Fatal(err)
	}
	if lowest == "" {
		bootstrap(t, r, work)
	} else {
		run(t, "cp", "--recursive", lowest, work)
	}
	for i, s := range r.layers {
		addLayer(t, r, s, work, i+1)
	}
	if err := os.Rename(work, built); err != nil {
		t.Fatal(err)
	}
	return layout
}

// lowestOf is the recipe of an image's lowest layer alone, which several images share.
func lowestOf(r *recipe) *recipe {
	name := strings.Join(append([]string{r.release.codename, "minbase"}, r.base...), "-")
	if r.slim {
		name += "-slim"
	}
	return &recipe{name: name, release: r.release, slim: r.slim, base: r.base}
}

// forget removes what was built for a recipe from versions that the mirror has no more, and what was left half built.
func forget(t *testing.T, name string) {
	t.Helper()
	old, err := filepath.Glob(filepath.Join(cacheDir(), "images", name+"-"+strings.Repeat("[0-9a-f]", 16)+"*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range old {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
}

// bootstrap makes a layout with the image's lowest layer.
func bootstrap(t *testing.T, r *recipe, work string) {
	t.Helper()
	file, content := r.release.configuration()
	policy, sources := filepath.Join(work, "policy-rc.d"), filepath.Join(work, "sources")
	for name, text := range map[string]string{policy: "#!/bin/sh\nexit 101\n", sources: content} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tarball := filepath.Join(work, "base.tar")
	keyring := r.release.hostKeyring()
	args := []string{
		"--quiet", "--mode=root", "--variant=minbase", "--format=tar", "--keyring=" + keyring,
		"--include=" + strings.Join(append([]string{"apt"}, r.base...), ","),
		// Another user might not be allowed into the cache, where the keyring is.
		`--aptopt=APT::Sandbox::User "root"`, `--customize-hook=rm "$1/etc/apt/apt.conf.d/99mmdebstrap"`,
		`--setup-hook=install -D -m 644 ` + filepath.Join(r.release.archives(), "oldest") + ` "$1/etc/apt/preferences.d/oldest"`,
		`--customize-hook=rm "$1/etc/apt/preferences.d/oldest" "$1/etc/apt/sources.list"`,
		`--customize-hook=install -m 644 ` + sources + ` "$1/` + file + `"`,
		`--customize-hook=install -m 755 ` + policy + ` "$1/usr/sbin/policy-rc.d"`,
	}
	if !r.release.bornMerged {
		args = append(args, "--hook-dir=/usr/share/mmdebstrap/hooks/maybe-merged-usr")
	}
	if r.slim {
		for _, o := range slimOptions {
			args = append(args, "--dpkgopt="+o)
		}
	}
	args = append(args, r.release.codename, tarball)
	for line := range strings.Lines(r.release.list("[signed-by=" + keyring + "] ")) {
		args = append(args, strings.TrimSpace(line))
	}
	run(t, "mmdebstrap", args...)
	layout := filepath.Join(work, "layout")
	run(t, "umoci", "init", "--layout", layout)
	run(t, "umoci", "new", "--image", layout+":"+tag)
	run(t, "umoci", "raw", "add-layer", "--image", layout+":"+tag, "--history.created_by", "mmdebstrap "+r.release.codename, tarball)
	if err := os.Remove(tarball); err != nil {
		t.Fatal(err)
	}
}

// addLayer runs a step in the image so far and adds what it changed as a layer.
func addLayer(t *testing.T, r *recipe, s step, work string, n int) {
	t.Helper()
	image := filepath.Join(work, "layout") + ":" + tag
	bundle := filepath.Join(work, fmt.Sprintf("bundle%d", n))
	run(t, "umoci", "unpack", "--image", image, bundle)
	c := &chroot{root: filepath.Join(bundle, "rootfs"), release: r.release}
	script := "set -e\n"
	if len(s.packages) > 0 {
		script += "apt-get -q update\napt-get -q -o Dir::Etc::Preferences=/var/cache/apt/archives/oldest install " +
			strings.Join(s.packages, " ") + "\n"
	}
	c.run(t, script+s.script)
	run(t, "umoci", "repack", "--image", image, "--history.created_by", "RUN "+strings.Join(s.packages, " ")+"; "+s.script, bundle)
	if err := os.RemoveAll(bundle); err != nil {
		t.Fatal(err)
	}
}

// unpack flattens an image of a layout into a directory of the test's own.
func unpack(t *testing.T, layout, tag string) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "rootfs")
	run(t, "umoci", "raw", "unpack", "--image", layout+":"+tag, root)
	return root
}
