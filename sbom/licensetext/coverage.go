package licensetext

import (
	"bytes"

	"github.com/google/licensecheck"
)

// maxCopyright is how many words before a license its copyright lines may take up.
const maxCopyright = 50

// coverage collects what is found in a text, from its beginning to its end.
type coverage struct {
	scanner *Scanner
	text    []byte
	words   []word

	found   licensecheck.Coverage
	covered int // words
	done    int // words up to which all is found
}

// match adds a license that some words are, with the copyright lines and after the URLs before it.
func (c *coverage) match(license int32, from, to int) {
	for i := max(c.done, from-maxCopyright); i < from; i++ {
		if c.words[i].number == copyrightWord {
			from = i
			break
		}
	}
	c.urls(from)
	l := c.scanner.licenses[license]
	c.found.Match = append(c.found.Match, licensecheck.Match{
		ID: l.ID, Type: l.Type, Start: c.lineStart(from), End: c.lineEnd(to),
	})
	c.covered += to - from
	c.done = to
}

// finish adds the URLs after the last license and returns all that was found.
func (c *coverage) finish() licensecheck.Coverage {
	c.urls(len(c.words))
	if len(c.words) > 0 {
		c.found.Percent = 100 * float64(c.covered) / float64(len(c.words))
	}
	return c.found
}

// urls adds the URLs that name licenses and that end before a word.
func (c *coverage) urls(before int) {
	for i := c.done; i < before; i++ {
		w := c.words[i]
		if w.number != httpWord {
			continue
		}
		start := int(w.lo)
		end := start + urlSize(c.text[start:])
		if end == start || before < len(c.words) && end > int(c.words[before].lo) {
			continue
		}
		l, known := c.scanner.byURL(string(c.text[start:end]))
		if !known {
			continue
		}
		c.found.Match = append(c.found.Match, licensecheck.Match{
			ID: l.ID, Type: l.Type, Start: start, End: end, IsURL: true,
		})
		first := i
		for i < before && int(c.words[i].hi) <= end {
			i++
		}
		c.covered += i - first
		i--
	}
}

// lineStart returns where the line of a word begins, or, if there are words before it on its line, the word.
func (c *coverage) lineStart(i int) int {
	if i == 0 {
		return 0
	}
	before, start := int(c.words[i-1].hi), int(c.words[i].lo)
	if newline := bytes.LastIndexByte(c.text[before:start], '\n'); newline >= 0 {
		return before + newline + 1
	}
	return start
}

// lineEnd returns where the line of the word before i ends, or, if there are words after it on its line, that word.
func (c *coverage) lineEnd(i int) int {
	end := int(c.words[i-1].hi)
	if i == len(c.words) {
		return len(c.text)
	}
	if newline := bytes.IndexByte(c.text[end:c.words[i].lo], '\n'); newline >= 0 {
		return end + newline + 1
	}
	return end
}
