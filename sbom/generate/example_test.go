package generate_test

import (
	"archive/tar"
	"context"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/sbom"
	"github.com/nanopatch/nanopatch/sbom/generate"
)

// files is a Tree of one layer: contents by path.
type files map[string]string

func (t files) Walk(f func(generate.Node) error) error {
	for p, content := range t {
		if err := f(generate.Node{Path: p, Type: tar.TypeReg, Mode: 0o644, Size: int64(len(content))}); err != nil {
			return err
		}
	}
	return nil
}

func (t files) Open(p string) (generate.File, error) {
	content, ok := t[p]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return file{strings.NewReader(content)}, nil
}

func (t files) OpenKept(p string) (generate.File, error) { return t.Open(p) }

type file struct{ *strings.Reader }

func (file) Close() error { return nil }

func ExampleGenerator() {
	ctx := context.Background()
	tree := files{
		"usr/lib/os-release": "ID=debian\nVERSION_ID=12\n",
		"var/lib/dpkg/status": "Package: libssl3\nStatus: install ok installed\nArchitecture: amd64\n" +
			"Source: openssl\nVersion: 3.0.13-1~deb12u1\n",
	}
	img := generate.Image{ // generate.Describe makes one of a v1.Image
		Ref: "registry.example/app:1", Platform: v1.Platform{OS: "linux", Architecture: "amd64"},
		Layers: []generate.Layer{{Layer: sbom.Layer{DiffID: "sha256:0123"}}},
	}

	g := generate.New(generate.Options{ToolVersion: "1.0.0"})
	document, err := g.Generate(ctx, img, tree, time.Unix(0, 0))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	for _, p := range document.Packages {
		fmt.Println(p.PURL, "in layer", p.Layer.Index)
	}
	// Output: pkg:deb/debian/libssl3@3.0.13-1~deb12u1?arch=amd64&distro=debian-12&upstream=openssl in layer 0
}

func ExampleRead() {
	const cyclonedx = `{"bomFormat": "CycloneDX", "specVersion": "1.5", "components": [
		{"type": "library", "name": "requests", "version": "2.31.0", "purl": "pkg:pypi/requests@2.31.0"}]}`
	document, err := generate.Read(strings.NewReader(cyclonedx), "bom.json")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	for _, p := range document.Packages {
		fmt.Println(p.Type, p.Name, p.Version)
	}

	_, err = generate.Read(strings.NewReader(`{"bomFormat": "CycloneDX", "specVersion": "7.0"}`), "bom.json")
	fmt.Println(err)
	// Output:
	// pypi requests 2.31.0
	// reading bom.json: CycloneDX JSON version "7.0" cannot be read, only 1.2, 1.3, 1.4, 1.5, 1.6, 1.7
}
