//go:build e2e

package generate

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	realimage "github.com/nanopatch/nanopatch/testdata/fixture"
)

// TestSameAsStockDebian does what TestSameAsStock does with an image of real packages, without the stock command: `make
// sbom-oracle`, which has it, is too long for each change.
func TestSameAsStockDebian(t *testing.T) {
	img, err := realimage.Debian(t.Context(), t.TempDir(), realimage.DebianOptions{})
	if err != nil {
		t.Fatal(err)
	}
	all, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	var layers [][]member
	for _, l := range all {
		r, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		// The tree of these tests knows no whiteouts; neither side sees them.
		members := slices.DeleteFunc(readTar(t, r), func(m member) bool { return strings.HasPrefix(path.Base(m.path), ".wh.") })
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		layers = append(layers, members)
	}
	d, err := generator().Generate(t.Context(), describe(t, layers), newTree(layers), created)
	if err != nil {
		t.Fatal(err)
	}
	want := describeAll(stock(t, newImage(t, layers), Squashed))
	if len(want) < 100 {
		t.Fatalf("%d packages: the test shows nothing", len(want))
	}
	if diff := cmp.Diff(want, describeAll(d.sbom)); diff != "" {
		t.Errorf("packages (-stock +ours):\n%.5000s", diff)
	}
	t.Logf("%d packages, the same as stock syft's", len(want))
}
