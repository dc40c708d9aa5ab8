package render

import (
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/sbom"
	"github.com/nanopatch/nanopatch/sbom/report/page"
)

// diffBars draws the layers of the new side, and behind them those that only the old side has. A layer of both is kept; one
// that an instruction of the old side made anew at its place is rewritten. None is drawn where a side does not know its layers
// or their sizes: another tool's SBOM does not.
func diffBars(older, newer []sbom.Layer) []page.Layer {
	if len(older) == 0 || len(newer) == 0 {
		return nil
	}
	largest := int64(0)
	for _, l := range slices.Concat(older, newer) {
		if l.Size == 0 {
			return nil
		}
		largest = max(largest, l.Size)
	}
	bar := func(l sbom.Layer, state string) page.Layer {
		return page.Layer{
			Index: l.Index, Changed: state != "kept", State: state, Share: 100 * float64(l.Size) / float64(largest), Size: Size(l.Size),
			Digest: shortDigest(l.Digest), CreatedBy: l.CreatedBy,
		}
	}
	used := make([]bool, len(older))
	take := func(same func(o sbom.Layer) bool) (sbom.Layer, bool) {
		for i, o := range older {
			if !used[i] && same(o) {
				used[i] = true
				return o, true
			}
		}
		return sbom.Layer{}, false
	}
	bars := make([]page.Layer, len(newer))
	for i, l := range newer {
		if _, ok := take(func(o sbom.Layer) bool { return o.DiffID == l.DiffID }); ok {
			bars[i] = bar(l, "kept")
		}
	}
	for i, l := range newer {
		if bars[i].State != "" {
			continue
		}
		old, ok := take(func(o sbom.Layer) bool { return o.Index == l.Index && o.CreatedBy == l.CreatedBy })
		if !ok {
			bars[i] = bar(l, "added")
			continue
		}
		bars[i] = bar(l, "rewritten")
		bars[i].Size = Size(old.Size) + " → " + Size(l.Size)
		bars[i].Digest = shortDigest(old.Digest) + " → " + shortDigest(l.Digest)
	}
	for i, l := range older {
		if !used[i] {
			bars = append(bars, bar(l, "removed"))
		}
	}
	return bars
}

// shortDigest is as much of a digest as tells layers apart.
func shortDigest(digest string) string {
	algorithm, hex, _ := strings.Cut(digest, ":")
	return algorithm + ":" + short(hex)
}
