package policy

import (
	"cmp"
	"slices"
)

// maxConflicts bounds the search. No real distribution needs more than a handful.
const maxConflicts = 10_000

// solve returns which packages to update: of all sets that satisfy the constraints the first in the order in which
// a set with an earlier package (see order) goes before one without. No set that satisfies them contains more.
func (p *problem) solve() []bool {
	s := solver{problem: p, value: make([]value, len(p.chosen))}
	if !s.search(p.order()) {
		return p.dropUntilStable()
	}
	updated := make([]bool, len(p.chosen))
	for i, v := range s.value {
		updated[i] = v == yes
	}
	return updated
}

// order lists the wanted updates by weight: those with security fixes first, then by name.
func (p *problem) order() []int {
	var order []int
	for i := range p.chosen {
		if p.wanted(i) {
			order = append(order, i)
		}
	}
	security := func(i int) int {
		if p.chosen[i].security(p.chosen[i].pick) {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(security(a), security(b)) })
	return order
}

type value int8

const (
	unknown value = iota
	yes
	no
)

// solver is a plain DPLL search that tries "updated" first.
type solver struct {
	*problem
	value []value
	// trail lists what was decided or concluded, in order; decisions are the places of the decisions in it.
	trail     []int
	decisions []int
	conflicts int
}

// search gives every wanted update a value. It says false when it would take too long.
func (s *solver) search(order []int) bool {
	for i := range s.constraints {
		if c := &s.constraints[i]; len(c.literals) == 1 && !s.assume(c.literals[0]) {
			return false
		}
	}
	for next := 0; next < len(order); next++ {
		if s.value[order[next]] != unknown {
			continue
		}
		s.decisions = append(s.decisions, len(s.trail))
		if s.assume(is(order[next])) {
			continue
		}
		for {
			if s.conflicts++; s.conflicts > maxConflicts || len(s.decisions) == 0 {
				return false
			}
			if s.assume(is(s.undo()).negate()) {
				break
			}
		}
		next = -1 // what was undone comes again
	}
	return true
}

// undo takes the last decision back, with all that followed from it, and returns what was decided.
func (s *solver) undo() int {
	last := len(s.decisions) - 1
	from := s.decisions[last]
	s.decisions = s.decisions[:last]
	decided := s.trail[from]
	for _, i := range s.trail[from:] {
		s.value[i] = unknown
	}
	s.trail = s.trail[:from]
	return decided
}

// holds is a literal's value.
func (s *solver) holds(l literal) value {
	switch s.value[l.index()] {
	case yes:
		if l.positive() {
			return yes
		}
		return no
	case no:
		if l.positive() {
			return no
		}
		return yes
	}
	return unknown
}

// assume makes a literal true and draws all conclusions from it. It says false if they contradict.
func (s *solver) assume(l literal) bool {
	if v := s.holds(l); v != unknown {
		return v == yes
	}
	s.set(l)
	for at := len(s.trail) - 1; at < len(s.trail); at++ {
		for _, k := range s.of[s.trail[at]] {
			if !s.conclude(&s.constraints[k]) {
				return false
			}
		}
	}
	return true
}

func (s *solver) set(l literal) {
	s.value[l.index()] = no
	if l.positive() {
		s.value[l.index()] = yes
	}
	s.trail = append(s.trail, l.index())
}

// conclude makes a constraint's last open literal true. It says false if none is open and none true.
func (s *solver) conclude(c *constraint) bool {
	open := literal(-1)
	for _, l := range c.literals {
		switch s.holds(l) {
		case yes:
			return true
		case unknown:
			if open >= 0 {
				return true
			}
			open = l
		}
	}
	if open < 0 {
		return false
	}
	s.set(open)
	return true
}

// dropUntilStable is apt's way (ResolveByKeep): start with all updates, and as long as something is broken give up one
// that it is broken by. As every constraint holds when nothing is updated, there is always one to give up. What turns
// out to fit in the end is taken back.
func (p *problem) dropUntilStable() []bool {
	updated := make([]bool, len(p.chosen))
	for i := range updated {
		updated[i] = p.wanted(i)
	}
	for stable := false; !stable; {
		stable = true
		for k := range p.constraints {
			if c := &p.constraints[k]; !c.satisfied(updated) {
				i := slices.IndexFunc(c.literals, func(l literal) bool { return !l.positive() })
				updated[c.literals[i].index()] = false
				stable = false
			}
		}
	}
	for grown := true; grown; {
		grown = false
		for _, i := range p.order() {
			if !updated[i] && p.breaks(i, updated) == nil {
				updated[i], grown = true, true
			}
		}
	}
	return updated
}

// breaks returns what updating one more package would break, nil for nothing.
func (p *problem) breaks(i int, updated []bool) *constraint {
	updated[i] = true
	defer func() { updated[i] = false }()
	for _, k := range p.of[i] {
		if c := &p.constraints[k]; !c.satisfied(updated) {
			return c
		}
	}
	return nil
}
