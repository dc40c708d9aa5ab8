package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
)

// explain says why an update does not fit with the ones that are made.
func (p *problem) explain(i int, updated []bool) string {
	c := p.breaks(i, updated)
	switch {
	case c == nil: // only where the search was cut short
		return "does not fit with the other updates"
	case c.requires != nil && c.by == i:
		return "needs " + spell(c.requires) + ", " + p.missing(i, c.requires, updated)
	case c.requires != nil:
		return fmt.Sprintf("%s needs %s and %s", p.title(c.by), spell(c.requires), p.fate(c.by, updated))
	case c.conflict != nil && c.by == i:
		return fmt.Sprintf("conflicts with %s, but %s %s", spellRelation(*c.conflict), p.title(c.with), p.fate(c.with, updated))
	case c.conflict != nil:
		return fmt.Sprintf("%s conflicts with %s and %s", p.title(c.by), spellRelation(*c.conflict), p.fate(c.by, updated))
	}
	other := c.by + c.with - i
	return fmt.Sprintf("must have the version of %s, which %s", p.chosen[other].from.Key, p.fate(other, updated))
}

// missing says why no package meets a requirement.
func (p *problem) missing(i int, clause ecosystem.Clause, updated []bool) string {
	var near []int // that have one of the names
	var why []string
	for _, rel := range clause {
		for _, j := range p.byName[rel.Name] {
			if j == i || slices.Contains(near, j) {
				continue
			}
			near = append(near, j)
			fate := p.fate(j, updated)
			if !p.archMatches(rel.Arch, p.chosen[i].from.Arch, &p.chosen[j].from) {
				fate = "is of architecture " + p.chosen[j].from.Arch
			}
			why = append(why, fate)
		}
	}
	switch {
	case len(near) == 0:
		return "which is not installed"
	case len(near) == 1 && len(clause) == 1 && p.chosen[near[0]].from.Name == clause[0].Name:
		return "which " + why[0]
	}
	for k, j := range near {
		why[k] = p.title(j) + " " + why[k]
	}
	return strings.Join(why, ", ")
}

// title names a package, with its architecture where it has twins.
func (p *problem) title(i int) string {
	k := p.chosen[i].from.Key
	for _, j := range p.byName[k.Name] {
		if j != i && p.chosen[j].from.Name == k.Name {
			return k.String()
		}
	}
	return k.Name
}

// fate says where a package's version goes, or why it stays.
func (p *problem) fate(i int, updated []bool) string {
	c := p.chosen[i]
	if updated[i] {
		return "goes to " + c.pick.Version
	}
	why := "nothing newer is offered"
	switch {
	case c.pick != nil:
		why = "held: " + string(ecosystem.ReasonDependency)
	case c.held != nil:
		why = "held: " + string(c.held.Reason)
	case c.unmanaged != "":
		why = "unmanaged"
	}
	return "stays at " + c.from.Version + " (" + why + ")"
}
