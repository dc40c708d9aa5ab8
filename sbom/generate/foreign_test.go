package generate

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// TestForeign takes a document of our own for what Generate would make, in every format, and none that differs in its
// makers, its image or its layers.
func TestForeign(t *testing.T) {
	layers := fixture(t)
	img := describe(t, layers)
	d := generateFixture(t, layers, newTree(layers))
	g := generator()
	read := func(content []byte) *Document {
		t.Helper()
		back, err := Read(bytes.NewReader(content), "x")
		if err != nil {
			t.Fatal(err)
		}
		return back
	}
	for _, f := range Formats() {
		content := encode(t, d, f)
		if why := g.Foreign(read(content), &img); why != "" {
			t.Errorf("%s: %s", f, why)
		}
		other := New(Options{ToolVersion: "99.0.0"})
		if why := other.Foreign(read(content), &img); !strings.Contains(why, "not by nanopatch-99.0.0") {
			t.Errorf("%s, another version: %q", f, why)
		}
		newer := bytes.ReplaceAll(content, []byte(syftVersion()), []byte("v0.1.2"))
		if why := g.Foreign(read(newer), &img); !strings.Contains(why, "not by syft-") {
			t.Errorf("%s, another library: %q", f, why)
		}
		elsewhere := img
		elsewhere.Digest.Hex = strings.Repeat("0", 64)
		if why := g.Foreign(read(content), &elsewhere); why != "it is of another image" {
			t.Errorf("%s, another image: %q", f, why)
		}
		relaid := img
		relaid.Layers = slices.Clone(img.Layers)
		relaid.Layers[1].DiffID = relaid.Layers[0].DiffID
		if why := g.Foreign(read(content), &relaid); why != "it is of other layers" {
			t.Errorf("%s, other layers: %q", f, why)
		}
	}
	if why := g.Foreign(read([]byte(`{"bomFormat":"CycloneDX","specVersion":"1.6"}`)), &img); why != "it does not say what made it" {
		t.Errorf("a document of nobody: %q", why)
	}
}
