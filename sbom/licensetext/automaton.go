package licensetext

import (
	"slices"
	"sync"
	"sync/atomic"
)

// automaton matches the patterns that begin with the same two words, from after these on. Its states are made when a text first
// comes to them.
type automaton struct {
	code  []instruction
	first *state
	grown func(bytes int) // hears how much memory new states take

	mu     sync.Mutex        // guards what is below
	states map[uint64]*state // by the hash of their positions
	set    positionSet       // of the state that is being made
}

// state is all that the patterns can be at, at one place of a text.
type state struct {
	positions []int32 // the instructions that take a word or accept, ascending
	edges     []edge  // by their words, ascending; so one for any word is the first
	license   int32   // the first of those that are complete, or noLicense
	maker     maker   // makes the states that the edges lead to
	alike     *state  // another with the same hash
}

// maker makes states.
type maker interface {
	// next returns the state that a word leads to, which is that of an edge of from.
	next(from *state, w int32) *state
}

// edge leads from a state by a word to another, which is nil until a text goes there.
type edge struct {
	word int32
	to   atomic.Pointer[state]
}

const noLicense int32 = -1

// What memory takes, about, in bytes: a state in its map, an edge, a position, an instruction.
const (
	stateSize       = 128
	edgeSize        = 16
	positionSize    = 4
	instructionSize = 8
)

// compilers keep the room that a program took for the next.
var compilers = sync.Pool{New: func() any { return new(compiler) }}

// newAutomaton compiles the patterns that begin with b.
func newAutomaton(b beginning, patterns []*pattern, grown func(bytes int)) *automaton {
	a := &automaton{grown: grown, states: map[uint64]*state{}}
	c := compilers.Get().(*compiler)
	defer compilers.Put(c)
	c.code = c.code[:0]
	var starts []int32
	for _, p := range patterns {
		starts = append(starts, c.pattern(p))
	}
	a.code = slices.Clone(c.code)
	grown(len(a.code) * instructionSize)
	a.set.has = make([]uint64, len(a.code)/64+1)
	for _, start := range starts {
		a.reach(start)
	}
	a.first = a.settle()
	for _, w := range b.word {
		a.take(a.first, w)
		a.first = a.settle()
	}
	return a
}

// follow returns the state that an edge of s leads to.
func (s *state) follow(e *edge) *state {
	to := e.to.Load()
	if to == nil {
		to = s.maker.next(s, e.word)
		e.to.Store(to)
	}
	return to
}

func (a *automaton) next(from *state, w int32) *state {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.take(from, w)
	return a.settle()
}

// take puts into the empty set what a word leads to. A wildcard takes every word, and alone takes anyWord.
func (a *automaton) take(from *state, w int32) {
	for _, at := range from.positions {
		switch i := a.code[at]; i.op {
		case opAny:
			a.reach(at + 1)
		case opWord:
			if i.arg == w {
				a.reach(at + 1)
			}
		}
	}
}

// reach puts a position into the set, and those that can be reached from it without a word.
func (a *automaton) reach(at int32) {
	for a.set.add(at) {
		switch i := a.code[at]; i.op {
		case opFork:
			a.reach(at + 1)
			at = i.arg
		case opJump:
			at = i.arg
		case opCut:
			at++
		}
	}
}

// settle returns the state of the positions in the set, and empties it.
func (a *automaton) settle() *state {
	positions := a.set.drain(a.lasting())
	slices.Sort(positions)
	hash := uint64(len(positions))
	for _, at := range positions {
		hash = (hash ^ uint64(at)) * 0x9e3779b97f4a7c15
		hash ^= hash >> 32
	}
	known := a.states[hash]
	for s := known; s != nil; s = s.alike {
		if slices.Equal(s.positions, positions) {
			return s
		}
	}
	s := a.newState(slices.Clone(positions))
	s.alike = known
	a.states[hash] = s
	return s
}

// lasting returns what tells which positions of the set belong to a state: those that take a word or accept and that no cut in the
// set ends. A cut ends all of a wildcard and the first instruction behind it.
func (a *automaton) lasting() func(at int32) bool {
	var cuts []int32
	for _, at := range a.set.positions {
		if i := a.code[at]; i.op == opCut {
			cuts = append(cuts, i.arg)
		}
	}
	return func(at int32) bool {
		switch a.code[at].op {
		case opFork, opJump, opCut:
			return false
		}
		return !slices.ContainsFunc(cuts, func(start int32) bool {
			return start <= at && at <= a.code[start].arg
		})
	}
}

func (a *automaton) newState(positions []int32) *state {
	s := &state{positions: positions, license: noLicense, maker: a}
	words := make([]int32, 0, len(positions))
	for _, at := range positions {
		switch i := a.code[at]; i.op {
		case opAny:
			words = append(words, anyWord)
		case opWord:
			words = append(words, i.arg)
		case opAccept:
			if s.license == noLicense || i.arg < s.license {
				s.license = i.arg
			}
		}
	}
	slices.Sort(words)
	s.edges = edgesFor(slices.Compact(words))
	a.grown(stateSize + len(positions)*positionSize + len(s.edges)*edgeSize)
	return s
}

func edgesFor(words []int32) []edge {
	edges := make([]edge, len(words))
	for i, w := range words {
		edges[i].word = w
	}
	return edges
}

// any returns the edge of s that any word may take, or nil, and those for certain words.
func (s *state) any() (*edge, []edge) {
	if len(s.edges) > 0 && s.edges[0].word == anyWord {
		return &s.edges[0], s.edges[1:]
	}
	return nil, s.edges
}

// positionSet is a set of positions in a program.
type positionSet struct {
	positions []int32
	has       []uint64 // a bit for each
}

// add tells whether the position is new.
func (s *positionSet) add(at int32) bool {
	bit := uint64(1) << (at % 64)
	if s.has[at/64]&bit != 0 {
		return false
	}
	s.has[at/64] |= bit
	s.positions = append(s.positions, at)
	return true
}

// drain empties the set and returns those of its positions that lasts is true for. They are good until the next add.
func (s *positionSet) drain(lasts func(at int32) bool) []int32 {
	kept := s.positions[:0]
	for _, at := range s.positions {
		s.has[at/64] = 0
		if lasts(at) {
			kept = append(kept, at)
		}
	}
	s.positions = s.positions[:0]
	return kept
}
