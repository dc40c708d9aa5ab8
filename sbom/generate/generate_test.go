package generate

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func TestGenerate(t *testing.T) {
	layers := fixture(t)
	tree := newTree(layers)
	d := generateFixture(t, layers, tree)
	goVersion := strings.TrimPrefix(runtime.Version(), "go")
	want := []string{
		"deb | base-files | amd64 | 12.4+deb12u5 | pkg:deb/debian/base-files@12.4%2Bdeb12u5?arch=amd64&distro=debian-12.5 | 0",
		"deb | libssl3 | amd64 | 3.0.13-1~deb12u1 | pkg:deb/debian/libssl3@3.0.13-1~deb12u1?arch=amd64&distro=debian-12.5&upstream=openssl | 1",
		"deb | python3-six | all | 1.16.0-4 | pkg:deb/debian/python3-six@1.16.0-4?arch=all&distro=debian-12.5&upstream=six | 1",
		"deb | zlib1g | amd64 | 1:1.2.13.dfsg-1 | pkg:deb/debian/zlib1g@1%3A1.2.13.dfsg-1?arch=amd64&distro=debian-12.5&upstream=zlib | 0",
		// The program is there under two names.
		"golang | example.com/dep |  | UNKNOWN | pkg:golang/example.com/dep | 2",
		"golang | example.com/dep |  | UNKNOWN | pkg:golang/example.com/dep | 2",
		"golang | example.com/hello |  | UNKNOWN | pkg:golang/example.com/hello | 2",
		"golang | example.com/hello |  | UNKNOWN | pkg:golang/example.com/hello | 2",
		"golang | stdlib |  | go" + goVersion + " | pkg:golang/stdlib@" + goVersion + " | 2",
		"golang | stdlib |  | go" + goVersion + " | pkg:golang/stdlib@" + goVersion + " | 2",
		"maven | org.slf4j/slf4j-api |  | 2.0.9 | pkg:maven/org.slf4j/slf4j-api@2.0.9 | 2",
		"npm | @scope/tool |  | 1.0.0 | pkg:npm/%40scope/tool@1.0.0 | 2",
		"npm | lodash |  | 3.10.1 | pkg:npm/lodash@3.10.1 | 2",
		"npm | lodash |  | 4.17.21 | pkg:npm/lodash@4.17.21 | 2",
		"pypi | requests |  | 2.31.0 | pkg:pypi/requests@2.31.0 | 2",
		"pypi | six |  | 1.16.0 | pkg:pypi/six@1.16.0 | 1",
	}
	if diff := cmp.Diff(want, lines(d)); diff != "" {
		t.Errorf("packages (-want +got):\n%s", diff)
	}
	if len(tree.unwanted) > 0 {
		t.Errorf("opened although Wants does not want them: %q", tree.unwanted)
	}
	if d.Distro != "debian" || d.DistroVersion != "12.5" {
		t.Errorf("distribution %q %q", d.Distro, d.DistroVersion)
	}
	if got := d.Image; got.Ref != "registry.example/app:1" || got.Platform != "linux/amd64" || !strings.HasPrefix(got.Digest, "sha256:") {
		t.Errorf("image %+v", got)
	}
	if got := d.Layers[2].CreatedBy; got != "RUN step 2" {
		t.Errorf("layer 2 was created by %q", got)
	}
}

func TestGenerateDetails(t *testing.T) {
	layers := fixture(t)
	d := generateFixture(t, layers, newTree(layers))
	licenses, paths := map[string][]string{}, map[string][]string{}
	for _, p := range d.Packages {
		licenses[p.Name], paths[p.Name] = p.Licenses, p.Paths
	}
	for name, want := range map[string][]string{
		"libssl3": {"Apache-2.0"}, "zlib1g": {"MIT"}, "@scope/tool": {"MIT"}, "requests": {"MIT"}, "base-files": nil,
	} {
		if !slices.Equal(licenses[name], want) {
			t.Errorf("licenses of %s: %q, want %q", name, licenses[name], want)
		}
	}
	if want := []string{"srv/lib/slf4j-api.jar"}; !slices.Equal(paths["org.slf4j/slf4j-api"], want) {
		t.Errorf("paths of the jar: %q, want %q", paths["org.slf4j/slf4j-api"], want)
	}
	if want := "var/lib/dpkg/info/libssl3:amd64.md5sums"; !slices.Contains(paths["libssl3"], want) {
		t.Errorf("paths of libssl3: %q, want %q among them", paths["libssl3"], want)
	}
}

// TestSameBytes makes every document twice: on one processor and on several, from trees walked in different orders.
func TestSameBytes(t *testing.T) {
	layers := fixture(t)
	render := func(procs int, shuffle bool) map[Format][]byte {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
		tree := newTree(layers)
		if shuffle {
			rand.Shuffle(len(tree.nodes), func(i, j int) { tree.nodes[i], tree.nodes[j] = tree.nodes[j], tree.nodes[i] })
		}
		d := generateFixture(t, layers, tree)
		out := map[Format][]byte{}
		for _, f := range Formats() {
			var b bytes.Buffer
			if err := d.Encode(&b, f); err != nil {
				t.Fatal(err)
			}
			out[f] = b.Bytes()
		}
		return out
	}
	first := render(1, false)
	for round := range 4 {
		again := render(4, round > 0)
		for _, f := range Formats() {
			if !bytes.Equal(first[f], again[f]) {
				t.Fatalf("%s differs in round %d:\n%s", f, round, cmp.Diff(string(first[f]), string(again[f])))
			}
		}
	}
}

func TestGenerateErrors(t *testing.T) {
	layers := [][]member{{{path: "etc/motd", content: "hi"}}}
	img := describe(t, layers)
	if _, err := generator().Generate(t.Context(), Image{}, newTree(layers), created); err == nil {
		t.Error("an image without layers made a document")
	}
	if _, err := generator().Generate(t.Context(), img, newTree([][]member{nil, layers[0]}), created); err == nil ||
		!strings.Contains(err.Error(), "is in layer 1 of an image of 1 layers") {
		t.Errorf("a tree with a layer too many: %v", err)
	}
	if _, err := generator().Generate(t.Context(), img, brokenTree{}, created); !errors.Is(err, errBroken) {
		t.Errorf("a tree that cannot be walked: %v", err)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := generator().Generate(canceled, img, newTree(layers), created); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	d, err := generator().Generate(t.Context(), img, newTree(layers), created)
	if err != nil || len(d.Packages) != 0 {
		t.Errorf("an image without packages: %v, %v", d, err)
	}
}

// TestTreeFails wants no document of a tree that cannot be read, rather than one that lacks packages.
func TestTreeFails(t *testing.T) {
	layers := fixture(t)
	for _, p := range []string{"var/lib/dpkg/status", "usr/share/doc/zlib1g/copyright", "usr/bin/hello", "srv/lib/slf4j-api.jar"} {
		for _, when := range []string{"open", "read"} {
			tree := failingTree{newTree(layers), p, when == "open"}
			d, err := generator().Generate(t.Context(), describe(t, layers), tree, created)
			if !errors.Is(err, errBroken) || !strings.Contains(err.Error(), p) || d != nil {
				t.Errorf("%s fails to %s: error %v", p, when, err)
			}
		}
	}
}

// TestHuge wants files that would be read into memory whole to be left alone beyond a size.
func TestHuge(t *testing.T) {
	layers := [][]member{{
		{path: "srv/a/package.json", content: `{"name":"a","version":"1"}`},
		{path: "srv/b/package.json", content: `{"name":"b","version":"1"}`},
	}}
	tree := newTree(layers)
	for i := range tree.nodes {
		if tree.nodes[i].Path == "srv/b/package.json" {
			tree.nodes[i].Size = maxText + 1
		}
	}
	d := generateFixture(t, layers, tree)
	if want := []string{"npm | a |  | 1 | pkg:npm/a@1 | 0"}; !slices.Equal(lines(d), want) {
		t.Errorf("packages %q, want %q", lines(d), want)
	}
	if Wants("srv/b/package.json", 0o644, maxText+1, nil) || !Wants("a.jar", 0o644, maxText+1, nil) {
		t.Error("Wants disagrees about what is read at any size")
	}
}

type failingTree struct {
	*memoryTree
	path string
	open bool
}

func (t failingTree) Open(p string) (File, error) {
	f, err := t.memoryTree.Open(p)
	if err != nil || p != t.path {
		return f, err
	}
	if t.open {
		return nil, errBroken
	}
	return failingFile{f}, nil
}

type failingFile struct{ File }

func (failingFile) Read([]byte) (int, error)          { return 0, errBroken }
func (failingFile) ReadAt([]byte, int64) (int, error) { return 0, errBroken }

var errBroken = errors.New("broken")

type brokenTree struct{}

func (brokenTree) Walk(func(Node) error) error   { return errBroken }
func (brokenTree) Open(string) (File, error)     { return nil, errBroken }
func (brokenTree) OpenKept(string) (File, error) { return nil, errBroken }

func TestDescribeSource(t *testing.T) {
	hash := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("0a", 32)}
	for _, c := range []struct{ ref, name, version string }{
		{"registry.example/app:1", "registry.example/app", "1"},
		{"app", "app", hash.String()},
		{"registry.example/app@" + hash.String(), "registry.example/app", hash.String()},
		{"oci:dir:latest", "oci:dir:latest", hash.String()},
		{"oci:/some/dir", "oci:/some/dir", hash.String()},
	} {
		got := describeSource(&Image{Ref: c.ref, Digest: hash})
		if got.Name != c.name || got.Version != c.version || got.ID != hash.Hex {
			t.Errorf("%s is %q in version %q, id %s; want %q, %q", c.ref, got.Name, got.Version, got.ID, c.name, c.version)
		}
	}
	if got := describeSource(&Image{Ref: "app"}); got.ID != "" || got.Version != "" {
		t.Errorf("an image of no digest has the id %q and version %q", got.ID, got.Version)
	}
}
