package licensetext

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"

	"github.com/google/licensecheck"
)

// maxCached is how much memory automata may take before they are dropped, in bytes, about. The programs of all of licensecheck's
// licenses take a tenth of that, and the states that 750 copyright files of Debian packages come to another.
const maxCached = 128 << 20

// maxText is how many bytes of a text are looked at. It is what fits into a word's numbers.
const maxText = math.MaxInt32

// Scanner finds licenses in texts. It is safe for concurrent use.
type Scanner struct {
	licenses   []licensecheck.License // those with a pattern
	urls       map[string]licensecheck.License
	vocabulary *vocabulary
	openings   map[[2]int32]*opening
	opens      []bool // by word, whether an opening begins with it

	begin  atomic.Pointer[state] // before the first word of all patterns; nil until a text comes to it
	limit  int64                 // on cached
	cached atomic.Int64
	mu     sync.Mutex // is held while automata are made or dropped
}

// opening is two words that matches begin with.
type opening struct {
	begins    beginning
	patterns  []*pattern
	automaton atomic.Pointer[automaton] // nil until a text has the two words
}

// New returns a scanner for some licenses. It fails where there is no license regular expression among them, one is not well-formed or
// one matches a text that does not begin with two words of its own.
func New(licenses []licensecheck.License) (*Scanner, error) {
	s := &Scanner{urls: map[string]licensecheck.License{}, openings: map[[2]int32]*opening{}, limit: maxCached}
	for _, l := range licenses {
		if l.URL != "" {
			s.urls[l.URL] = l
		}
		if l.LRE != "" {
			s.licenses = append(s.licenses, l)
		}
	}
	if len(s.licenses) == 0 {
		return nil, errors.New("no license regular expression")
	}
	patterns, v, err := parseAll(s.licenses)
	if err != nil {
		return nil, err
	}
	s.vocabulary = v
	s.opens = make([]bool, len(v.words))
	for i := range patterns {
		p := &patterns[i]
		begins, err := p.beginnings()
		if err != nil {
			return nil, fmt.Errorf("license %s: %w", s.licenses[i].ID, err)
		}
		for _, b := range begins {
			s.open(b, p)
		}
	}
	return s, nil
}

// open notes that a pattern begins with b.
func (s *Scanner) open(b beginning, p *pattern) {
	o := s.openings[b.word]
	if o == nil {
		o = &opening{begins: b}
		s.openings[b.word] = o
		s.opens[b.word[0]] = true
	}
	o.patterns = append(o.patterns, p)
}

// Scan finds the licenses in a text: what [licensecheck.Scanner.Scan] finds.
func (s *Scanner) Scan(text []byte) licensecheck.Coverage {
	text = text[:min(len(text), maxText)]
	r := reader{text: text, words: s.vocabulary.split(text), vocabulary: s.vocabulary.words}
	c := coverage{scanner: s, text: text, words: r.words}
	s.find(&r, c.match)
	return c.finish()
}

// automaton returns that of an opening.
func (s *Scanner) automaton(o *opening) *automaton {
	if a := o.automaton.Load(); a != nil {
		return a
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := o.automaton.Load()
	if a == nil {
		a = newAutomaton(o.begins, o.patterns, func(bytes int) { s.cached.Add(int64(bytes)) })
		o.automaton.Store(a)
	}
	return a
}

// bound drops all that texts have made when that has become too much. Who is in the middle of it goes on with it, and what that adds is
// counted as if it were kept.
func (s *Scanner) bound() {
	if s.cached.Load() <= s.limit {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cached.Load() <= s.limit { // someone else did
		return
	}
	for _, o := range s.openings {
		o.automaton.Store(nil)
	}
	s.begin.Store(nil)
	s.cached.Store(0)
}
