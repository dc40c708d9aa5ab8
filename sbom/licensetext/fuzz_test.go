package licensetext

import (
	"regexp"
	"testing"

	"github.com/google/licensecheck"
)

func FuzzScan(f *testing.F) {
	want, got := builtin(f)
	smallWant, small := scanners(f, handmade)
	s := newSampler(f, licensecheck.BuiltinLicenses(), 5, near...)
	for range 60 {
		f.Add([]byte(s.text(60, 10)))
	}
	s = newSampler(f, handmade, 6, near...)
	for range 60 {
		f.Add([]byte(s.text(60, 10)))
	}
	for _, text := range insertions {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		same(t, want, got, text)
		same(t, smallWant, small, text)
	})
}

// longWildcard is more than licensecheck builds in no time.
var longWildcard = regexp.MustCompile(`__[0-9]*[0-9][0-9]__`)

func FuzzNew(f *testing.F) {
	for _, l := range handmade {
		f.Add(l.LRE, "the note a "+l.LRE, l.LRE)
	}
	f.Fuzz(func(t *testing.T, lre, other, text string) {
		if len(lre)+len(other) > 400 || longWildcard.MatchString(lre+" "+other) {
			t.Skip("may take licensecheck long")
		}
		licenses := []licensecheck.License{{ID: "A", LRE: lre}, {ID: "B", LRE: other}, {ID: "C", LRE: "a note"}}
		want, wantErr := licensecheck.NewScanner(licenses)
		got, err := New(licenses)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("licensecheck: %v\nhere:         %v", wantErr, err)
		}
		if err != nil {
			return
		}
		for _, text := range []string{text, lre, other, lre + other} {
			same(t, want, got, []byte(text))
		}
	})
}
