package term

import (
	"strings"
	"unicode"
)

// Line makes text of any origin safe to show: one line, in which a character that a terminal would obey and not print
// (escape sequences, changes of the writing direction) is a question mark.
func Line(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == unicode.ReplacementChar || !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}
