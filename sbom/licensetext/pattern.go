package licensetext

import (
	"errors"
	"slices"
)

// expression is a license regular expression, or a part of one: words, wildcard, sequence, choice, optional or nothing.
type expression any

type (
	// words are one after the other in the pattern's own words, from the first to before the last.
	words struct{ from, to int }
	// wildcard is up to so many words, whichever they are.
	wildcard int32
	sequence []expression
	choice   []expression
	optional struct{ of expression }
	nothing  struct{}
)

// pattern is the license regular expression of one license.
type pattern struct {
	license int // its index among those that have one
	numbers []int32
	root    expression
}

// beginning is what a match begins with: up to two words.
type beginning struct {
	size int
	word [2]int32
}

// newSequence puts expressions one after the other. Sequences among them are dissolved in it.
func newSequence(items []expression) expression {
	switch len(items) {
	case 0:
		return nothing{}
	case 1:
		return items[0]
	}
	all := make(sequence, 0, len(items))
	for _, item := range items {
		if inner, ok := item.(sequence); ok {
			all = append(all, inner...)
		} else {
			all = append(all, item)
		}
	}
	return all
}

// newChoice is one of several expressions.
func newChoice(items []expression) expression {
	if len(items) == 1 {
		return items[0]
	}
	return choice(items)
}

// mayBeEmpty tells whether an expression matches no words.
func mayBeEmpty(e expression) bool {
	switch e := e.(type) {
	case words:
		return false
	case choice:
		return slices.ContainsFunc(e, mayBeEmpty)
	case sequence:
		return !slices.ContainsFunc(e, func(item expression) bool { return !mayBeEmpty(item) })
	}
	return true
}

// required returns how many items of a sequence come before those at its end that may all be empty.
func (s sequence) required() int {
	n := len(s)
	for n > 0 && mayBeEmpty(s[n-1]) {
		n--
	}
	return n
}

// endsOpen tells whether a wildcard in e is not followed by words that have to be there. last is that nothing has to follow e.
func endsOpen(e expression, last bool) bool {
	switch e := e.(type) {
	case wildcard:
		return last
	case optional:
		return endsOpen(e.of, last)
	case choice:
		return slices.ContainsFunc(e, func(item expression) bool { return endsOpen(item, last) })
	case sequence:
		required := len(e)
		if last {
			required = e.required()
		}
		for i, item := range e {
			if endsOpen(item, i >= required) {
				return true
			}
		}
	}
	return false
}

// beginnings returns what the matches of the pattern begin with. It fails where that is not always two certain words: only from
// these on is a text looked at.
func (p *pattern) beginnings() ([]beginning, error) {
	found := p.extend([]beginning{{}}, p.root)
	for _, b := range found {
		switch {
		case b.size == 0:
			return nil, errors.New("matches the empty text")
		case b.word[0] == anyWord || b.size > 1 && b.word[1] == anyWord:
			return nil, errors.New("has a wildcard among the first two words")
		case b.size == 1:
			return nil, errors.New("matches a single word")
		}
	}
	return found, nil
}

// extend continues beginnings that are not complete by what e begins with.
func (p *pattern) extend(begun []beginning, e expression) []beginning {
	if !slices.ContainsFunc(begun, func(b beginning) bool { return b.size < 2 }) {
		return begun
	}
	var extended []beginning
	switch e := e.(type) {
	case words:
		for _, b := range begun {
			extended = append(extended, b.with(p.numbers[e.from:e.to]...))
		}
	case wildcard:
		for _, b := range begun {
			extended = append(extended, b, b.with(anyWord), b.with(anyWord, anyWord))
		}
	case sequence:
		for _, item := range e {
			begun = p.extend(begun, item)
		}
		return begun
	case choice:
		for _, item := range e {
			extended = append(extended, p.extend(begun, item)...)
		}
	case optional:
		extended = append(slices.Clone(begun), p.extend(begun, e.of)...)
	case nothing:
		return begun
	}
	slices.SortFunc(extended, beginning.compare)
	return slices.Compact(extended)
}

// with is b and the first of some words, as far as there is room for them.
func (b beginning) with(numbers ...int32) beginning {
	b.size += copy(b.word[b.size:], numbers)
	return b
}

func (b beginning) compare(other beginning) int {
	return slices.Compare([]int32{int32(b.size), b.word[0], b.word[1]}, []int32{int32(other.size), other.word[0], other.word[1]})
}
