//go:build e2e

package sbomoracle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/nanopatch/nanopatch/testdata/fixture"
)

// images are the images of the comparison, by name.
var images = []struct {
	name  string
	build func(t *testing.T) v1.Image
}{
	{"debian", debian},
	{"distroless", distroless},
	{"alpine", alpine},
	{"node", node},
	{"python", python},
	{"go-java", goJava},
}

var released = time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)

// debian is the fixture's outdated image of three layers.
func debian(t *testing.T) v1.Image {
	t.Helper()
	img, err := fixture.Debian(context.Background(), t.TempDir(), fixture.DebianOptions{})
	if errors.Is(err, fixture.ErrUnreachable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// distroless has a layer for each package, its status in a file of its own and no package manager.
func distroless(t *testing.T) v1.Image {
	t.Helper()
	img := alone(t)
	for _, name := range []string{"base-files", "netbase", "tzdata", "ca-certificates", "libc6", "libssl3", "libgcc-s1", "libstdc++6"} {
		dir, control := t.TempDir(), t.TempDir()
		file := download(t, name)[0]
		run(t, "", nil, "dpkg-deb", "-x", file, dir)
		run(t, "", nil, "dpkg-deb", "-e", file, control)
		status := filepath.Join(dir, "var/lib/dpkg/status.d")
		if err := os.MkdirAll(status, 0o755); err != nil {
			t.Fatal(err)
		}
		copyFile(t, filepath.Join(control, "control"), filepath.Join(status, name))
		copyFile(t, filepath.Join(control, "md5sums"), filepath.Join(status, name+".md5sums"))
		img = appendLayer(t, img, dir, "bazel build "+name)
	}
	return img
}

// alpine is the official root file system with a package of the application's on top.
func alpine(t *testing.T) v1.Image {
	t.Helper()
	const data = "../../../../shared/data/apk"
	if _, err := os.Stat(data); err != nil {
		t.Skipf("Alpine's release is not at hand: %v", err)
	}
	base, err := tarball.LayerFromFile(filepath.Join(data, "minirootfs/alpine-minirootfs-3.19.4-x86_64.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	npm(t, filepath.Join(dir, "srv"), "left-pad@1.3.0", "semver@7.6.3")
	return appendLayer(t, with(t, alone(t), base, "ADD alpine-minirootfs.tar.gz / # buildkit"), dir, "COPY srv/ /srv/ # buildkit")
}

// node is Debian with the Node.js program and an application's modules, two versions of one among them.
func node(t *testing.T) v1.Image {
	t.Helper()
	program, err := exec.LookPath("node")
	if err != nil {
		t.Skip(err)
	}
	runtime, app := t.TempDir(), t.TempDir()
	copyFile(t, program, filepath.Join(runtime, "usr/local/bin/node"))
	npm(t, filepath.Join(app, "srv"), "express@4.21.2", "lodash@4.17.21", "lodash3@npm:lodash@3.10.1", "typescript@5.6.3", "react@18.3.1",
		"webpack@5.97.1")
	return appendLayer(t, appendLayer(t, debian(t), runtime, "RUN install node"), app, "RUN npm ci")
}

// python is Debian with packages in site-packages, as pip leaves them.
func python(t *testing.T) v1.Image {
	t.Helper()
	work, dir := t.TempDir(), t.TempDir()
	for _, file := range download(t, "python3-requests", "python3-urllib3", "python3-idna", "python3-certifi", "python3-chardet",
		"python3-cryptography", "python3-yaml", "python3-jinja2", "python3-markupsafe", "python3-click", "python3-flask", "python3-werkzeug",
		"python3-itsdangerous", "python3-numpy", "python3-setuptools", "python3-wheel") {
		run(t, "", nil, "dpkg-deb", "-x", file, work)
	}
	site := filepath.Join(dir, "usr/local/lib/python3.11")
	if err := os.MkdirAll(site, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(work, "usr/lib/python3/dist-packages"), filepath.Join(site, "site-packages")); err != nil {
		t.Fatal(err)
	}
	return appendLayer(t, debian(t), dir, "RUN pip install -r requirements.txt")
}

// goJava is Debian with programs that were built from hundreds of Go modules, and with the Java archives of a web server
// and its links between them.
func goJava(t *testing.T) v1.Image {
	t.Helper()
	programs, archives := t.TempDir(), t.TempDir()
	for _, name := range []string{"crane", "syft"} {
		file, err := exec.LookPath(name)
		if err != nil {
			t.Skip(err)
		}
		copyFile(t, file, filepath.Join(programs, "usr/local/bin", name))
	}
	for _, file := range download(t, "libguava-java", "libcommons-lang3-java", "libcommons-io-java", "libjackson2-core-java",
		"libjackson2-databind-java", "libtomcat9-java", "libslf4j-java", "liblog4j2-java") {
		run(t, "", nil, "dpkg-deb", "-x", file, archives)
	}
	return appendLayer(t, appendLayer(t, debian(t), programs, "COPY bin/ /usr/local/bin/ # buildkit"), archives, "RUN install-jars")
}

// alone is an image without layers.
func alone(t *testing.T) v1.Image {
	t.Helper()
	img, err := mutate.ConfigFile(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON),
		&v1.ConfigFile{OS: "linux", Architecture: "amd64", Created: v1.Time{Time: released}, RootFS: v1.RootFS{Type: "layers"}})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// appendLayer adds a directory's content as the next layer.
func appendLayer(t *testing.T, img v1.Image, dir, createdBy string) v1.Image {
	t.Helper()
	file := filepath.Join(t.TempDir(), "layer.tar")
	run(t, dir, nil, "tar", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0", "-cf", file, ".")
	l, err := tarball.LayerFromFile(file, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		t.Fatal(err)
	}
	return with(t, img, l, createdBy)
}

func with(t *testing.T, img v1.Image, l v1.Layer, createdBy string) v1.Image {
	t.Helper()
	img, err := mutate.Append(img, mutate.Addendum{Layer: l, MediaType: types.OCILayer, History: v1.History{CreatedBy: createdBy}})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// download fetches packages that the host's apt knows, in the order of their names' given.
func download(t *testing.T, names ...string) []string {
	t.Helper()
	dir := filepath.Join(fixture.DefaultCacheDir(), "sbomoracle", "debs")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	var files, missing []string
	for _, name := range names {
		found, err := filepath.Glob(filepath.Join(dir, name+"_*.deb"))
		if err != nil {
			t.Fatal(err)
		}
		if len(found) == 0 {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		run(t, dir, nil, "apt-get", append([]string{"-q", "-o", "APT::Sandbox::User=root", "download"}, missing...)...)
	}
	for _, name := range names {
		found, err := filepath.Glob(filepath.Join(dir, name+"_*.deb"))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s was not downloaded: %v", name, err)
		}
		files = append(files, slices.Max(found))
	}
	return files
}

// npm installs modules below a directory; no script of theirs is run.
func npm(t *testing.T, dir string, modules ...string) {
	t.Helper()
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skip(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte(`{"name":"app","version":"1.0.0","license":"MIT"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, dir, nil, "npm", append([]string{"install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline"}, modules...)...)
	// npm's notes about itself are of the time they were made.
	if err := os.Remove(filepath.Join(dir, "node_modules/.package-lock.json")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	run(t, "", nil, "cp", "-L", from, to)
}

// layout writes an image as an OCI layout that both tools read.
func layout(t *testing.T, img v1.Image) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "layout")
	if err := fixture.WriteLayout(dir, "image", img); err != nil {
		t.Fatal(err)
	}
	return dir
}

// size is the sum of an image's blobs.
func size(t *testing.T, img v1.Image) string {
	t.Helper()
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	var n int64
	for i := range m.Layers {
		n += m.Layers[i].Size
	}
	return strings.TrimSuffix(fmt.Sprintf("%d MB", n>>20), " ")
}
