package licensetext

import (
	"bytes"
	"errors"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/licensecheck"
)

// handmade are patterns in which everything that is difficult comes together: nested and empty groups, wildcards after and in each other's
// way, cuts that are due at different words, shared beginnings.
var handmade = []licensecheck.License{
	{ID: "Plain", Type: licensecheck.Notice, LRE: "the note is not a copy", URL: "opensource.org/licenses/plain"},
	{ID: "Longer", Type: licensecheck.Unrestricted, LRE: "the note is not a copy\n((of this note))??\n((and || or\n((nor))??\n))\nit ends"},
	{ID: "Cut", LRE: "the note __5__ may not be used __4__ to endorse products"},
	{ID: "Adjacent", LRE: "the note __5__ __7__ of this __0__ software"},
	{ID: "Late", LRE: "all rights __6__\n((without))??\n((any || the || (c) ))\nlimits at all"},
	{ID: "Nested", LRE: "all rights\n((\n((\n((are reserved))??\nby __3__\n))\n|| belong\n))\nto nobody"},
	{ID: "Two", LRE: "to nobody"},
	{ID: "Three", LRE: "nobody is here"},
	{ID: "Sign", LRE: "copyright http //** which is no license **// noninfringement"},
	{ID: "Address", URL: "example.com/licenses/address"},
	{ID: "Nowhere", URL: ".org/x"},
	{ID: "Tail", LRE: "http note __5__ no\n((\n((ab))\nab ||\n))\n((b c d))??"},
	{ID: "Accents", LRE: "copy aaaa eeee iiii oooo uuuu"},
}

func scanners(t testing.TB, licenses []licensecheck.License) (*licensecheck.Scanner, *Scanner) {
	t.Helper()
	want, err := licensecheck.NewScanner(licenses)
	if err != nil {
		t.Fatal(err)
	}
	got, err := New(licenses)
	if err != nil {
		t.Fatal(err)
	}
	return want, got
}

func TestHandmade(t *testing.T) {
	want, got := scanners(t, handmade)
	for _, test := range []struct {
		text string
		ids  string
	}{
		{"", ""},
		{"note", ""},
		{"The note is NOT a copy", "Plain"},
		{"These notes are not a copy", ""}, // the first two words are not corrected
		{"The note are not a copies of this note, or nor it ends", "Longer"},
		{"The note is not a copy of this note, or nor it goes on", "Plain"},
		{"The note is nota copy", "Plain"},
		{"The note is no-\nt a co-py and it ends", "Longer"},
		{"The note is not a copyand it ends", "Longer"},
		{"The note is not a copyit", "Plain"},
		{"The note of mine may not be usedto endorse product(s)", "Cut"},
		{"The note may not may not be used to endorse products", "Cut"},
		{"The note may not be may not be used to endorse products", ""}, // cut
		{"The note a b c d e of this software", "Adjacent"},
		{"All rights without c limits at all", "Late"},
		{"All rights without © limits at all, to nobody", "Late Two"},
		{"All rights are reserved by whom to nobody is here", "Nested"},
		{"to nobody is here", "Two Three"}, // see find
		{"Copyright (c) 2001, HTTPS: non-\ninfringement", ""},
		{"(c) HTTPS: non-\ninfringement", "Sign"},
		{"&copy; ©http nonin-fringement", "Sign"},
		{"https://Example.com/licenses/address/ https://opensource.org/licenses/PLAIN/legalcode", "Address Plain"},
		{"HTTPS://example.com/licenses/address/ http://example.com/licenses/", ""},
		{"http://.org/x", ""},
		{"http note no ab ab to no", "Tail"}, // cut before "to"
		{"copies ÁÀáà ÉÈéè ÍÌíì ÓÒóò ÚÙúù", "Accents"},
		{"https://example.com/licenses/address/de/ and nothing else", "Address"},
	} {
		found := same(t, want, got, []byte(test.text))
		var ids []string
		for _, m := range found.Match {
			ids = append(ids, m.ID)
		}
		if strings.Join(ids, " ") != test.ids {
			t.Errorf("%q: %v, want %v", test.text, ids, test.ids)
		}
	}
	s := newSampler(t, handmade, 3, near...)
	for i := range 20_000 {
		same(t, want, got, []byte(s.text(60, 4+i%20)))
	}
}

// Which word a misspelled one is taken for depends on where both are first in the licenses, also when these are read in parts.
func TestOrder(t *testing.T) {
	licenses := []licensecheck.License{
		{ID: "A", LRE: "the first of all"},
		{ID: "B", LRE: "the second has more words than the first one"},
		{ID: "C", LRE: "one of\n((notes first || nota second || noted third))"},
		{ID: "D", LRE: "the last has\n((noted first || note second || nota third || notk last))"},
	}
	for _, processors := range []int{1, 2, 3, 8} {
		before := runtime.GOMAXPROCS(processors)
		want, got := scanners(t, licenses)
		runtime.GOMAXPROCS(before)
		for _, begin := range []string{"one of", "the last has"} {
			for _, word := range []string{"notx", "notxd", "notek", "not", "nots"} {
				for _, end := range []string{"first", "second", "third", "last"} {
					same(t, want, got, []byte(begin+" "+word+" "+end))
				}
			}
		}
	}
}

// Licensecheck finds nothing more where a match is only the word that it shares with the one before and what is remembered
// is a beginning: it finds that match again, without end.
func TestRepetition(t *testing.T) {
	s, err := New([]licensecheck.License{{ID: "A", LRE: "q g fg"}, {ID: "B", LRE: "f g"}, {ID: "C", LRE: "g a b"}, {ID: "D", LRE: "a a b"}})
	if err != nil {
		t.Fatal(err)
	}
	got := s.Scan([]byte("q g fg a b"))
	want := licensecheck.Coverage{Percent: 80, Match: []licensecheck.Match{{ID: "A", Start: 0, End: 6}, {ID: "B", Start: 4, End: 6}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// No license of licensecheck's is so short that its scanner would not return.
func TestBuiltinPatternsAreLong(t *testing.T) {
	s := newSampler(t, licensecheck.BuiltinLicenses(), 0)
	for i := range s.patterns {
		if p := &s.patterns[i]; shortest(p.root) < 4 {
			t.Errorf("pattern %d matches %d words", i, shortest(p.root))
		}
	}
}

func shortest(e expression) int {
	n := 0
	switch e := e.(type) {
	case words:
		n = e.to - e.from
	case sequence:
		for _, item := range e {
			n += shortest(item)
		}
	case choice:
		n = shortest(e[0])
		for _, item := range e {
			n = min(n, shortest(item))
		}
	}
	return n
}

func TestErrors(t *testing.T) {
	for _, test := range []struct{ lre, err string }{
		{"a b", ""},
		{"a b ((", "license X: byte 4: (( is not the first on its line"},
		{"a b\n((", "license X: (( without ))"},
		{"a b\n))", "license X: byte 4: )) without (("},
		{"a b\n((c)) d", "license X: byte 7: )) is not the last on its line"},
		{"a b || c d", "license X: byte 4: || outside (( ))"},
		{"a b ??", "license X: byte 4: ?? is not between )) and the end of the line"},
		{"a b\n((c))??", ""},
		{"a b\n((c))?? d", "license X: byte 9: ?? is not between )) and the end of the line"},
		{"a b\n((c))????", "license X: byte 9: ?? is not between )) and the end of the line"},
		{"a b\n((\n((c))??\n))??\r\n", ""},
		{"a b //** c", "license X: byte 4: //** without **//"},
		{"a b //** (( **// c", ""},
		{"a b // c", ""},
		{"a b __99999999999999999999__ c", "license X: byte 4: wildcard of too many words"},
		{"a b __3__", "license X: wildcard without words after it"},
		{"a b\n((__3__ c || __3__))", "license X: wildcard without words after it"},
		{"a b __3__\n((c))??", "license X: wildcard without words after it"},
		{"a b _3__ __x__ __3_", ""},
		{"a", "license X: matches a single word"},
		{"a\n((b))??", "license X: matches a single word"},
		{"a __3__ b", "license X: has a wildcard among the first two words"},
		{"__3__ a b", "license X: has a wildcard among the first two words"},
		{"//** **//", "license X: matches the empty text"},
		{"((a b))??", "license X: matches the empty text"},
	} {
		list := []licensecheck.License{{ID: "U", URL: "a.org/b"}, {ID: "X", LRE: test.lre}}
		_, err := New(list)
		if err == nil && test.err != "" || err != nil && err.Error() != test.err {
			t.Errorf("%q: %v, want %v", test.lre, err, test.err)
		}
		if _, want := licensecheck.NewScanner(list); (err == nil) != (want == nil) {
			t.Errorf("%q: %v, licensecheck: %v", test.lre, err, want)
		}
	}
	if _, err := New([]licensecheck.License{{ID: "X", LRE: "a b __65537__ c"}}); !errors.Is(err, errWildcard) {
		t.Errorf("a wildcard of too many words: %v", err)
	}
	if _, err := New([]licensecheck.License{{ID: "U", URL: "a.org/b"}}); err == nil {
		t.Error("a scanner without patterns")
	}
}

// A scanner that may keep next to nothing finds the same, as do many scans at once.
func TestCacheAndConcurrency(t *testing.T) {
	licenses := licensecheck.BuiltinLicenses()
	plain, err := New(licenses)
	if err != nil {
		t.Fatal(err)
	}
	s := newSampler(t, licenses, 4, "someone", "the", "c", "http", "is")
	var texts [][]byte
	var want []licensecheck.Coverage
	for range 80 {
		texts = append(texts, []byte(s.text(150, 30)))
		want = append(want, plain.Scan(texts[len(texts)-1]))
	}
	for _, limit := range []int64{0, 300_000, maxCached} {
		scanner, err := New(licenses)
		if err != nil {
			t.Fatal(err)
		}
		scanner.limit = limit
		var wait sync.WaitGroup
		for g := range 4 {
			wait.Go(func() {
				for i := range texts {
					i = (i + g*len(texts)/4) % len(texts)
					if limit == 0 && i%4 != g { // builds every automaton for every match
						continue
					}
					if got := scanner.Scan(texts[i]); !reflect.DeepEqual(got, want[i]) {
						t.Errorf("with %d bytes: %v, want %v", limit, got, want[i])
					}
				}
			})
		}
		wait.Wait()
		if cached := scanner.cached.Load(); cached > limit+4<<20 { // what four scans make until they look at it
			t.Errorf("%d bytes with a limit of %d", cached, limit)
		}
	}
}

// What would be searched again and again from each place in a text is not. Were the time not linear, these would not end.
func TestHostile(t *testing.T) {
	_, got := scanners(t, handmade)
	const size = 4 << 20
	for _, piece := range []string{
		"<", "<a", "<a ", "</", "&", "&a", "&#", "&#x1", "{#", "{#a", "](#", "](#a", "](http://", "(", "(c", "(c)", "©", "\xff", "é", "a", "http", "http://", "http://a.org/",
		"the note ", "the note is not a ", "the note may ", "all rights ", "http://a.com/http/", "copyright ", "copyright 1 ", "notethe ", "to nobody ",
	} {
		found := got.Scan(bytes.Repeat([]byte(piece), size/len(piece)))
		if n := len(found.Match); n > 0 && piece != "to nobody " {
			t.Errorf("%q: %d licenses", piece, n)
		}
	}
}
