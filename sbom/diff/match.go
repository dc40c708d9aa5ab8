package diff

import (
	"cmp"
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/sbom"
)

// group is what two sides have of one key.
type group struct{ left, right []sbom.Package }

type groupKey struct{ typ, name, arch string }

// The keys by which packages are matched, one after the other: a document need not know the architecture, or the type.
func exactly(p sbom.Package) groupKey         { return groupKey{p.Type, p.Name, p.Arch} }
func anyArchitecture(p sbom.Package) groupKey { return groupKey{typ: p.Type, name: p.Name} }
func anyType(p sbom.Package) groupKey         { return groupKey{name: p.Name} }

// groups splits both sides by a key, in the order of type, name and architecture.
func groups(left, right []sbom.Package, key func(sbom.Package) groupKey) []group {
	byKey := map[groupKey]*group{}
	var keys []groupKey
	at := func(p sbom.Package) *group {
		k := key(p)
		if byKey[k] == nil {
			byKey[k] = &group{}
			keys = append(keys, k)
		}
		return byKey[k]
	}
	for _, p := range left {
		g := at(p)
		g.left = append(g.left, p)
	}
	for _, p := range right {
		g := at(p)
		g.right = append(g.right, p)
	}
	slices.SortFunc(keys, func(a, b groupKey) int {
		return cmp.Or(cmp.Compare(a.typ, b.typ), cmp.Compare(a.name, b.name), cmp.Compare(a.arch, b.arch))
	})
	out := make([]group, len(keys))
	for i, k := range keys {
		out[i] = *byKey[k]
	}
	return out
}

// matcher collects the pairs of packages that are one package: in two versions, or in the same.
type matcher struct {
	versions    Versions
	pairs, same [][2]sbom.Package
}

// match pairs the packages of one group and returns what stays unpaired.
func (m *matcher) match(left, right []sbom.Package) (restLeft, restRight []sbom.Package) {
	slices.SortFunc(left, sbom.Compare)
	slices.SortFunc(right, sbom.Compare)
	// Of equal versions those that are alike in more first, so that what is left of the others is what changed.
	for _, key := range []func(sbom.Package) string{
		func(p sbom.Package) string {
			return p.Version + "\x00" + layerID(p) + "\x00" + strings.Join(p.Paths, "\x00")
		},
		func(p sbom.Package) string { return p.Version + "\x00" + strings.Join(p.Paths, "\x00") },
		func(p sbom.Package) string { return p.Version + "\x00" + layerID(p) },
		func(p sbom.Package) string { return p.Version },
	} {
		left, right = m.cancel(left, right, key)
	}
	left, right = m.pairByPlace(left, right)
	return m.pairByVersion(left, right)
}

// cancel takes equal packages out, one from the left for one from the right, in the order of the lists.
func (m *matcher) cancel(left, right []sbom.Package, key func(sbom.Package) string) (restLeft, restRight []sbom.Package) {
	waiting := map[string][]int{}
	for i, p := range right {
		waiting[key(p)] = append(waiting[key(p)], i)
	}
	taken := make([]bool, len(right))
	for _, p := range left {
		k := key(p)
		if len(waiting[k]) == 0 {
			restLeft = append(restLeft, p)
			continue
		}
		i := waiting[k][0]
		waiting[k], taken[i] = waiting[k][1:], true
		m.same = append(m.same, [2]sbom.Package{p, right[i]})
	}
	for i, p := range right {
		if !taken[i] {
			restRight = append(restRight, p)
		}
	}
	return restLeft, restRight
}

// pairByPlace pairs packages that were found at the very same paths, where only one of each side was.
func (m *matcher) pairByPlace(left, right []sbom.Package) (restLeft, restRight []sbom.Package) {
	place := func(p sbom.Package) string { return strings.Join(p.Paths, "\x00") }
	find := func(list []sbom.Package) map[string][]int {
		byPlace := map[string][]int{}
		for i, p := range list {
			if len(p.Paths) > 0 {
				byPlace[place(p)] = append(byPlace[place(p)], i)
			}
		}
		return byPlace
	}
	onLeft, onRight := find(left), find(right)
	taken := map[int]bool{}
	for i, p := range left {
		l, r := onLeft[place(p)], onRight[place(p)]
		if len(l) == 1 && len(r) == 1 {
			m.pairs = append(m.pairs, [2]sbom.Package{p, right[r[0]]})
			taken[r[0]] = true
		} else {
			restLeft = append(restLeft, left[i])
		}
	}
	for i, p := range right {
		if !taken[i] {
			restRight = append(restRight, p)
		}
	}
	return restLeft, restRight
}

// pairByVersion pairs each package of the shorter side with one of the longer, in the order of versions.
func (m *matcher) pairByVersion(left, right []sbom.Package) (restLeft, restRight []sbom.Package) {
	if len(left) == 0 || len(right) == 0 {
		return left, right
	}
	m.order(left, right)
	if len(left) <= len(right) {
		partner := align(versionsOf(left), versionsOf(right))
		for i, j := range partner {
			m.pairs = append(m.pairs, [2]sbom.Package{left[i], right[j]})
		}
		return nil, without(right, partner)
	}
	partner := align(versionsOf(right), versionsOf(left))
	for i, j := range partner {
		m.pairs = append(m.pairs, [2]sbom.Package{left[j], right[i]})
	}
	return without(left, partner), nil
}

// order sorts both lists by version. Where the order of any two is not known, it is that of strings for all.
func (m *matcher) order(left, right []sbom.Package) {
	compare := sbom.Compare
	if m.versions != nil {
		known := true
		byVersion := func(a, b sbom.Package) int {
			n, err := m.versions.Compare(a.Type, a.Version, b.Version)
			if err != nil {
				known = false
			}
			return cmp.Or(n, sbom.Compare(a, b))
		}
		slices.SortFunc(slices.Concat(left, right), byVersion)
		if known {
			compare = byVersion
		}
	}
	slices.SortFunc(left, compare)
	slices.SortFunc(right, compare)
}

func versionsOf(packages []sbom.Package) []string {
	out := make([]string, len(packages))
	for i, p := range packages {
		out[i] = p.Version
	}
	return out
}

func without(list []sbom.Package, indices []int) []sbom.Package {
	var rest []sbom.Package
	for i, p := range list {
		if !slices.Contains(indices, i) {
			rest = append(rest, p)
		}
	}
	return rest
}

// loosely pairs what is left by a key that says less, where that leaves no doubt: a package of which one side does not know
// all that the other does with one of the same version; else two versions, if they are the only ones left of the key.
func (m *matcher) loosely(left, right []sbom.Package, key func(sbom.Package) groupKey) (restLeft, restRight []sbom.Package) {
	for _, g := range groups(left, right, key) {
		slices.SortFunc(g.left, sbom.Compare)
		slices.SortFunc(g.right, sbom.Compare)
		g.left, g.right = m.cancelVague(g.left, g.right)
		if len(g.left) == 1 && len(g.right) == 1 && kindred(g.left[0], g.right[0]) {
			m.pairs = append(m.pairs, [2]sbom.Package{g.left[0], g.right[0]})
			continue
		}
		restLeft, restRight = append(restLeft, g.left...), append(restRight, g.right...)
	}
	return restLeft, restRight
}

// cancelVague takes out packages of one version, where that version is the only one of its kind on either side and one side
// does not know all that the other does.
func (m *matcher) cancelVague(left, right []sbom.Package) (restLeft, restRight []sbom.Package) {
	for _, g := range groups(left, right, func(p sbom.Package) groupKey { return groupKey{name: p.Version} }) {
		if len(g.left) == 1 && len(g.right) == 1 && vague(g.left[0], g.right[0]) {
			m.same = append(m.same, [2]sbom.Package{g.left[0], g.right[0]})
			continue
		}
		restLeft, restRight = append(restLeft, g.left...), append(restRight, g.right...)
	}
	return restLeft, restRight
}

// kindred tells whether two packages of one name may be one: their types are the same, or one of them is not known.
func kindred(a, b sbom.Package) bool { return a.Type == b.Type || a.Type == "" || b.Type == "" }

// vague tells whether one of two kindred packages lacks a type or an architecture that the other has.
func vague(a, b sbom.Package) bool {
	return kindred(a, b) && (a.Arch == b.Arch || a.Arch == "" || b.Arch == "")
}

// knownType and knownArch are those of a pair: the new side's where it has one.
func knownType(from, to sbom.Package) string { return cmp.Or(to.Type, from.Type) }
func knownArch(from, to sbom.Package) string { return cmp.Or(to.Arch, from.Arch) }
