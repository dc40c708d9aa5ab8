package licensetext

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/licensecheck"
)

// sampler writes texts that patterns match, and texts that they nearly match.
type sampler struct {
	*rand.Rand
	vocabulary []string
	patterns   []pattern
	other      []string // words for wildcards and between licenses
}

func newSampler(t testing.TB, licenses []licensecheck.License, seed uint64, other ...string) *sampler {
	t.Helper()
	var patterned []licensecheck.License
	for _, l := range licenses {
		if l.LRE != "" {
			patterned = append(patterned, l)
		}
	}
	patterns, v, err := parseAll(patterned)
	if err != nil {
		t.Fatal(err)
	}
	return &sampler{Rand: rand.New(rand.NewPCG(seed, 0)), vocabulary: v.words, patterns: patterns, other: other}
}

func pick[T any](s *sampler, of []T) T { return of[s.IntN(len(of))] }

// license returns words that one of the patterns matches.
func (s *sampler) license() []string {
	p := &s.patterns[s.IntN(len(s.patterns))]
	return s.sample(nil, p, p.root)
}

func (s *sampler) sample(to []string, p *pattern, e expression) []string {
	switch e := e.(type) {
	case words:
		for _, n := range p.numbers[e.from:e.to] {
			to = append(to, s.vocabulary[n])
		}
	case wildcard:
		n := max(int(e), 0)
		if n > 0 {
			n = s.IntN(n + 1)
		}
		for n > 0 {
			if s.IntN(2) == 0 && len(p.numbers) > 0 { // what the pattern may also have elsewhere, above all behind the wildcard
				from := s.IntN(len(p.numbers))
				for _, number := range p.numbers[from:min(len(p.numbers), from+min(n, 1+s.IntN(4)))] {
					to = append(to, s.vocabulary[number])
					n--
				}
				continue
			}
			to = append(to, pick(s, s.other))
			n--
		}
	case sequence:
		for _, item := range e {
			to = s.sample(to, p, item)
		}
	case choice:
		to = s.sample(to, p, pick(s, e))
	case optional:
		if s.IntN(2) == 0 {
			to = s.sample(to, p, e.of)
		}
	}
	return to
}

// excerpt is a part of a license: those that are long would otherwise take up the time of the test.
func (s *sampler) excerpt(most int) []string {
	l := s.license()
	if len(l) <= most || s.IntN(8) == 0 {
		return l
	}
	if s.IntN(4) == 0 { // what ends a license may end another too
		return l[len(l)-most:]
	}
	return l[:most]
}

// damage changes some of the words.
func (s *sampler) damage(words []string, one int) []string {
	var damaged []string
	for i := 0; i < len(words); i++ {
		w := words[i]
		if s.IntN(one) > 0 {
			damaged = append(damaged, w)
			continue
		}
		switch s.IntN(13) {
		case 0: // dropped
		case 1: // doubled
			damaged = append(damaged, w, w)
		case 2: // joined
			if i+1 < len(words) {
				i++
				w += words[i]
			}
			damaged = append(damaged, w)
		case 3: // split
			at := s.IntN(len(w) + 1)
			damaged = append(damaged, w[:at]+"-\n"+w[at:])
		case 4: // a byte more
			at := s.IntN(len(w) + 1)
			damaged = append(damaged, w[:at]+string(rune('a'+s.IntN(26)))+w[at:])
		case 5: // a byte less
			at := s.IntN(len(w))
			damaged = append(damaged, w[:at]+w[at+1:])
		case 6: // another byte
			at := s.IntN(len(w))
			damaged = append(damaged, w[:at]+string(rune('a'+s.IntN(26)))+w[at+1:])
		case 7:
			damaged = append(damaged, pick(s, s.other))
		case 8:
			damaged = append(damaged, pick(s, insertions), w)
		case 9:
			damaged = append(damaged, w+pick(s, insertions))
		case 10: // as another word that is read as this one
			damaged = append(damaged, rewrite(w))
		case 11:
			damaged = append(damaged, strings.ToUpper(w))
		case 12:
			damaged = append(damaged, accents.Replace(w))
		}
	}
	return damaged
}

var accents = strings.NewReplacer("e", "é", "a", "À", "o", "o\u0301", "k", "\u212a", "s", "ſ", "i", "ì", "u", "Ú")

func rewrite(w string) string {
	switch w {
	case "is":
		return "are"
	case "it":
		return "them"
	case "the":
		return "these"
	case "copy":
		return "copies"
	case "http":
		return "HTTPS"
	case "copyright":
		return "(C)"
	}
	return w + "(s)"
}

// insertions are what may stand between and at words.
var insertions = []string{
	"(c)", "(C)", "©", "&copy;", "c", "c)", "(c", "copyright", "Copyright (c)", "copyright copyright", "© 1996", "©1996", "(s)", "(S)",
	"<b>", "</b>", "<a href=\"http://x.org\">", "<me@example.com>", "<a me@example.com>", "<http://example.com>", "<a http://x>", "<b\n\n>", "<b\n\n\n>",
	"<", "<b", "<b<b>", "<1>", "</", "<>", ">", "&amp;", "&#38;", "&#x26;", "&#xg;", "&#;", "&;", "&", "&amp", "&copy", "&#", "&#x",
	"{#anchor}", "{#an chor}", "{#", "{}", "{#}", "{#\n}", "[link](http://example.com)", "[l](https://x)", "[l](mailto:x)", "[l](file:x)", "[l](#x)",
	"[l](x)", "](#", "](http://x y)", "](#a\tb)", "]", "](", "are", "these", "they", "copies", "https", "http(s)", "http",
	"é", "\u0301", "e\u0301", "ß", "Β", "β", "ϐ", "ſ", "\u212a", "中文", "\xff", "\xc3", "a\xffb", "\ufffd", "\x00", "٣", "\n", "\n\n", "\r\n", " \t ", ".", "//",
	"http://opensource.org/licenses/mit", "https://opensource.org/licenses/MIT/", "HTTP://opensource.org/licenses/mit",
	"https://creativecommons.org/licenses/by/3.0/us/", "https://creativecommons.org/licenses/by/4.0/legalcode", "http://www.apache.org/licenses/LICENSE-2.0.txt",
	"http://www.gnu.org/licenses/", "httpſ://opensource.org/licenses/mit", "http://opensource.org/licenseſ/mit", "http://opensource.org//licenses/mit",
	"http://.org/licenses/mit", "http://opensource.net/licenses/mit", "http://opensource.org", "http://opensource.org/", "http:/", "http://", "http://x",
	"http://opensource.com.org/licenses\u212a/mit#a?b=c", "https://opensource.org/licenses/mit/and more", "http://a.org/x/y", "HttpS://A.ORG/X", "http://é.org/x", "http://a.org/é",
}

// spaced writes words as a text.
func (s *sampler) spaced(words []string) string {
	var b strings.Builder
	for i, w := range words {
		if i > 0 {
			b.WriteString(pick(s, []string{" ", " ", " ", " ", " ", ", ", ".\n", "\n", "\n\n * ", " - ", "\t"}))
		}
		if s.IntN(20) == 0 {
			r, size := utf8.DecodeRuneInString(w)
			w = strings.ToUpper(string(r)) + w[size:]
		}
		b.WriteString(w)
	}
	return b.String()
}

// text is licenses one after the other, with what is usually between them.
func (s *sampler) text(most, one int) string {
	var all []string
	for range 1 + s.IntN(3) {
		for range s.IntN(4) {
			all = append(all, pick(s, []string{
				"Copyright", "(c)", "©", "1999", "\nCopyright © 2001 Someone\n", "All rights reserved.", pick(s, s.other), pick(s, insertions),
			}))
		}
		all = append(all, s.damage(s.excerpt(most), one)...)
	}
	if s.IntN(3) == 0 {
		all = append(all, pick(s, insertions))
	}
	return s.spaced(all)
}

func TestTextsOfPatterns(t *testing.T) {
	want, got := builtin(t)
	s := newSampler(t, licensecheck.BuiltinLicenses(), 1, "someone", "the", "software", "and", "1999", "inc", "copyright", "c", "permission", "is", "or", "http", "ß")
	texts, found := 4000, 0
	if testing.Short() {
		texts = 400
	}
	for i := range texts {
		one := []int{1 << 30, 200, 50, 20, 8}[i%5]
		found += len(same(t, want, got, []byte(s.text(400, one))).Match)
	}
	// Every license whole, as its pattern has it.
	for i := range s.patterns {
		p := &s.patterns[i]
		found += len(same(t, want, got, []byte(s.spaced(s.sample(nil, p, p.root)))).Match)
	}
	t.Logf("%d texts with %d licenses", texts+len(s.patterns), found)
}
