package generate

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

var created = time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)

// member is one entry of a fixture layer: a file with content, a link ("-> target"), or a hard link ("=> target").
type member struct {
	path, content string
	exec          bool
}

// memoryTree is a Tree over layers in memory. It keeps what Wants wants, and records what is opened besides.
type memoryTree struct {
	nodes   []Node
	content map[string][]byte

	mu       sync.Mutex
	unwanted []string
}

// layeredMemory shows the layers one by one as well.
type layeredMemory struct {
	*memoryTree
	layers []*memoryTree
}

func newLayeredTree(layers [][]member) *layeredMemory {
	t := &layeredMemory{memoryTree: newTree(layers)}
	for _, l := range layers {
		t.layers = append(t.layers, newTree([][]member{l}))
	}
	return t
}

func (t *layeredMemory) WalkLayer(i int, f func(Node) error) error { return t.layers[i].Walk(f) }
func (t *layeredMemory) OpenIn(i int, p string) (File, error)      { return t.layers[i].Open(p) }
func (t *layeredMemory) OpenKeptIn(i int, p string) (File, error)  { return t.layers[i].OpenKept(p) }

type memoryFile struct{ *bytes.Reader }

func (memoryFile) Close() error { return nil }

func (t *memoryTree) Walk(f func(Node) error) error {
	for _, n := range t.nodes {
		if err := f(n); err != nil {
			return err
		}
	}
	return nil
}

func (t *memoryTree) wanted(p string) bool {
	c := t.content[p]
	return Wants(p, 0o644, int64(len(c)), c[:min(512, len(c))])
}

func (t *memoryTree) Open(p string) (File, error) {
	c, ok := t.content[p]
	if !ok {
		return nil, fs.ErrNotExist
	}
	if !t.wanted(p) {
		t.mu.Lock()
		t.unwanted = append(t.unwanted, p)
		t.mu.Unlock()
	}
	return memoryFile{bytes.NewReader(c)}, nil
}

func (t *memoryTree) OpenKept(p string) (File, error) {
	if !t.wanted(p) {
		return nil, ErrNotKept
	}
	return t.Open(p)
}

// newTree merges the layers. Parent directories are implied.
func newTree(layers [][]member) *memoryTree {
	byPath := map[string]Node{}
	t := &memoryTree{content: map[string][]byte{}}
	for i, members := range layers {
		for _, m := range members {
			for dir := path.Dir(m.path); dir != "."; dir = path.Dir(dir) {
				if _, ok := byPath[dir]; !ok {
					byPath[dir] = Node{Path: dir, Type: tar.TypeDir, Mode: 0o755, Layer: i}
				}
			}
			n := Node{Path: m.path, Type: tar.TypeReg, Mode: 0o644, Layer: i, ModTime: created}
			if m.exec {
				n.Mode = 0o755
			}
			content := []byte(m.content)
			if target, ok := strings.CutPrefix(m.content, "-> "); ok {
				n.Type, n.Linkname = tar.TypeSymlink, target
			} else {
				if target, ok := strings.CutPrefix(m.content, "=> "); ok {
					content = t.content[target]
				}
				n.Size, n.SHA256 = int64(len(content)), sha256.Sum256(content)
				t.content[m.path] = content
			}
			byPath[m.path] = n
		}
	}
	for _, n := range byPath {
		t.nodes = append(t.nodes, n)
	}
	sort.Slice(t.nodes, func(i, j int) bool { return t.nodes[i].Path < t.nodes[j].Path })
	return t
}

// newImage packs the same layers as a real image.
func newImage(t testing.TB, layers [][]member) v1.Image {
	t.Helper()
	img, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: "amd64"})
	if err != nil {
		t.Fatal(err)
	}
	for i, members := range layers {
		content := packLayer(t, members)
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(content)), nil
		}, tarball.WithCompressionLevel(1))
		if err != nil {
			t.Fatal(err)
		}
		add := mutate.Addendum{Layer: layer, History: v1.History{CreatedBy: fmt.Sprintf("RUN step %d", i)}}
		if img, err = mutate.Append(img, add, mutate.Addendum{History: v1.History{EmptyLayer: true, CreatedBy: "ENV A=b"}}); err != nil {
			t.Fatal(err)
		}
	}
	return img
}

func packLayer(t testing.TB, members []member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	dirs := map[string]bool{".": true}
	for _, m := range members {
		for _, dir := range missingDirs(m.path, dirs) {
			if err := w.WriteHeader(&tar.Header{Name: dir + "/", Typeflag: tar.TypeDir, Mode: 0o755, ModTime: created}); err != nil {
				t.Fatal(err)
			}
		}
		h := tar.Header{Name: m.path, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(m.content)), ModTime: created}
		if m.exec {
			h.Mode = 0o755
		}
		body := m.content
		if target, ok := strings.CutPrefix(m.content, "-> "); ok {
			h.Typeflag, h.Linkname, h.Size, body = tar.TypeSymlink, target, 0, ""
		} else if target, ok := strings.CutPrefix(m.content, "=> "); ok {
			h.Typeflag, h.Linkname, h.Size, body = tar.TypeLink, target, 0, ""
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// missingDirs are the directories above a path that are not known yet, uppermost first; they are from now on.
func missingDirs(p string, known map[string]bool) []string {
	var missing []string
	for dir := path.Dir(p); !known[dir]; dir = path.Dir(dir) {
		known[dir] = true
		missing = append(missing, dir)
	}
	slices.Reverse(missing)
	return missing
}

// goBinary builds a small program, statically and without symbols.
var goBinary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "nanopatch-hello")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	files := map[string]string{
		"go.mod":     "module example.com/hello\n\ngo 1.21\n\nrequire example.com/dep v1.2.3\n\nreplace example.com/dep => ./dep\n",
		"main.go":    "package main\n\nimport \"example.com/dep\"\n\nfunc main() { println(dep.Name()) }\n",
		"dep/go.mod": "module example.com/dep\n\ngo 1.21\n",
		"dep/dep.go": "package dep\n\n//go:noinline\nfunc Name() string { return \"hello\" }\n",
	}
	for name, content := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return "", err
		}
	}
	cmd := exec.CommandContext(context.Background(), "go", "build", "-trimpath", "-ldflags=-s -w", "-buildvcs=false", "-o", "hello", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=mod", "GOWORK=off", "GOOS=linux", "GOARCH=amd64")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "hello"))
	return string(b), err
})

// jar is an archive as Maven makes it.
func jar(t testing.TB, group, artifact, version string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, content := range map[string]string{
		"META-INF/MANIFEST.MF": "Manifest-Version: 1.0\nImplementation-Title: " + artifact + "\nImplementation-Version: " + version + "\n",
		"META-INF/maven/" + group + "/" + artifact + "/pom.properties": "groupId=" + group + "\nartifactId=" + artifact +
			"\nversion=" + version + "\n",
	} {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// stanza is an entry of dpkg's status.
func stanza(name, source, arch, multiArch, version string) string {
	s := "Package: " + name + "\nStatus: install ok installed\nPriority: optional\nSection: libs\nInstalled-Size: 100\n" +
		"Maintainer: Debian <debian@example.org>\nArchitecture: " + arch + "\n"
	if multiArch != "" {
		s += "Multi-Arch: " + multiArch + "\n"
	}
	if source != "" {
		s += "Source: " + source + "\n"
	}
	return s + "Version: " + version + "\nDescription: " + name + "\n a package\n\n"
}

const dep5 = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nCopyright: someone\nLicense: Apache-2.0\n"

const mitLicense = `MIT License

Copyright (c) 2020 Someone

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
`

// fixture is a Debian image of three layers: a base, an upgrade, an application.
func fixture(t testing.TB) [][]member {
	t.Helper()
	hello, err := goBinary()
	if err != nil {
		t.Skipf("the fixture's Go program does not build here: %v", err)
	}
	baseFiles := stanza("base-files", "", "amd64", "foreign", "12.4+deb12u5")
	zlib := stanza("zlib1g", "zlib", "amd64", "same", "1:1.2.13.dfsg-1")
	gone := strings.Replace(stanza("gone", "", "all", "", "1.0"), "install ok installed", "deinstall ok config-files", 1)
	info := "var/lib/dpkg/info/"
	return [][]member{{
		{path: "bin", content: "-> usr/bin"},
		{path: "lib", content: "-> usr/lib"},
		{path: "etc/os-release", content: "-> ../usr/lib/os-release"},
		{path: "usr/lib/os-release", content: "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nID=debian\n"},
		{path: "etc/debian_version", content: "12.5\n"},
		{path: "var/lib/dpkg/status", content: baseFiles + stanza("libssl3", "openssl", "amd64", "same", "3.0.11-1~deb12u2") + zlib},
		{path: info + "base-files.list", content: "/.\n/etc/debian_version\n"},
		{path: info + "base-files.md5sums", content: "7215ee9c7d9dc229d2921a40e899ec5f  usr/lib/os-release\n"},
		{path: info + "libssl3:amd64.list", content: "/.\n/usr/lib/libssl.so.3\n"},
		{path: info + "libssl3:amd64.md5sums", content: "7215ee9c7d9dc229d2921a40e899ec5f  usr/lib/libssl.so.3\n"},
		{path: info + "zlib1g:amd64.list", content: "/.\n/usr/lib/libz.so.1\n"},
		{path: info + "zlib1g:amd64.md5sums", content: "7215ee9c7d9dc229d2921a40e899ec5f  usr/lib/libz.so.1\n"},
		{path: "usr/share/doc/libssl3/copyright", content: dep5},
		{path: "usr/share/doc/zlib1g/copyright", content: "This package is free.\n" + mitLicense},
	}, {
		{path: "var/lib/dpkg/status", content: baseFiles + gone + stanza("libssl3", "openssl", "amd64", "same", "3.0.13-1~deb12u1") +
			stanza("python3-six", "six", "all", "", "1.16.0-4") + zlib},
		{path: info + "libssl3:amd64.list", content: "/.\n/usr/lib/libssl.so.3\n/etc/ssl.cnf\n"},
		{path: info + "libssl3:amd64.md5sums", content: "8215ee9c7d9dc229d2921a40e899ec5f  usr/lib/libssl.so.3\n"},
		{path: info + "libssl3:amd64.conffiles", content: "/etc/ssl.cnf\n"},
		{path: info + "python3-six.list", content: "/.\n/usr/lib/python3/dist-packages/six-1.16.0.egg-info/PKG-INFO\n"},
		{path: "usr/lib/python3/dist-packages/six-1.16.0.egg-info/PKG-INFO", content: "Metadata-Version: 2.1\nName: six\nVersion: 1.16.0\nLicense: MIT\n"},
		{path: "usr/lib/python3/dist-packages/six-1.16.0.egg-info/top_level.txt", content: "six\n"},
	}, {
		{path: "opt/venv/lib/python3.11/site-packages/requests-2.31.0.dist-info/METADATA", content: "Metadata-Version: 2.1\nName: requests\nVersion: 2.31.0\n"},
		{path: "opt/venv/lib/python3.11/site-packages/requests-2.31.0.dist-info/RECORD", content: "requests/__init__.py,sha256=abc,12\nrequests-2.31.0.dist-info/LICENSE,sha256=abc,12\n"},
		{path: "opt/venv/lib/python3.11/site-packages/requests-2.31.0.dist-info/LICENSE", content: mitLicense},
		{path: "opt/venv/lib/python3.11/site-packages/requests-2.31.0.dist-info/top_level.txt", content: "requests\n"},
		{path: "srv/node_modules/lodash/package.json", content: `{"name":"lodash","version":"4.17.21","license":"MIT"}`},
		{path: "srv/node_modules/@scope/tool/package.json", content: `{"name":"@scope/tool","version":"1.0.0"}`},
		{path: "srv/node_modules/@scope/tool/LICENSE", content: mitLicense},
		{path: "srv/node_modules/@scope/tool/node_modules/lodash/package.json", content: `{"name":"lodash","version":"3.10.1","license":"MIT"}`},
		{path: "srv/lib/slf4j-api.jar", content: jar(t, "org.slf4j", "slf4j-api", "2.0.9")},
		{path: "srv/README", content: "nobody reads this"},
		{path: "usr/bin/hello", content: hello, exec: true},
		{path: "usr/bin/hello-again", content: "=> usr/bin/hello", exec: true},
	}}
}

// describe is Describe for a fixture, whose tree and image agree.
func describe(t testing.TB, layers [][]member) Image {
	t.Helper()
	img, err := Describe("registry.example/app:1", newImage(t, layers))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// generator is shared by tests, for what it prepares takes a second.
var generator = sync.OnceValue(func() *Generator { return New(Options{ToolVersion: "1.2.3"}) })

func generateFixture(t testing.TB, layers [][]member, tree *memoryTree) *Document {
	t.Helper()
	d, err := generator().Generate(t.Context(), describe(t, layers), tree, created)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func lines(d *Document) []string {
	var out []string
	for _, p := range d.Packages {
		layer := -1
		if p.Layer != nil {
			layer = p.Layer.Index
		}
		out = append(out, strings.Join([]string{p.Type, p.Name, p.Arch, p.Version, p.PURL, fmt.Sprint(layer)}, " | "))
	}
	return slices.Clip(out)
}
