package licensetext

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// parser reads one license regular expression.
type parser struct {
	text       []byte
	at         int
	vocabulary *vocabulary
	splitter   splitter
	numbers    []int32 // of all words that were read
	plain      int     // where the text begins that was not yet taken for words
	groups     []group // those that are open, the innermost last; the first is the whole
}

// group is what stands between (( and )).
type group struct {
	alternatives []expression // those that || ended
	items        []expression // of the one that is being read
}

var (
	errNotFirst   = errors.New("(( is not the first on its line")
	errNotLast    = errors.New(")) is not the last on its line")
	errNotOpen    = errors.New(")) without ((")
	errNotClosed  = errors.New("(( without ))")
	errNoGroup    = errors.New("|| outside (( ))")
	errNoOptional = errors.New("?? is not between )) and the end of the line")
	errComment    = errors.New("//** without **//")
	errWildcard   = errors.New("wildcard of too many words")
	errOpenEnd    = errors.New("wildcard without words after it")
)

// parse reads a license regular expression and adds its words to the vocabulary.
func (p *parser) parse(text []byte) (pattern, error) {
	p.text, p.at, p.plain, p.numbers = text, 0, 0, p.numbers[:0]
	p.groups = append(p.groups[:0], group{})
	for p.skip() {
		if err := p.operator(text[p.at]); err != nil {
			return pattern{}, fmt.Errorf("byte %d: %w", p.at, err)
		}
	}
	p.takeWords(len(text))
	if len(p.groups) > 1 {
		return pattern{}, errNotClosed
	}
	root := p.groups[0].expression()
	if endsOpen(root, true) {
		return pattern{}, errOpenEnd
	}
	return pattern{numbers: append([]int32(nil), p.numbers...), root: root}, nil
}

// maxWildcard bounds the words of a wildcard, each of which takes two instructions. Those of licensecheck's licenses have some hundred.
const maxWildcard = 1 << 16

// operators holds which bytes stand twice at the start of an operator.
var operators = [256]bool{'(': true, '|': true, ')': true, '?': true, '_': true, '/': true}

// skip goes on to where an operator may begin, and tells whether there is such a place.
func (p *parser) skip() bool {
	text, at := p.text, p.at
	for at+1 < len(text) && (!operators[text[at]] || text[at] != text[at+1]) {
		at++
	}
	p.at = at
	return at+1 < len(text)
}

// operator reads the operator that begins with c twice, or goes on by one byte where it is none.
func (p *parser) operator(c byte) error {
	switch c {
	case '(':
		return p.open()
	case '|':
		return p.bar()
	case ')':
		return p.close()
	case '?':
		return p.makeOptional()
	case '_':
		return p.wildcard()
	default:
		return p.comment()
	}
}

// takeWords takes the text up to a position for words. Words after words, or after a group that is nothing but words, continue them.
func (p *parser) takeWords(to int) {
	from := len(p.numbers)
	p.splitter.reset(p.text[p.plain:to])
	p.numbers = p.vocabulary.appendNumbers(p.numbers, &p.splitter)
	if len(p.numbers) == from {
		return
	}
	g := p.group()
	if n := len(g.items); n > 0 {
		if before, ok := g.items[n-1].(words); ok {
			g.items[n-1] = words{from: before.from, to: len(p.numbers)}
			return
		}
	}
	g.items = append(g.items, words{from: from, to: len(p.numbers)})
}

// pass ends an operator of some bytes, which has words before it.
func (p *parser) pass(size int) {
	p.takeWords(p.at)
	p.at += size
	p.plain = p.at
}

// group returns the innermost open group.
func (p *parser) group() *group { return &p.groups[len(p.groups)-1] }

// expression returns what a group is when it ends.
func (g *group) expression() expression {
	g.endAlternative()
	return newChoice(g.alternatives)
}

func (g *group) endAlternative() {
	g.alternatives = append(g.alternatives, newSequence(g.items))
	g.items = nil
}

func (p *parser) open() error {
	before := bytes.TrimRight(p.text[:p.at], " \t")
	if len(before) > 0 && before[len(before)-1] != '\n' {
		return errNotFirst
	}
	p.pass(2)
	p.groups = append(p.groups, group{})
	return nil
}

func (p *parser) bar() error {
	if len(p.groups) == 1 {
		return errNoGroup
	}
	p.pass(2)
	p.group().endAlternative()
	return nil
}

func (p *parser) close() error {
	after := bytes.TrimLeft(p.text[p.at+2:], " \t")
	if len(after) > 0 && after[0] != '\n' && !bytes.HasPrefix(after, []byte("??")) {
		return errNotLast
	}
	if len(p.groups) == 1 {
		return errNotOpen
	}
	p.pass(2)
	e := p.group().expression()
	p.groups = p.groups[:len(p.groups)-1]
	p.group().items = append(p.group().items, e)
	return nil
}

// makeOptional reads the ?? after a group. Since that is all that can be before it, the last item is the group.
func (p *parser) makeOptional() error {
	after := bytes.TrimLeft(p.text[p.at+2:], " \t\r")
	if !bytes.HasSuffix(bytes.TrimRight(p.text[:p.at], " \t"), []byte("))")) || len(after) > 0 && after[0] != '\n' {
		return errNoOptional
	}
	p.pass(2)
	items := p.group().items
	last := &items[len(items)-1]
	if _, ok := (*last).(optional); !ok {
		*last = optional{of: *last}
	}
	return nil
}

// wildcard reads __N__. Other underscores are punctuation.
func (p *parser) wildcard() error {
	end := p.at + 2
	for end < len(p.text) && isDigit(p.text[end]) {
		end++
	}
	if end == p.at+2 || !bytes.HasPrefix(p.text[end:], []byte("__")) {
		p.at++
		return nil
	}
	n, err := strconv.Atoi(string(p.text[p.at+2 : end]))
	if err != nil || n > maxWildcard {
		return errWildcard
	}
	p.pass(end + 2 - p.at)
	p.group().items = append(p.group().items, wildcard(n))
	return nil
}

func (p *parser) comment() error {
	rest := p.text[p.at:]
	if !bytes.HasPrefix(rest, []byte("//**")) {
		p.at++
		return nil
	}
	size := bytes.Index(rest[4:], []byte("**//"))
	if size < 0 {
		return errComment
	}
	p.pass(4 + size + 4)
	return nil
}
