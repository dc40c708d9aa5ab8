package policy

import (
	"iter"
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
)

// state is one of the two that a package can end in.
type state int

const (
	before state = iota
	after
)

// literal is "package i is updated" (positive) or "is not" (negative), as 2i and 2i+1.
type literal int

func is(i int) literal    { return literal(2 * i) }
func isNot(i int) literal { return literal(2*i + 1) }

func (l literal) index() int      { return int(l) / 2 }
func (l literal) positive() bool  { return l%2 == 0 }
func (l literal) negate() literal { return l ^ 1 }

// constraint is a clause that the result has to satisfy, and what it stands for. All of them are satisfied while nothing
// is updated.
type constraint struct {
	literals []literal
	// by is the package in whose state the constraint arises.
	by int
	in state
	// One of these says what it is: a requirement of the package, a conflict with another package, or being another
	// architecture's twin of it.
	requires ecosystem.Clause
	conflict *ecosystem.Relation
	with     int // the other package
}

// problem is a set of wanted updates and what binds them.
type problem struct {
	relations
	chosen []choice
	// byName lists the packages that have or provide a name, before or after.
	byName      map[string][]int
	constraints []constraint
	// of lists the constraints that a package's update takes part in.
	of [][]int
}

func newProblem(in *Input, chosen []choice) *problem {
	p := &problem{
		relations: relations{scheme: in.Scheme, native: in.Arch},
		chosen:    chosen,
		byName:    make(map[string][]int),
		of:        make([][]int, len(chosen)),
	}
	for i := range chosen {
		for s := range p.states(i) {
			pkg := p.at(i, s)
			p.provide(pkg.Name, i)
			for _, v := range pkg.Provides {
				p.provide(v.Name, i)
			}
		}
	}
	for i := range chosen {
		p.require(i)
		p.conflict(i)
		p.twins(i)
	}
	return p
}

func (p *problem) provide(name string, i int) {
	if list := p.byName[name]; len(list) == 0 || list[len(list)-1] != i {
		p.byName[name] = append(list, i)
	}
}

func (p *problem) wanted(i int) bool { return p.chosen[i].pick != nil }

// states are the states that a package may end in.
func (p *problem) states(i int) iter.Seq[state] {
	return func(yield func(state) bool) {
		_ = yield(before) && p.wanted(i) && yield(after)
	}
}

// at is a package in one of its states.
func (p *problem) at(i int, s state) *ecosystem.Package {
	if s == after {
		return &p.chosen[i].pick.Package
	}
	return &p.chosen[i].from
}

// unless is the literal that says that a package is not in a state; none if it cannot be in another.
func (p *problem) unless(i int, s state) []literal {
	switch {
	case s == after:
		return []literal{isNot(i)}
	case p.wanted(i):
		return []literal{is(i)}
	}
	return nil
}

func (p *problem) add(c constraint) {
	n := len(p.constraints)
	p.constraints = append(p.constraints, c)
	for _, l := range c.literals {
		if list := p.of[l.index()]; len(list) == 0 || list[len(list)-1] != n {
			p.of[l.index()] = append(list, n)
		}
	}
}

// require adds what a package requires in each of its states. What it required in vain before is not asked of it: by
// name, so that a new version may go on requiring it.
func (p *problem) require(i int) {
	broken := make(map[string]bool)
	for s := range p.states(i) {
		for _, clause := range p.at(i, s).Requires {
			literals, always, met := p.clause(i, s, clause)
			switch {
			case s == before && !met:
				broken[names(clause)] = true
			case always || s == after && broken[names(clause)]:
			default:
				p.add(constraint{literals: append(p.unless(i, s), literals...), by: i, in: s, requires: clause})
			}
		}
	}
}

// clause finds what a requirement of a package in a state hangs on: always says that it is met whatever is updated,
// met that it is while nothing is.
func (p *problem) clause(i int, s state, clause ecosystem.Clause) (literals []literal, always, met bool) {
	arch := p.at(i, s).Arch
	for k := range clause {
		rel := &clause[k]
		for _, j := range p.byName[rel.Name] {
			old := p.meets(rel, arch, p.at(j, before))
			now := old
			if p.wanted(j) {
				now = p.meets(rel, arch, p.at(j, after))
			}
			met = met || old
			switch {
			case old && now, j == i && s == before && old, j == i && s == after && now:
				return nil, true, true
			case j == i: // its other state
			case now:
				literals = append(literals, is(j))
			case old:
				literals = append(literals, isNot(j))
			}
		}
	}
	return literals, false, met
}

// names is a clause without its versions and architectures.
func names(c ecosystem.Clause) string {
	all := make([]string, len(c))
	for i, rel := range c {
		all[i] = rel.Name
	}
	slices.Sort(all)
	return strings.Join(all, "|")
}

// conflict adds what a package excludes in each of its states. Packages that clash already may go on doing so.
func (p *problem) conflict(i int) {
	for s := range p.states(i) {
		for k := range p.at(i, s).Conflicts {
			rel := &p.at(i, s).Conflicts[k]
			for _, j := range p.byName[rel.Name] {
				if p.chosen[j].from.Name == p.chosen[i].from.Name || p.clashed(i, j, rel.Name) {
					continue // a package does not conflict with itself, whatever it provides
				}
				for t := range p.states(j) {
					if (s == after || t == after) && p.clashes(rel, p.at(j, t)) {
						p.add(constraint{
							literals: append(p.unless(i, s), p.unless(j, t)...), by: i, in: s, conflict: rel, with: j,
						})
					}
				}
			}
		}
	}
}

// clashed tells whether package i conflicts with package j by a name as both are installed.
func (p *problem) clashed(i, j int, name string) bool {
	conflicts := p.at(i, before).Conflicts
	return slices.ContainsFunc(conflicts, func(rel ecosystem.Relation) bool {
		return rel.Name == name && p.clashes(&rel, p.at(j, before))
	})
}

// twins binds the versions of one package in several architectures together.
func (p *problem) twins(i int) {
	for _, j := range p.byName[p.chosen[i].from.Name] {
		if j <= i || p.chosen[j].from.Name != p.chosen[i].from.Name || !p.equal(i, before, j, before) {
			continue
		}
		for s := range p.states(i) {
			for t := range p.states(j) {
				if !p.equal(i, s, j, t) {
					p.add(constraint{literals: append(p.unless(i, s), p.unless(j, t)...), by: i, in: s, with: j})
				}
			}
		}
	}
}

func (p *problem) equal(i int, s state, j int, t state) bool {
	n, err := p.scheme.Compare(p.at(i, s).Version, p.at(j, t).Version)
	return err == nil && n == 0
}

// satisfied tells whether a constraint holds when the given packages are updated.
func (c *constraint) satisfied(updated []bool) bool {
	return slices.ContainsFunc(c.literals, func(l literal) bool { return updated[l.index()] == l.positive() })
}
