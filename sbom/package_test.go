package sbom

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestCompareIsTotal draws packages that differ in one field only and wants an order that is the same from any start.
func TestCompareIsTotal(t *testing.T) {
	word := rapid.SampledFrom([]string{"", "a", "b"})
	one := rapid.Custom(func(t *rapid.T) Package {
		p := Package{
			Type: word.Draw(t, "type"), Name: word.Draw(t, "name"), Arch: word.Draw(t, "arch"), Version: word.Draw(t, "version"),
			PURL: word.Draw(t, "purl"), Paths: rapid.SliceOfN(word, 0, 2).Draw(t, "paths"), Licenses: rapid.SliceOfN(word, 0, 2).Draw(t, "licenses"),
		}
		if i := rapid.IntRange(-1, 1).Draw(t, "layer"); i >= 0 {
			p.Layer = &Layer{Index: i}
		}
		return p
	})
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOf(one).Draw(t, "packages")
		again := rapid.Permutation(list).Draw(t, "again")
		slices.SortFunc(list, Compare)
		slices.SortFunc(again, Compare)
		for i := range list {
			if Compare(list[i], again[i]) != 0 {
				t.Fatalf("place %d: %+v and %+v", i, list[i], again[i])
			}
		}
	})
}
