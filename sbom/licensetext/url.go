package licensetext

import (
	"bytes"
	"strings"

	"github.com/google/licensecheck"
)

// urlSize returns the size of the URL at the start of a text that begins with the word http or https, or 0 where it is none of a host
// below .org or .com with a path. A slash at its end belongs to it.
func urlSize(text []byte) int {
	at := len("http")
	at += letterSize(text[at:], 's', "ſ")
	if !bytes.HasPrefix(text[at:], []byte("://")) {
		return 0
	}
	at += len("://")
	host := urlRun(text[at:], "-_.")
	if host < len("a.org") {
		return 0
	}
	at += host
	if top := string(text[at-len(".org") : at]); !strings.EqualFold(top, ".org") && !strings.EqualFold(top, ".com") {
		return 0
	}
	path := at
	for at < len(text) && text[at] == '/' {
		name := urlRun(text[at+1:], "-_.#?=")
		if name == 0 {
			break
		}
		at += 1 + name
	}
	if at == path {
		return 0
	}
	if at < len(text) && text[at] == '/' {
		at++
	}
	return at
}

// urlRun returns for how many bytes from the start of a text on there are letters, digits and some others.
func urlRun(text []byte, others string) int {
	at := 0
	for at < len(text) {
		c := text[at]
		switch {
		case foldedASCII[c] != 0 || strings.IndexByte(others, c) >= 0:
			at++
		case c >= 0x80:
			size := letterSize(text[at:], 's', "ſ") + letterSize(text[at:], 'k', "\u212a")
			if size == 0 {
				return at
			}
			at += size
		default:
			return at
		}
	}
	return at
}

// letterSize returns the size of a letter at the start of a text, whatever its case, or 0. To Unicode, and so to licensecheck, s and k
// have a third.
func letterSize(text []byte, letter byte, third string) int {
	switch {
	case len(text) > 0 && foldedASCII[text[0]] == letter:
		return 1
	case bytes.HasPrefix(text, []byte(third)):
		return len(third)
	}
	return 0
}

// byURL returns the license that a URL names, and whether there is one: without scheme, a slash or /legalcode at the end, and one more
// name at the end if need be, which in a Creative Commons license is the country.
func (s *Scanner) byURL(url string) (licensecheck.License, bool) {
	url = strings.TrimPrefix(url, "http://")
	url = strings.TrimPrefix(url, "https://")
	url = strings.TrimSuffix(url, "/")
	url = strings.ToLower(strings.TrimSuffix(url, "/legalcode"))
	if l, ok := s.urls[url]; ok {
		return l, true
	}
	if slash := strings.LastIndexByte(url, '/'); slash >= 0 {
		url = url[:slash]
	}
	l, ok := s.urls[url]
	return l, ok
}
