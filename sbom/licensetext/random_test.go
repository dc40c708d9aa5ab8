package licensetext

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/licensecheck"
)

// near are words that are easily taken for each other, which is where a scanner has most to decide.
var near = []string{
	"note", "notes", "nota", "no", "te", "not", "ten", "tenth", "notten", "a", "b", "ab", "aaaa", "aaab", "aaaaa", "aa", "aaa",
	"copyright", "c", "(c)", "©", "the", "these", "this", "it", "them", "is", "are", "copy", "copies", "http", "https", "copyrights",
}

// writer writes license regular expressions, most of them well-formed.
type writer struct {
	*rand.Rand
	words []string
	wrong int // one in so many operators is another
	most  int // words of a wildcard
}

func (w *writer) word() string { return w.words[w.IntN(len(w.words))] }

func (w *writer) some(most int) string {
	var words []string
	for range 1 + w.IntN(most) {
		words = append(words, w.word())
	}
	return strings.Join(words, " ")
}

func (w *writer) operator(right string) string {
	if w.wrong == 0 || w.IntN(w.wrong) > 0 {
		return right
	}
	return []string{
		"((", "))", "\n((", "))\n", "??", "))??\n", "||", "", "__", "__x__", "__5", "//**", "**//", "//** note **//", "__99999999999999999999__",
		"__007__", "?", "(", "____2__", "__2____3__", " ))  ??\r\n", "\t((", "))\r\n", "/", "(()) ", "\n(( ))\n",
	}[w.IntN(24)]
}

func (w *writer) expression(depth int) string {
	var b strings.Builder
	for range 1 + w.IntN(4) {
		switch kind := w.IntN(10); {
		case kind < 4 || depth == 0:
			b.WriteString(w.some(4))
		case kind < 6:
			b.WriteString(w.operator(fmt.Sprintf("__%d__", w.IntN(w.most+1))))
		default:
			b.WriteString(w.operator("\n(("))
			for i := range 1 + w.IntN(3) {
				if i > 0 {
					b.WriteString(w.operator("||"))
				}
				if w.IntN(12) > 0 {
					b.WriteString(" " + w.expression(depth-1) + " ")
				}
			}
			b.WriteString(w.operator([]string{"))\n", "))??\n", "))  ??  \n"}[w.IntN(3)]))
		}
		b.WriteString(" ")
	}
	return b.String()
}

// licenses returns a few licenses. They begin with few words, so that most share a beginning.
func (w *writer) licenses() []licensecheck.License {
	var licenses []licensecheck.License
	for i := range 1 + w.IntN(4) {
		lre := w.expression(2)
		if w.IntN(8) > 0 {
			lre = w.words[w.IntN(2)] + " " + w.words[w.IntN(3)] + " " + lre
		}
		if w.IntN(6) > 0 {
			lre += " " + w.some(5)
		}
		for range w.IntN(3) { // what may be absent at the end
			lre += "\n((" + []string{"", w.some(2), w.expression(1)}[w.IntN(3)] + "\n||\n" + w.some(3) + []string{"", "\n||"}[w.IntN(2)] + "\n))" + []string{"", "??"}[w.IntN(2)] + "\n"
		}
		licenses = append(licenses, licensecheck.License{ID: fmt.Sprint("L", i), Type: licensecheck.Type(i), LRE: lre, URL: []string{"", "a.org/x", "opensource.org/licenses/mit"}[w.IntN(3)]})
	}
	return licenses
}

// Scanners of random licenses find the same in texts that these nearly match, or both refuse them.
func TestRandomPatterns(t *testing.T) {
	lists := 4_000
	if testing.Short() {
		lists = 400
	}
	r := rand.New(rand.NewPCG(1, 2))
	refused, found := 0, 0
	for n := range lists {
		w := writer{Rand: r, most: []int{2, 5, 8}[n%3], wrong: []int{0, 0, 30}[r.IntN(3)]}
		for range 3 + r.IntN(6) {
			w.words = append(w.words, near[r.IntN(len(near))])
		}
		matches, ok := compareRandom(t, &w, uint64(n))
		if !ok {
			refused++
		}
		found += matches
	}
	t.Logf("%d lists, %d of them refused; %d licenses found by the others", lists, refused, found)
}

// compareRandom compares two scanners of the same random licenses. It returns how many licenses were found, and whether both took them.
func compareRandom(t *testing.T, w *writer, seed uint64) (found int, ok bool) {
	licenses := w.licenses()
	defer func() {
		if t.Failed() {
			t.Logf("licenses: %q", licenses)
		}
	}()
	want, wantErr := licensecheck.NewScanner(licenses)
	got, err := New(licenses)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("licensecheck: %v\nhere:         %v", wantErr, err)
	}
	if err != nil {
		return 0, false
	}
	s := newSampler(t, licenses, seed, append(w.words, near...)...)
	for range 25 {
		text := s.text(60, 2+s.IntN(20))
		if s.IntN(4) == 0 {
			text = w.some(2) + " " + w.some(60)
		}
		found += len(same(t, want, got, []byte(text)).Match)
	}
	return found, true
}
