package script

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"mvdan.cc/sh/v3/pattern"
	"mvdan.cc/sh/v3/syntax"
)

// matcher is a compiled shell pattern.
type matcher struct {
	re      *regexp.Regexp
	literal string
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// known passes on only errors about what is unknown: that a file is not there is an answer.
func known(err error) error {
	var unknown *UnknownError
	if errors.As(err, &unknown) {
		return unknown
	}
	return nil
}

// match is machine.match in the shell's idea of a character: for dash it is a byte.
func (sh *shell) match(pat, s string) (bool, error) {
	if sh.flavor == dash && !ascii(s) {
		pat, s = spread(pat), spread(s)
	}
	return sh.m.match(pat, s)
}

// trim is machine.trim in the shell's idea of a character.
func (sh *shell) trim(s, pat string, op syntax.ParExpOperator) (string, error) {
	if sh.flavor != dash || ascii(s) {
		return sh.m.trim(s, pat, op)
	}
	kept, err := sh.m.trim(spread(s), spread(pat), op)
	return gather(kept), err
}

func ascii(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}

// spread makes a character of every byte; gather undoes it.
func spread(s string) string {
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}

func gather(s string) string {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		b = append(b, byte(r))
	}
	return string(b)
}

// match tells whether a shell pattern matches a whole string.
func (m *machine) match(pat, s string) (bool, error) {
	c, err := m.compile(pat)
	if err != nil {
		return false, err
	}
	if err := m.spend(len(s)); err != nil {
		return false, err
	}
	if c.re == nil {
		return c.literal == s, nil
	}
	return c.re.MatchString(s), nil
}

func (m *machine) compile(pat string) (*matcher, error) {
	if c, ok := m.patterns[pat]; ok {
		return c, nil
	}
	if len(pat) > 4096 {
		return nil, &UnknownError{Detail: "uses a pattern of more than 4096 bytes"}
	}
	if err := m.spend(200 * len(pat)); err != nil {
		return nil, err
	}
	c := &matcher{}
	if !pattern.HasMeta(pat, 0) {
		c.literal = unescapeAll(pat)
	} else {
		expr, err := pattern.Regexp(pat, pattern.EntireString)
		if err != nil {
			return nil, &UnknownError{Detail: "uses the pattern " + strconv.Quote(pat)}
		}
		if c.re, err = regexp.Compile(expr); err != nil {
			return nil, &UnknownError{Detail: "uses the pattern " + strconv.Quote(pat)}
		}
	}
	if m.patterns == nil {
		m.patterns = make(map[string]*matcher)
	}
	if len(m.patterns) < 1000 {
		m.patterns[pat] = c
	}
	return c, nil
}

// trim removes what a pattern matches from the start or end of a string: as little or as much as possible.
func (m *machine) trim(s, pat string, op syntax.ParExpOperator) (string, error) {
	c, err := m.compile(pat)
	if err != nil {
		return "", err
	}
	prefix := op == syntax.RemSmallPrefix || op == syntax.RemLargePrefix
	if c.re == nil {
		if prefix {
			return strings.TrimPrefix(s, c.literal), m.spend(len(s))
		}
		return strings.TrimSuffix(s, c.literal), m.spend(len(s))
	}
	small := op == syntax.RemSmallPrefix || op == syntax.RemSmallSuffix
	for n := range len(s) + 1 {
		if !small {
			n = len(s) - n
		}
		gone, kept := s[:n], s[n:]
		if !prefix {
			kept, gone = s[:len(s)-n], s[len(s)-n:]
		}
		ok, err := m.match(pat, gone)
		if err != nil {
			return "", err
		}
		if ok {
			return kept, nil
		}
	}
	return s, nil
}
