package diff

import (
	"cmp"
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/sbom"
)

// group is what two sides have of one type, name and architecture.
type group struct{ left, right []sbom.Package }

type groupKey struct{ typ, name, arch string }

// groups splits both sides by type, name and architecture, in that order.
func groups(left, right []sbom.Package) []group {
	byKey := map[groupKey]*group{}
	var keys []groupKey
	at := func(p sbom.Package) *group {
		k := groupKey{p.Type, p.Name, p.Arch}
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

// matcher collects the pairs of packages that are one package in two versions.
type matcher struct {
	versions Versions
	pairs    [][2]sbom.Package
}

// match pairs the packages of one group and returns what stays unpaired, and how many are the same on both sides.
func (m *matcher) match(left, right []sbom.Package) (restLeft, restRight []sbom.Package, same int) {
	slices.SortFunc(left, sbom.Compare)
	slices.SortFunc(right, sbom.Compare)
	// Of equal versions those at the same place first, so that what is left of the others is at places that changed.
	atPlace := func(p sbom.Package) string { return p.Version + "\x00" + strings.Join(p.Paths, "\x00") }
	before := len(left)
	left, right = cancel(left, right, atPlace)
	left, right = cancel(left, right, func(p sbom.Package) string { return p.Version })
	same = before - len(left)

	left, right = m.pairByPlace(left, right)
	left, right = m.pairByVersion(left, right)
	return left, right, same
}

// cancel drops equal packages, one from the left for one from the right.
func cancel(left, right []sbom.Package, key func(sbom.Package) string) (restLeft, restRight []sbom.Package) {
	count := map[string]int{}
	for _, p := range right {
		count[key(p)]++
	}
	gone := map[string]int{}
	for _, p := range left {
		if k := key(p); gone[k] < count[k] {
			gone[k]++
		}
	}
	drop := func(list []sbom.Package) (rest []sbom.Package) {
		dropped := map[string]int{}
		for _, p := range list {
			if k := key(p); dropped[k] < gone[k] {
				dropped[k]++
			} else {
				rest = append(rest, p)
			}
		}
		return rest
	}
	return drop(left), drop(right)
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

// acrossArchitectures pairs a package that changed its architecture along with its version ("all" to "amd64"): the only
// one of its type and name that is left on either side.
func (m *matcher) acrossArchitectures(left, right []sbom.Package) (restLeft, restRight []sbom.Package) {
	key := func(p sbom.Package) groupKey { return groupKey{typ: p.Type, name: p.Name} }
	byName := map[groupKey]*group{}
	at := func(p sbom.Package) *group {
		if byName[key(p)] == nil {
			byName[key(p)] = &group{}
		}
		return byName[key(p)]
	}
	for _, p := range left {
		g := at(p)
		g.left = append(g.left, p)
	}
	for _, p := range right {
		g := at(p)
		g.right = append(g.right, p)
	}
	lone := func(p sbom.Package) bool { return len(at(p).left) == 1 && len(at(p).right) == 1 }
	for _, p := range left {
		if lone(p) {
			m.pairs = append(m.pairs, [2]sbom.Package{p, at(p).right[0]})
		} else {
			restLeft = append(restLeft, p)
		}
	}
	for _, p := range right {
		if !lone(p) {
			restRight = append(restRight, p)
		}
	}
	return restLeft, restRight
}
