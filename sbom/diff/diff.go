package diff

import (
	"cmp"
	"slices"

	"github.com/nanopatch/nanopatch/sbom"
)

// The apiVersion and kind of a Diff's JSON.
const (
	APIVersion = "nanopatch/v1"
	Kind       = "Diff"
)

// Diff is the difference between two images' packages, as `nanopatch diff -o json` prints it.
type Diff struct {
	APIVersion string     `json:"apiVersion"`
	Kind       string     `json:"kind"`
	Old        sbom.Image `json:"old"`
	New        sbom.Image `json:"new"`
	// Added, Removed and Changed are sorted by type, name and architecture.
	Added   []Package `json:"added"`
	Removed []Package `json:"removed"`
	Changed []Change  `json:"changed"`
	// Unchanged counts the packages that are the same on both sides.
	Unchanged int `json:"unchanged"`
	// Consequences are changes that are none of the plan's updates but follow from them; only Gate fills them.
	Consequences []Consequence `json:"consequences"`
	// FixedCVEs are those that the changes fix, where a source for that is known.
	FixedCVEs []string `json:"fixedCves"`
}

// Package is a package that is on one side only.
type Package struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	Arch    string `json:"arch,omitempty"`
	Version string `json:"version"`
	PURL    string `json:"purl,omitempty"`
	// Layer is the index of the package's layer, nil where it is not known.
	Layer *int `json:"layer"`

	paths []string
}

// Change is a package that is on both sides, in different versions.
type Change struct {
	Name string `json:"name"`
	Type string `json:"type"`
	// Arch is the architecture on the new side; FromArch that on the old side, where it was another.
	Arch     string `json:"arch,omitempty"`
	FromArch string `json:"fromArch,omitempty"`
	From     string `json:"from"`
	To       string `json:"to"`
	// Direction tells an upgrade from a downgrade, and is empty where the order of the versions is not known.
	Direction Direction `json:"direction"`
	// Level is how far apart the versions are, in the words of Versions; empty where that is not known.
	Level string `json:"level"`
	PURL  string `json:"purl,omitempty"`
	// Layer is the index of the package's layer on the new side, nil where it is not known.
	Layer *int `json:"layer"`

	paths []string
}

// Direction is the direction of a change.
type Direction string

// The directions.
const (
	Upgrade   Direction = "upgrade"
	Downgrade Direction = "downgrade"
)

// Consequence is a change that follows from updates: a package that ships inside an updated one. From is empty where
// it was added, To where it was removed.
type Consequence struct {
	Type string `json:"type"`
	Name string `json:"name"`
	Arch string `json:"arch,omitempty"`
	From string `json:"from"`
	To   string `json:"to"`
	// Because names the update that it follows from.
	Because string `json:"because"`
}

// Versions knows how the versions of each package type are ordered.
type Versions interface {
	// Compare returns a number below, at or above zero as a is before, at or after b in the order of the package type. An
	// error says that the type's order is not known, or that one is not a version of it.
	Compare(typ, a, b string) (int, error)
	// Level names how far two versions are apart ("patch"), "" where that is not known. It is asked with from before to,
	// and for downgrades too.
	Level(typ, from, to string) string
}

// Side is one side of a comparison.
type Side struct {
	Image    sbom.Image
	Packages []sbom.Package
}

// Compare compares two sides. versions may be nil.
func Compare(older, newer Side, versions Versions) *Diff {
	d := &Diff{
		APIVersion: APIVersion, Kind: Kind, Old: older.Image, New: newer.Image,
		Added: []Package{}, Removed: []Package{}, Changed: []Change{}, Consequences: []Consequence{}, FixedCVEs: []string{},
	}
	m := matcher{versions: versions}
	var left, right []sbom.Package
	for _, g := range groups(older.Packages, newer.Packages) {
		l, r, same := m.match(g.left, g.right)
		left, right = append(left, l...), append(right, r...)
		d.Unchanged += same
	}
	left, right = m.acrossArchitectures(left, right)
	for _, p := range left {
		d.Removed = append(d.Removed, onOneSide(p))
	}
	for _, p := range right {
		d.Added = append(d.Added, onOneSide(p))
	}
	for _, pair := range m.pairs {
		d.Changed = append(d.Changed, m.change(pair))
	}
	d.sort()
	return d
}

// Empty tells whether the two sides have the same packages.
func (d *Diff) Empty() bool {
	return len(d.Added) == 0 && len(d.Removed) == 0 && len(d.Changed) == 0 && len(d.Consequences) == 0
}

func (d *Diff) sort() {
	byPackage := func(a, b Package) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Arch, b.Arch),
			cmp.Compare(a.Version, b.Version), slices.Compare(a.paths, b.paths))
	}
	slices.SortFunc(d.Added, byPackage)
	slices.SortFunc(d.Removed, byPackage)
	slices.SortFunc(d.Changed, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Arch, b.Arch),
			cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To), slices.Compare(a.paths, b.paths))
	})
	slices.SortFunc(d.Consequences, func(a, b Consequence) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Arch, b.Arch),
			cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To), cmp.Compare(a.Because, b.Because))
	})
}

func onOneSide(p sbom.Package) Package {
	return Package{
		Name: p.Name, Type: p.Type, Arch: p.Arch, Version: p.Version, PURL: p.PURL, Layer: layerOf(p), paths: p.Paths,
	}
}

// change describes a matched pair.
func (m *matcher) change(pair [2]sbom.Package) Change {
	from, to := pair[0], pair[1]
	c := Change{
		Name: to.Name, Type: to.Type, Arch: to.Arch, From: from.Version, To: to.Version, PURL: to.PURL, Layer: layerOf(to),
		paths: union(from.Paths, to.Paths),
	}
	if from.Arch != to.Arch {
		c.FromArch = from.Arch
	}
	if m.versions == nil {
		return c
	}
	order, err := m.versions.Compare(c.Type, c.From, c.To)
	switch {
	case err != nil:
	case order < 0:
		c.Direction, c.Level = Upgrade, m.versions.Level(c.Type, c.From, c.To)
	case order > 0:
		c.Direction, c.Level = Downgrade, m.versions.Level(c.Type, c.To, c.From)
	}
	return c
}

func layerOf(p sbom.Package) *int {
	if p.Layer == nil {
		return nil
	}
	i := p.Layer.Index
	return &i
}

// union merges two sorted lists.
func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}
