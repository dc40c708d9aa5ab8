package rebuild

import (
	"slices"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/plan"
)

func TestLargestFirst(t *testing.T) {
	sizes := []int64{3, 70, 3, 120, 70}
	layers := make([]plan.Layer, len(sizes))
	for i, size := range sizes {
		layers[i].Size = size
	}
	if got := largestFirst(layers); !slices.Equal(got, []int{3, 1, 4, 0, 2}) {
		t.Errorf("%v", got)
	}
	if got := largestFirst(nil); len(got) != 0 {
		t.Errorf("%v of none", got)
	}
}
