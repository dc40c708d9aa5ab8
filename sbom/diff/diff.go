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
	// Added, Removed, Changed, Moved and Relicensed are sorted by type, name and architecture.
	Added   []Package `json:"added"`
	Removed []Package `json:"removed"`
	Changed []Change  `json:"changed"`
	// Moved are packages of one version on both sides that another layer installed, Relicensed those of one version with other
	// licenses. One that changed its version says so there.
	Moved      []Move      `json:"moved"`
	Relicensed []Relicense `json:"relicensed"`
	// Unchanged counts the packages that have the same version on both sides; Moved and Relicensed are among them.
	Unchanged int `json:"unchanged"`
	// Consequences are changes that are none of the plan's updates but follow from them; only Gate fills them.
	Consequences []Consequence `json:"consequences"`
	// FixedCVEs are those that the changes fix, as far as Advise was told.
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
	// Layer is the index of the package's layer on the new side, nil where it is not known. FromLayer is that on the old side,
	// where it was another.
	Layer     *int `json:"layer"`
	FromLayer *int `json:"fromLayer,omitempty"`
	// Licenses are those of both sides, where they differ.
	Licenses *Licenses `json:"licenses,omitempty"`
	// FixedCVEs are those that the upgrade fixes, Advisories what each source says of it; only Advise fills them.
	FixedCVEs  []string    `json:"fixedCves"`
	Advisories []Statement `json:"advisories"`

	older, newer sbom.Package
}

// Licenses are the licenses of a package on both sides, as the documents name them.
type Licenses struct {
	From []string `json:"from"`
	To   []string `json:"to"`
}

// Move is a package that another layer installed, in the same version.
type Move struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	Arch    string `json:"arch,omitempty"`
	Version string `json:"version"`
	// FromLayer and Layer are the indices of the package's layer on the old and on the new side.
	FromLayer int `json:"fromLayer"`
	Layer     int `json:"layer"`
}

// Relicense is a package that has other licenses in the same version.
type Relicense struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	Arch    string `json:"arch,omitempty"`
	Version string `json:"version"`
	Licenses
}

// Statement is what one source says of the CVEs that a change fixes.
type Statement struct {
	// Kind is the kind of the source ("changelog", "osv"); Name tells sources of one kind apart.
	Kind string `json:"kind"`
	Name string `json:"name"`
	// CVEs are those that the source names. None means that it knows the package, and names none.
	CVEs []string `json:"cves"`
	// Incomplete says that the source does not go back to the old version.
	Incomplete bool `json:"incomplete,omitempty"`
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
		Added: []Package{}, Removed: []Package{}, Changed: []Change{}, Moved: []Move{}, Relicensed: []Relicense{},
		Consequences: []Consequence{}, FixedCVEs: []string{},
	}
	m := matcher{versions: versions}
	var left, right []sbom.Package
	for _, g := range groups(older.Packages, newer.Packages, exactly) {
		l, r := m.match(g.left, g.right)
		left, right = append(left, l...), append(right, r...)
	}
	left, right = m.loosely(left, right, anyArchitecture)
	left, right = m.loosely(left, right, anyType)
	for _, p := range left {
		d.Removed = append(d.Removed, onOneSide(p))
	}
	for _, p := range right {
		d.Added = append(d.Added, onOneSide(p))
	}
	for _, pair := range m.pairs {
		d.Changed = append(d.Changed, m.change(pair))
	}
	d.Unchanged = len(m.same)
	for _, pair := range m.same {
		d.aside(pair)
	}
	d.sort()
	return d
}

// Empty tells whether the two sides have the same packages, in the same layers and with the same licenses.
func (d *Diff) Empty() bool {
	return len(d.Added) == 0 && len(d.Removed) == 0 && len(d.Changed) == 0 && len(d.Consequences) == 0 &&
		len(d.Moved) == 0 && len(d.Relicensed) == 0
}

// Advise records what is said of the CVEs that each upgrade fixes. says is asked once for each, with the package on either side.
func (d *Diff) Advise(says func(older, newer sbom.Package) []Statement) {
	var all []string
	for i := range d.Changed {
		c := &d.Changed[i]
		if c.Direction != Upgrade {
			continue
		}
		c.Advisories = append([]Statement{}, says(c.older, c.newer)...)
		for _, s := range c.Advisories {
			c.FixedCVEs = append(c.FixedCVEs, s.CVEs...)
		}
		c.FixedCVEs = inOrder(c.FixedCVEs)
		all = append(all, c.FixedCVEs...)
	}
	d.FixedCVEs = inOrder(all)
}

// inOrder sorts identifiers, CVE-2024-9999 before CVE-2024-10000, each once; never nil.
func inOrder(ids []string) []string {
	out := append([]string{}, ids...)
	slices.SortFunc(out, func(a, b string) int {
		if year := len("CVE-2006-"); len(a) > year && len(b) > year && a[:year] == b[:year] {
			return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
		}
		return cmp.Compare(a, b)
	})
	return slices.Compact(out)
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
			cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To), slices.Compare(a.paths(), b.paths()))
	})
	slices.SortFunc(d.Moved, func(a, b Move) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Arch, b.Arch),
			cmp.Compare(a.Version, b.Version), cmp.Compare(a.FromLayer, b.FromLayer), cmp.Compare(a.Layer, b.Layer))
	})
	slices.SortFunc(d.Relicensed, func(a, b Relicense) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Arch, b.Arch),
			cmp.Compare(a.Version, b.Version), slices.Compare(a.From, b.From), slices.Compare(a.To, b.To))
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
		Name: to.Name, Type: knownType(from, to), Arch: knownArch(from, to), From: from.Version, To: to.Version,
		PURL: to.PURL, Layer: layerOf(to), Licenses: relicensed(from, to),
		FixedCVEs: []string{}, Advisories: []Statement{}, older: from, newer: to,
	}
	if from.Arch != c.Arch && from.Arch != "" {
		c.FromArch = from.Arch
	}
	if moved(from, to) {
		c.FromLayer = layerOf(from)
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

// aside records what else differs in a package of one version.
func (d *Diff) aside(pair [2]sbom.Package) {
	from, to := pair[0], pair[1]
	typ, arch := knownType(from, to), knownArch(from, to)
	if moved(from, to) {
		d.Moved = append(d.Moved, Move{
			Name: to.Name, Type: typ, Arch: arch, Version: to.Version, FromLayer: from.Layer.Index, Layer: to.Layer.Index,
		})
	}
	if l := relicensed(from, to); l != nil {
		d.Relicensed = append(d.Relicensed, Relicense{Name: to.Name, Type: typ, Arch: arch, Version: to.Version, Licenses: *l})
	}
}

// paths are those of both sides.
func (c *Change) paths() []string {
	all := slices.Concat(c.older.Paths, c.newer.Paths)
	slices.Sort(all)
	return slices.Compact(all)
}

func layerOf(p sbom.Package) *int {
	if p.Layer == nil {
		return nil
	}
	i := p.Layer.Index
	return &i
}
