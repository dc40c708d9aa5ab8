package diff

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/nanopatch/nanopatch/sbom"
)

// packages draws lists with many collisions of name, version and place.
func packages() *rapid.Generator[[]sbom.Package] {
	one := rapid.Custom(func(t *rapid.T) sbom.Package {
		p := sbom.Package{
			Type:    rapid.SampledFrom([]string{"deb", "npm", "odd", ""}).Draw(t, "type"),
			Name:    rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name"),
			Arch:    rapid.SampledFrom([]string{"", "amd64"}).Draw(t, "arch"),
			Version: fmt.Sprintf("%d.%d", rapid.IntRange(1, 3).Draw(t, "major"), rapid.IntRange(0, 11).Draw(t, "minor")),
		}
		if rapid.Bool().Draw(t, "has a place") {
			p.Paths = []string{rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "place")}
		}
		if i := rapid.IntRange(-1, 2).Draw(t, "layer"); i >= 0 {
			p.Layer = &sbom.Layer{Index: i, DiffID: rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "diffID"), CreatedBy: rapid.SampledFrom([]string{"", "RUN"}).Draw(t, "created by")}
		}
		p.Licenses = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"MIT", "LicenseRef-MIT", "GPL-2"}), 0, 2, rapid.ID).Draw(t, "licenses")
		return p
	})
	return rapid.SliceOfN(one, 0, 12)
}

// reverse turns a diff round.
func reverse(d *Diff) *Diff {
	out := &Diff{Added: d.Removed, Removed: d.Added, Unchanged: d.Unchanged}
	for _, c := range d.Changed {
		c.From, c.To = c.To, c.From
		if c.Direction != "" {
			c.Direction = map[Direction]Direction{Upgrade: Downgrade, Downgrade: Upgrade}[c.Direction]
		}
		if c.FromArch != "" {
			c.FromArch, c.Arch = c.Arch, c.FromArch
		}
		if c.FromLayer != nil {
			c.FromLayer, c.Layer = c.Layer, c.FromLayer
		}
		if c.Licenses != nil {
			c.Licenses = &Licenses{From: c.Licenses.To, To: c.Licenses.From}
		}
		out.Changed = append(out.Changed, c)
	}
	for _, m := range d.Moved {
		m.FromLayer, m.Layer = m.Layer, m.FromLayer
		out.Moved = append(out.Moved, m)
	}
	for _, r := range d.Relicensed {
		r.From, r.To = r.To, r.From
		out.Relicensed = append(out.Relicensed, r)
	}
	out.sort()
	return out
}

func sorted(lines []string) []string {
	slices.Sort(lines)
	return lines
}

func TestSameIsEmpty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := packages().Draw(t, "packages")
		shuffled := rapid.Permutation(list).Draw(t, "shuffled")
		d := Compare(Side{Packages: list}, Side{Packages: shuffled}, dotted{})
		if !d.Empty() || d.Unchanged != len(list) {
			t.Fatalf("a list differs from itself: %q", show(d))
		}
	})
}

func TestReversed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := Side{Packages: packages().Draw(t, "a")}, Side{Packages: packages().Draw(t, "b")}
		forth, back := Compare(a, b, dotted{}), Compare(b, a, dotted{})
		if diff := cmp.Diff(sorted(show(reverse(forth))), sorted(show(back))); diff != "" {
			t.Fatalf("there and back (-reversed +back):\n%s", diff)
		}
	})
}

// TestNothingLost counts both sides in the diff.
func TestNothingLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := packages().Draw(t, "a"), packages().Draw(t, "b")
		d := Compare(Side{Packages: a}, Side{Packages: b}, dotted{})
		if n := d.Unchanged + len(d.Changed) + len(d.Removed); n != len(a) {
			t.Fatalf("%d of %d old packages: %q", n, len(a), show(d))
		}
		if n := d.Unchanged + len(d.Changed) + len(d.Added); n != len(b) {
			t.Fatalf("%d of %d new packages: %q", n, len(b), show(d))
		}
	})
}

// TestAlign holds the table against trying everything.
func TestAlign(t *testing.T) {
	version := rapid.SampledFrom([]string{"1.0", "1.1", "2.0", "2.0.1", "3"})
	rapid.Check(t, func(t *rapid.T) {
		short, long := rapid.SliceOfN(version, 0, 4).Draw(t, "short"), rapid.SliceOfN(version, 4, 7).Draw(t, "long")
		got := align(short, long)
		if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(short) {
			t.Fatalf("partners %v", got)
		}
		total := 0
		for i, j := range got {
			total += likeness(short[i], long[j])
		}
		if want := bestLikeness(short, long); total != want {
			t.Fatalf("partners %v of %q in %q have likeness %d, want %d", got, short, long, total, want)
		}
	})
}

func bestLikeness(short, long []string) int {
	if len(short) == 0 {
		return 0
	}
	best := -1
	for j := 0; j+len(short) <= len(long); j++ {
		if n := bestLikeness(short[1:], long[j+1:]); n >= 0 {
			best = max(best, n+likeness(short[0], long[j]))
		}
	}
	return best
}
