package licensetext

import "bytes"

// markup returns how many bytes at the splitter's position are no word: the size of what markup begins with c, else 1.
func (s *splitter) markup(c byte) int {
	rest := s.text[s.at:]
	size := 0
	switch c {
	case '<':
		size = tagSize(rest)
	case '&':
		size = entitySize(rest)
	case '{':
		size = s.anchorSize(rest)
	case ']':
		size = s.linkSize(rest)
	}
	return max(size, 1)
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isHex(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }

// tagSize returns the size of an HTML tag at the start of a text, or 0. Addresses in angle brackets are not tags, nor is what goes on
// for more than three lines. As no tag holds another, all tags of a text together are searched once.
func tagSize(text []byte) int {
	name := 1
	if len(text) > 2 && text[1] == '/' {
		name = 2
	}
	if len(text) < 3 || !isLetter(text[name]) {
		return 0
	}
	attributes, lines := false, 1
	for i := name; i < len(text); i++ {
		switch text[i] {
		case '>':
			return i + 1
		case '<':
			return 0
		case ' ':
			attributes = true
		case '\n', '\r':
			if lines++; lines > 3 {
				return 0
			}
		case '@':
			if !attributes {
				return 0
			}
		case ':':
			if !attributes && i+1 < len(text) && text[i+1] == '/' {
				return 0
			}
		}
	}
	return 0
}

// entitySize returns the size of an HTML entity at the start of a text, or 0: &name;, &#38; or &#x26;.
func entitySize(text []byte) int {
	from, accepts := 1, isLetter
	switch {
	case bytes.HasPrefix(text, []byte("&#x")):
		from, accepts = 3, isHex
	case bytes.HasPrefix(text, []byte("&#")):
		from, accepts = 2, isDigit
	}
	end := from
	for end < len(text) && accepts(text[end]) {
		end++
	}
	if end == from || end == len(text) || text[end] != ';' {
		return 0
	}
	return end + 1
}

// anchorSize returns the size of a Markdown anchor at the splitter's position, or 0: {#name}.
func (s *splitter) anchorSize(rest []byte) int {
	if len(rest) < 4 || rest[1] != '#' {
		return 0
	}
	return s.enclosed(&s.anchorEnd, '}', " \r\n")
}

// linkSize returns the size of the target of a Markdown link at the splitter's position, or 0: ](http://…).
func (s *splitter) linkSize(rest []byte) int {
	if !hasLinkPrefix(rest) {
		return 0
	}
	return s.enclosed(&s.linkEnd, ')', " \t\r\n")
}

// enclosed returns the size of what begins at the splitter's position with two bytes and ends with another, or 0 where a space comes
// before that. end keeps the position of the next of either.
func (s *splitter) enclosed(end *int, closing byte, spaces string) int {
	if *end < s.at+2 {
		*end = ending(s.text, s.at+2, string(closing)+spaces)
	}
	if *end == len(s.text) || s.text[*end] != closing {
		return 0
	}
	return *end + 1 - s.at
}

func hasLinkPrefix(text []byte) bool {
	for _, prefix := range []string{"](#", "](http://", "](https://", "](mailto:", "](file:"} {
		if len(text) >= len(prefix) && string(text[:len(prefix)]) == prefix {
			return true
		}
	}
	return false
}

// ending returns the position of the first of some bytes in a text, from a position on, or the length of the text.
func ending(text []byte, from int, of string) int {
	if i := bytes.IndexAny(text[from:], of); i >= 0 {
		return from + i
	}
	return len(text)
}
