package generate

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	stereoscope "github.com/anchore/stereoscope/pkg/file"
	"github.com/anchore/stereoscope/pkg/image"
	"github.com/anchore/syft/syft"
	"github.com/anchore/syft/syft/cataloging"
	syftsbom "github.com/anchore/syft/syft/sbom"
	"github.com/anchore/syft/syft/source"
	"github.com/anchore/syft/syft/source/stereoscopesource"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// stock catalogs an image as the syft CLI does: its own source, its default configuration.
func stock(t *testing.T, img v1.Image, scope Scope) *syftsbom.SBOM {
	t.Helper()
	temp := stereoscope.NewTempDirGenerator("stock")
	dir, err := temp.NewDirectory("layers")
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := img.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	read := image.New(img, temp, dir, image.WithManifest(manifest))
	if err := read.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	src := stereoscopesource.New(read, stereoscopesource.ImageConfig{Reference: "registry.example/app:1"})
	defer src.Close()
	scanner, err := stockScanner()
	if err != nil {
		t.Fatal(err)
	}
	config := syft.DefaultCreateSBOMConfig()
	s, err := syft.CreateSBOM(scanner, src, config.WithSearchConfig(config.Search.WithScope(source.Scope(scope))))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// stockScanner is a context with the scanner that CreateSBOM would build for every image.
var stockScanner = sync.OnceValues(func() (context.Context, error) {
	return syft.SetContextLicenseScanner(context.Background(), cataloging.DefaultLicenseConfig())
})

// describeAll renders all that identifies a package, and where and how it was found.
func describeAll(s *syftsbom.SBOM) []string {
	var out []string
	for _, p := range s.Artifacts.Packages.Sorted() {
		var locations []string
		for _, l := range p.Locations.ToSlice() {
			locations = append(locations, fmt.Sprintf("%s (as %s) in %s %v", l.RealPath, l.AccessPath, l.FileSystemID, l.Annotations))
		}
		var cpes []string
		for _, c := range p.CPEs {
			cpes = append(cpes, c.Attributes.String())
		}
		out = append(out, fmt.Sprintf("%s %s %s %s %s\n licenses %q\n cpes %q\n found by %s at\n  %s", p.ID(), p.Type, p.Name, p.Version,
			p.PURL, licenses(p), cpes, p.FoundBy, strings.Join(locations, "\n  ")))
	}
	slices.SortFunc(out, cmp.Compare[string])
	return out
}

// TestSameAsStock holds a document against what stock syft finds in the same image: ids, package URLs, licenses,
// evidence with its layers, all of it.
func TestSameAsStock(t *testing.T) {
	layers := fixture(t)
	d := generateFixture(t, layers, newTree(layers))
	want := stock(t, newImage(t, layers), Squashed)
	if diff := gocmp.Diff(describeAll(want), describeAll(d.sbom)); diff != "" {
		t.Errorf("packages (-stock +ours):\n%s", diff)
	}
	// Stock counts sizes uncompressed, and has tags and digests from the registry.
	ignore := cmpopts.IgnoreFields(source.ImageMetadata{}, "Size", "Tags", "RepoDigests")
	if diff := gocmp.Diff(want.Source, d.sbom.Source, ignore, cmpopts.IgnoreFields(source.LayerMetadata{}, "Size")); diff != "" {
		t.Errorf("source (-stock +ours):\n%s", diff)
	}
	if diff := gocmp.Diff(want.Artifacts.LinuxDistribution, d.sbom.Artifacts.LinuxDistribution); diff != "" {
		t.Errorf("distribution (-stock +ours):\n%s", diff)
	}
}

// TestAllLayersSameAsStock does the same in the scope of all layers: the version below an upgrade is there, and what a whiteout
// hides.
func TestAllLayersSameAsStock(t *testing.T) {
	layers := append(fixture(t), []member{
		{path: "srv/.wh.node_modules", content: ""},
		{path: "opt/venv/lib/python3.11/.wh..wh..opq", content: ""},
		{path: "opt/venv/lib/python3.11/site-packages/idna-3.7.dist-info/METADATA", content: "Metadata-Version: 2.1\nName: idna\nVersion: 3.7\n"},
	})
	d, err := generator().GenerateAllLayers(t.Context(), describe(t, layers), newLayeredTree(layers), created)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(describeAll(stock(t, newImage(t, layers), AllLayers)), describeAll(d.sbom)); diff != "" {
		t.Errorf("packages (-stock +ours):\n%s", diff)
	}
	homes := map[string]int{}
	for _, p := range d.Packages {
		homes[p.Name+" "+p.Version] = p.Layer.Index
	}
	for name, layer := range map[string]int{
		"libssl3 3.0.11-1~deb12u2": 0, "libssl3 3.0.13-1~deb12u1": 1, "zlib1g 1:1.2.13.dfsg-1": 0, "lodash 4.17.21": 2, "requests 2.31.0": 2, "idna 3.7": 3,
	} {
		if got, ok := homes[name]; !ok || got != layer {
			t.Errorf("%s is in layer %d (listed: %t), want %d", name, got, ok, layer)
		}
	}
}

// TestResolverSameAsStock asks both resolvers the same questions about a tree of links.
func TestResolverSameAsStock(t *testing.T) {
	layers := [][]member{{
		{path: "bin", content: "-> usr/bin"},
		{path: "usr/bin/tool", content: "#!/bin/sh"},
		{path: "usr/bin/alias", content: "-> tool"},
		{path: "usr/bin/dead", content: "-> nothing"},
		{path: "usr/bin/loop", content: "-> loop"},
		{path: "usr/lib/a.so.1", content: "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9) + "\x03\x00\x3e\x00" + strings.Repeat("\x00", 44)},
		{path: "usr/lib/a.so", content: "-> a.so.1"},
		{path: "var/lib/db/one.list", content: "1"},
		{path: "var/lib/db/one.sums", content: "2"},
		{path: "var/lib/db/two.list", content: "-> one.list"},
		{path: "var/lib/db/dir.list/x", content: "3"},
	}, {
		{path: "usr/bin/tool", content: "#!/bin/bash"},
		{path: "opt/data", content: "-> ../var/lib/db"},
		{path: "opt/again", content: "=> usr/bin/tool"},
	}}
	// The second layer names a file of its own layer only: a hard link across layers is not valid.
	layers[1] = slices.Insert(layers[1], 0, member{path: "opt/first", content: "hard"})
	layers[1][3].content = "=> opt/first"

	img := newImage(t, layers)
	temp := stereoscope.NewTempDirGenerator("stock")
	t.Cleanup(func() { temp.Cleanup() })
	dir, err := temp.NewDirectory("layers")
	if err != nil {
		t.Fatal(err)
	}
	read := image.New(img, temp, dir)
	if err := read.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	src := stereoscopesource.New(read, stereoscopesource.ImageConfig{})
	described := describe(t, layers)
	t.Run("squashed", func(t *testing.T) {
		theirs, err := src.FileResolver(source.SquashedScope)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := newResolver(t.Context(), newTree(layers), described.diffIDs())
		if err != nil {
			t.Fatal(err)
		}
		compareResolvers(t, theirs, ours)
	})
	t.Run("all layers", func(t *testing.T) {
		theirs, err := src.FileResolver(source.AllLayersScope)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := newLayersResolver(t.Context(), newLayeredTree(layers), described.diffIDs())
		if err != nil {
			t.Fatal(err)
		}
		compareResolvers(t, theirs, ours)
	})
}
