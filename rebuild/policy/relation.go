package policy

import (
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/version"
)

// relations evaluates what packages say about each other, deb-control(5) and the Multi-Arch specification.
type relations struct {
	scheme version.Scheme
	native string
}

// meets tells whether a package meets a relation of a package of architecture arch. A versioned relation is met by the
// package itself or by a versioned Provides. One whose version is not valid is met by nothing.
func (r *relations) meets(rel *ecosystem.Relation, arch string, p *ecosystem.Package) bool {
	return r.archMatches(rel.Arch, arch, p) && r.named(rel, p)
}

// clashes tells whether a package is one of those that a Conflicts or Breaks excludes. Without an architecture it
// excludes those of every one.
func (r *relations) clashes(rel *ecosystem.Relation, p *ecosystem.Package) bool {
	if rel.Arch != "" && rel.Arch != "any" && r.arch(p.Arch) != r.arch(rel.Arch) {
		return false
	}
	return r.named(rel, p)
}

// named tells whether a package has the name and version of a relation, or provides it.
func (r *relations) named(rel *ecosystem.Relation, p *ecosystem.Package) bool {
	if p.Name == rel.Name && r.compares(p.Version, rel) {
		return true
	}
	for i := range p.Provides {
		v := &p.Provides[i]
		if v.Name == rel.Name && (rel.Op == "" || v.Op == "=" && r.compares(v.Version, rel)) {
			return true
		}
	}
	return false
}

func (r *relations) compares(v string, rel *ecosystem.Relation) bool {
	if rel.Op == "" {
		return true
	}
	n, err := r.scheme.Compare(v, rel.Version)
	if err != nil {
		return false
	}
	switch rel.Op {
	case "<":
		return n < 0
	case "<=":
		return n <= 0
	case "=":
		return n == 0
	case ">=":
		return n >= 0
	case ">":
		return n > 0
	}
	return false
}

// archMatches follows dpkg's deparchsatisfied (lib/dpkg/depcon.c): a foreign package serves every architecture, "any" asks
// for a package that allows it, all else is the requirer's architecture or the one that is named.
func (r *relations) archMatches(want, requirer string, p *ecosystem.Package) bool {
	switch want {
	case "":
		return p.MultiArch == "foreign" || r.arch(p.Arch) == r.arch(requirer)
	case "any":
		return p.MultiArch == "allowed"
	}
	return r.arch(p.Arch) == r.arch(want)
}

func (r *relations) arch(a string) string {
	if a == allArch {
		return r.native
	}
	return a
}

// spell writes a clause as a control file would.
func spell(c ecosystem.Clause) string {
	words := make([]string, len(c))
	for i, rel := range c {
		words[i] = spellRelation(rel)
	}
	return strings.Join(words, " | ")
}

func spellRelation(rel ecosystem.Relation) string {
	s := rel.Name
	if rel.Arch != "" {
		s += ":" + rel.Arch
	}
	if rel.Op != "" {
		s += " (" + rel.Op + " " + rel.Version + ")"
	}
	return s
}
