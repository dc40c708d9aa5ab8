package licensetext

// The first two numbers of every vocabulary. Both words mean something to a scan whether a pattern has them or not.
const (
	copyrightWord int32 = iota
	httpWord
)

// Numbers that no word of a pattern has.
const (
	unknownWord int32 = -1 // a word of a text that is in no pattern
	anyWord     int32 = -2 // what a wildcard takes
)

// vocabulary numbers the words of the patterns in the order of their first appearance. That order is part of the results: it is
// the one in which corrections of a misspelled word are tried.
type vocabulary struct {
	numbers map[string]int32
	words   []string
}

// word is one of a text, text[lo:hi].
type word struct {
	number int32
	lo, hi int32
}

func newVocabulary() *vocabulary {
	v := &vocabulary{numbers: make(map[string]int32, 1<<13)}
	v.add("copyright")
	v.add("http")
	return v
}

// add returns the number of a word, which is a new one for a new word.
func (v *vocabulary) add(w string) int32 {
	n, known := v.numbers[w]
	if !known {
		n = int32(len(v.words))
		v.words = append(v.words, w)
		v.numbers[w] = n
	}
	return n
}

// appendNumbers appends the numbers of a pattern's words to dst, and adds those that are new to the vocabulary.
func (v *vocabulary) appendNumbers(dst []int32, s *splitter) []int32 {
	first := len(dst)
	for s.next() {
		n, known := v.numbers[string(s.word)]
		if !known {
			n = v.add(string(s.word))
		}
		if n == copyrightWord && len(dst) > first && dst[len(dst)-1] == n {
			continue
		}
		dst = append(dst, n)
	}
	return dst
}

// split returns the words of a text.
func (v *vocabulary) split(text []byte) []word {
	words := make([]word, 0, len(text)/6)
	s := splitter{text: text}
	for s.next() {
		n, known := v.numbers[string(s.word)]
		if !known {
			n = unknownWord
		}
		// "Copyright (c)" says it once.
		if n == copyrightWord && len(words) > 0 && words[len(words)-1].number == n {
			continue
		}
		words = append(words, word{number: n, lo: int32(s.lo), hi: int32(s.hi)})
	}
	return words
}

// join adds the words of another vocabulary in their order and returns their numbers here by those that they had there.
func (v *vocabulary) join(other *vocabulary) []int32 {
	numbers := make([]int32, len(other.words))
	for i, w := range other.words {
		numbers[i] = v.add(w)
	}
	return numbers
}
