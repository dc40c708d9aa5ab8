package licensetext

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// splitter goes through the words of a text: letters and digits, folded, without what is markup or punctuation.
type splitter struct {
	text []byte
	at   int

	// The word that next found. It is text[lo:hi] and may be in a buffer that the next one uses.
	word   []byte
	lo, hi int

	buffer []byte
	// The next bytes that end an anchor and a link, as far as they are known. Without them a text that only begins such things
	// would be searched to its end from each of them.
	anchorEnd, linkEnd int
}

// reset begins with another text.
func (s *splitter) reset(text []byte) {
	*s = splitter{text: text, buffer: s.buffer[:0]}
}

// foldedASCII holds what each byte is in a word, and 0 for those that are in none.
var foldedASCII = func() (table [256]byte) {
	for c := byte('0'); c <= '9'; c++ {
		table[c] = c
	}
	for c := byte('a'); c <= 'z'; c++ {
		table[c], table[c-'a'+'A'] = c, c
	}
	return table
}()

// next finds the next word and tells whether there is one.
func (s *splitter) next() bool {
	for s.at < len(s.text) {
		c := s.text[s.at]
		switch {
		case foldedASCII[c] != 0:
			s.lo = s.at
			s.plain()
			s.rewrite()
			return true
		case c >= utf8.RuneSelf:
			r, size := utf8.DecodeRune(s.text[s.at:])
			if r == '©' {
				s.copyright(size)
				return true
			}
			if unicode.IsLetter(r) || unicode.IsDigit(r) {
				s.lo = s.at
				s.foreign(s.buffer[:0])
				s.rewrite()
				return true
			}
			s.at += size
		case c == '&' && bytes.HasPrefix(s.text[s.at:], []byte("&copy;")):
			s.copyright(len("&copy;"))
			return true
		default:
			s.at += s.markup(c)
		}
	}
	return false
}

// plain takes a word in that begins with ASCII.
func (s *splitter) plain() {
	text, at := s.text, s.at
	var upper byte
	for at < len(text) {
		folded := foldedASCII[text[at]]
		if folded == 0 {
			break
		}
		upper |= folded ^ text[at]
		at++
	}
	foreign := at < len(text) && text[at] >= utf8.RuneSelf
	if upper == 0 && !foreign {
		s.word, s.at = text[s.at:at], at
		return
	}
	buffer := s.buffer[:0]
	for _, c := range text[s.at:at] {
		buffer = append(buffer, foldedASCII[c])
	}
	s.word, s.buffer, s.at = buffer, buffer, at
	if foreign {
		s.foreign(buffer)
	}
}

// foreign takes in what is left of a word with letters outside ASCII, after what is in the buffer.
func (s *splitter) foreign(buffer []byte) {
	for s.at < len(s.text) {
		r, size := utf8.DecodeRune(s.text[s.at:])
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.Is(unicode.Mn, r) {
			break
		}
		buffer = utf8.AppendRune(buffer, fold(r))
		s.at += size
	}
	s.word, s.buffer = buffer, buffer
}

// rewrite ends a word and puts what it is read as in its place, where that is another.
func (s *splitter) rewrite() {
	if bytes.HasPrefix(s.text[s.at:], []byte("(s)")) {
		s.buffer = append(append(s.buffer[:0], s.word...), 's')
		s.word = s.buffer
		s.at += len("(s)")
	}
	s.hi = s.at
	if len(s.word) > len("copies") {
		return
	}
	switch string(s.word) {
	case "c":
		if s.lo > 0 && s.text[s.lo-1] == '(' && s.hi < len(s.text) && s.text[s.hi] == ')' {
			s.lo, s.hi = s.lo-1, s.hi+1
			s.say("copyright")
		}
	case "https":
		s.say("http")
	case "are":
		s.say("is")
	case "them", "they":
		s.say("it")
	case "these", "this", "those":
		s.say("the")
	case "copies":
		s.say("copy")
	}
}

// copyright takes in a sign that stands for the word.
func (s *splitter) copyright(size int) {
	s.lo, s.at = s.at, s.at+size
	s.hi = s.at
	s.say("copyright")
}

func (s *splitter) say(w string) {
	s.buffer = append(s.buffer[:0], w...)
	s.word = s.buffer
}

// fold returns the rune that stands for r and its like in words: one of the cases, and vowels without grave and acute accents.
// Of more than two cases (Β, β, ϐ) not all become the same, which matters to no license and has to be as it is in licensecheck.
func fold(r rune) rune {
	if first := unicode.SimpleFold(r); first < r {
		r = first
	}
	switch r {
	case 'Á', 'À':
		return 'a'
	case 'É', 'È':
		return 'e'
	case 'Í', 'Ì':
		return 'i'
	case 'Ó', 'Ò':
		return 'o'
	case 'Ú', 'Ù':
		return 'u'
	}
	if 'A' <= r && r <= 'Z' {
		r += 'a' - 'A'
	}
	return r
}

// appendFolded appends a part of a text to dst as its words are folded, but without parentheses and with no word put in the place
// of another. It is what spelling is corrected in.
func appendFolded(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		c := text[i]
		if c < utf8.RuneSelf {
			i++
			switch {
			case foldedASCII[c] != 0:
				dst = append(dst, foldedASCII[c])
			case c != '(' && c != ')':
				dst = append(dst, c)
			}
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		dst = utf8.AppendRune(dst, fold(r))
		i += size
	}
	return dst
}
