package licensetext

// reader matches at the words of one text.
type reader struct {
	text       []byte
	words      []word
	vocabulary []string

	// The word at hand and the one after it, as they are written.
	written, following []byte
}

// longest returns the license whose pattern matches the most words of a text, from a state on that is reached before the word at,
// and where the match ends; of several, the first. It is noLicense where none matches.
func (r *reader) longest(s *state, at int) (license int32, end int) {
	license = noLicense
	for at < len(r.words) {
		if s.license != noLicense {
			license, end = s.license, at
		}
		anything, edges := s.any()
		if e := edgeFor(edges, r.words[at].number); e != nil {
			s = s.follow(e)
			at++
			continue
		}
		c := r.correct(s, edges, at)
		switch {
		case c.to != nil:
			if c.passed != noLicense {
				license, end = c.passed, at
			}
			s = c.to
			at += c.words
		case anything != nil:
			s = s.follow(anything)
			at++
		default:
			return license, end
		}
	}
	if s.license != noLicense {
		license, end = s.license, len(r.words)
	}
	return license, end
}

// edgeFor returns the edge for a word, or nil.
func edgeFor(edges []edge, number int32) *edge {
	for i := range edges {
		if edges[i].word >= number {
			if edges[i].word == number {
				return &edges[i]
			}
			return nil
		}
	}
	return nil
}

// correction is where a misspelled word leads.
type correction struct {
	to     *state // nil where it cannot be what is expected
	words  int    // how many words of the text it takes
	passed int32  // the license that was complete between the halves of a word that should be two, else noLicense
}

// correct finds the expected word that the one at a position is to be. Words with lower numbers come first. Each of them may stand
// there in two parts, or in one with the word expected after it, or misspelled.
func (r *reader) correct(s *state, edges []edge, at int) correction {
	if len(edges) == 0 {
		return correction{}
	}
	r.written = r.fold(r.written, at)
	r.following = r.fold(r.following, at+1)
	for i := range edges {
		expected := r.vocabulary[edges[i].word]
		if isJoined(expected, r.written, r.following) {
			return correction{to: s.follow(&edges[i]), words: 2, passed: noLicense}
		}
		if len(r.written) > len(expected) && string(r.written[:len(expected)]) == expected {
			middle := s.follow(&edges[i])
			if e := r.rest(middle, r.written[len(expected):]); e != nil {
				return correction{to: middle.follow(e), words: 1, passed: middle.license}
			}
		}
		if isMisspelled(expected, r.written) {
			return correction{to: s.follow(&edges[i]), words: 1, passed: noLicense}
		}
	}
	return correction{}
}

// fold returns the word at a position as it is written, in a buffer. Behind the last word it is empty.
func (r *reader) fold(buffer []byte, at int) []byte {
	if at >= len(r.words) {
		return buffer[:0]
	}
	w := r.words[at]
	return appendFolded(buffer[:0], r.text[w.lo:w.hi])
}

// rest returns the edge from s for the second half of a word, or nil.
func (r *reader) rest(s *state, half []byte) *edge {
	anything, edges := s.any()
	for i := range edges {
		if r.vocabulary[edges[i].word] == string(half) {
			return &edges[i]
		}
	}
	return anything
}

// isJoined tells whether two parts are an expected word.
func isJoined(expected string, first, second []byte) bool {
	return len(expected) == len(first)+len(second) &&
		expected[:len(first)] == string(first) && expected[len(first):] == string(second)
}

// isMisspelled tells whether a word is an expected one with a byte more, less or changed, of which one has to have four bytes, or
// whether both mean copyright.
func isMisspelled(expected string, written []byte) bool {
	switch expected {
	case "c", "copyright":
		switch string(written) {
		case "c", "copyright", "©":
			return true
		}
	}
	if max(len(expected), len(written)) < 4 {
		return false
	}
	same := 0
	for same < min(len(expected), len(written)) && expected[same] == written[same] {
		same++
	}
	want, have := expected[same:], written[same:]
	switch len(want) - len(have) {
	case 0:
		return len(want) == 0 || want[1:] == string(have[1:])
	case 1:
		return want[1:] == string(have)
	case -1:
		return want == string(have[1:])
	}
	return false
}
