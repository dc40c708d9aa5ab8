package licensetext

import "slices"

// find calls found for each license in a text, from its beginning to its end.
//
// Licensecheck remembers two words, the last one and the one at hand, and where a match can begin with them looks for one. After a
// match the word at hand is the one behind it, but the last one is still the second of the match. So after a license that begins with
// "a b" and ends with "z", it takes "z c" for "b c". Where a license begins with "b c", and one begins with "z c" or with what that is
// corrected to, there is a match that shares a word with the one before it. The word counts twice: a text may be covered by more than
// 100 percent.
//
// Such a match may be the shared word alone. Then the word at hand stays where it is, and becomes the last one too. Where a match can
// begin with it twice, licensecheck finds the same again, forever; here it is passed over, and endless tells of that. It takes a license
// of three words or less.
func (s *Scanner) find(r *reader, found func(license int32, from, to int)) (endless bool) {
	if len(r.words) == 0 {
		return false
	}
	last := r.words[0].number
	for at := 1; at < len(r.words); {
		remembered := [2]int32{last, r.words[at].number}
		last = remembered[1]
		license, end := s.matchAt(r, remembered, at-1)
		repeats := end == at && remembered[0] == remembered[1]
		if license == noLicense || repeats {
			endless = endless || license != noLicense
			at++
			continue
		}
		found(license, at-1, end)
		at = end
	}
	return endless
}

// matchAt returns the longest match from a word on, if the words that are remembered for it and the next are a beginning.
func (s *Scanner) matchAt(r *reader, remembered [2]int32, from int) (license int32, end int) {
	first := remembered[0]
	if first < 0 || !s.opens[first] {
		return noLicense, 0
	}
	o := s.openings[remembered]
	if o == nil {
		return noLicense, 0
	}
	s.bound()
	if r.words[from].number == first {
		return r.longest(s.automaton(o).first, from+2)
	}
	return r.longest(s.start(), from)
}

// start returns the state before the first word of all patterns. Two edges from there are the automata, so it is dropped with these.
func (s *Scanner) start() *state {
	if start := s.begin.Load(); start != nil {
		return start
	}
	var words []int32
	for beginning := range s.openings {
		words = append(words, beginning[0])
	}
	slices.Sort(words)
	start := &state{license: noLicense, maker: beforeFirst{s}, edges: edgesFor(slices.Compact(words))}
	s.begin.Store(start)
	return start
}

// beforeFirst makes the states after the first word of a pattern.
type beforeFirst struct{ scanner *Scanner }

func (m beforeFirst) next(_ *state, first int32) *state {
	var words []int32
	for beginning := range m.scanner.openings {
		if beginning[0] == first {
			words = append(words, beginning[1])
		}
	}
	slices.Sort(words)
	return &state{license: noLicense, maker: beforeSecond{m.scanner, first}, edges: edgesFor(words)}
}

// beforeSecond finds the states after the second word of a pattern.
type beforeSecond struct {
	scanner *Scanner
	first   int32
}

func (m beforeSecond) next(_ *state, second int32) *state {
	return m.scanner.automaton(m.scanner.openings[[2]int32{m.first, second}]).first
}
