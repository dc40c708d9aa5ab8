package ecosystem

// Key names an installed package within one database: "libssl3:amd64".
type Key struct {
	Name string
	Arch string
}

func (k Key) String() string {
	if k.Arch == "" {
		return k.Name
	}
	return k.Name + ":" + k.Arch
}

// Package is a package as a database or a repository index describes it.
type Package struct {
	Key
	// Version is the full version in the ecosystem's own syntax.
	Version string
	// Source and SourceVersion name the source package; equal to Name and Version where nothing else is said.
	Source, SourceVersion string
	// MultiArch is dpkg's field: "", "no", "same", "foreign" or "allowed".
	MultiArch string
	// Essential packages are never removed, and their dependants need not name them.
	Essential bool
	// Hold is set on an installed package that the administrator told the package manager to keep.
	Hold bool
	// Partial says why an installed package is not all there, so that no package file can replace it; empty where it is.
	Partial string
	// Requires must each be met for the package to work (Pre-Depends and Depends).
	Requires []Clause
	// Conflicts must not be met by any other installed package (Conflicts and Breaks).
	Conflicts []Relation
	// Provides are the virtual names the package stands for; Op is "" or "=".
	Provides []Relation
	// InstalledSize is the package's size on disk in bytes, as its metadata claims; 0 where it says nothing.
	InstalledSize int64
}

// Clause is met when any of its alternatives is.
type Clause []Relation

// Relation names a package, or several versions of it.
type Relation struct {
	Name string
	// Arch restricts the architecture: "" is the requirer's own (or "all"), "any" every one, else one by name.
	Arch string
	// Op is one of "", "<", "<=", "=", ">=", ">"; Version is compared by the ecosystem's ordering.
	Op      string
	Version string
}
