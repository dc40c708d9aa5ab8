package apt

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
)

// TestStanzaReader compares with strings.Split, whatever the sizes of the reads.
func TestStanzaReader(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		paragraph := rapid.StringMatching(`[A-C]: [a-c]{0,20}(\n [a-c]{1,9}){0,3}`)
		paragraphs := rapid.SliceOf(paragraph).Draw(t, "paragraphs")
		gaps := rapid.SliceOfN(rapid.IntRange(2, 4), len(paragraphs)+1, len(paragraphs)+1).Draw(t, "gaps")
		text := strings.Repeat("\n", gaps[0]-2)
		for i, p := range paragraphs {
			text += p + strings.Repeat("\n", gaps[i+1])
		}
		text = text[:max(0, len(text)-rapid.IntRange(0, 2).Draw(t, "cut"))]

		want := slices.Clone(paragraphs)
		s := newStanzaReader(iotest.OneByteReader(strings.NewReader(text)))
		s.buf = make([]byte, rapid.IntRange(1, 30).Draw(t, "buffer"))
		var got []string
		for {
			p, err := s.next()
			if err != nil {
				t.Fatal(err)
			}
			if p == nil {
				break
			}
			got = append(got, strings.TrimSuffix(string(p), "\n"))
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%q: got %q, want %q", text, got, want)
		}
	})
}

func TestStanzaTooLarge(t *testing.T) {
	s := newStanzaReader(io.LimitReader(endless('x'), 1<<30))
	if _, err := s.next(); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("error is %v", err)
	}
	if len(s.buf) > 2*maxStanza {
		t.Errorf("the buffer has %d bytes", len(s.buf))
	}
}

type endless byte

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(e)
	}
	return len(p), nil
}

func TestBombIsRefused(t *testing.T) {
	b := &boundedReader{endless('\n'), 1000}
	if n, err := io.Copy(io.Discard, b); err == nil || n > 1000 {
		t.Errorf("read %d bytes, %v", n, err)
	}
}

// TestTable checks that a table says of the wanted packages what the index says.
func TestTable(t *testing.T) {
	const index = `
Package: a
Version: 1
Description: left out
 Package: not a field
Depends: x,
 y

Version: 2
pAcKaGe:   b
Tag: left out
SHA256: ff


Package: c
Version: 3

Version: 4
Architecture: nameless

Package: a
Version: 5`
	var table bytes.Buffer
	z, err := zstd.NewWriter(&table)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(reduce(z, strings.NewReader(index)), z.Close()); err != nil {
		t.Fatal(err)
	}
	var got []record
	err = scanTable(&table, map[string]struct{}{"a": {}, "b": {}}, func(r record) { got = append(got, r) })
	if err != nil {
		t.Fatal(err)
	}
	want := []record{
		{fieldPackage: "a", fieldVersion: "1", fieldDepends: "x,\n y"},
		{fieldPackage: "b", fieldVersion: "2", fieldSHA256: "ff"},
		{fieldPackage: "a", fieldVersion: "5"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzPackages(f *testing.F) {
	f.Add("Package: a\nVersion: 1\nArchitecture: amd64\nDepends: b (>= 1) | c:any\nFilename: a\nSize: 1\nSHA256: " + fmt.Sprintf("%064x", 1))
	f.Add("Package: a\nFilename: ../x\n\n\n b\n:\n")
	f.Fuzz(func(t *testing.T, text string) {
		var table bytes.Buffer
		if err := reduce(&table, strings.NewReader(text)); err != nil {
			t.Fatal(err) // only a stanza of megabytes is an error
		}
		in, fields := newStanzaReader(&table), newFieldIndex()
		for {
			stanza, err := in.next()
			if err != nil {
				t.Fatal(err)
			}
			if stanza == nil {
				return
			}
			r := fields.record(stanza)
			c, err := r.candidate("http://x.example")
			if err != nil {
				continue
			}
			if rest, ok := strings.CutPrefix(c.Artifact.URL, "http://x.example/"); !ok || strings.HasPrefix(rest, "../") || c.Artifact.Size <= 0 {
				t.Errorf("artifact %+v", c.Artifact)
			}
		}
	})
}

func TestParseRelations(t *testing.T) {
	rel := func(name, arch, op, version string) ecosystem.Relation {
		return ecosystem.Relation{Name: name, Arch: arch, Op: op, Version: version}
	}
	tests := []struct {
		in   string
		want []ecosystem.Clause
	}{
		{"", nil},
		{"libc6", []ecosystem.Clause{{rel("libc6", "", "", "")}}},
		{"libc6 (>= 2.36), python3:any|pypy3(<<3),", []ecosystem.Clause{{rel("libc6", "", ">=", "2.36")}, {rel("python3", "any", "", ""), rel("pypy3", "", "<", "3")}}},
		{"a (>> 1:2-3~)\n , b:amd64 ( = 0:4 )", []ecosystem.Clause{{rel("a", "", ">", "1:2-3~")}, {rel("b", "amd64", "=", "4")}}},
		{"a (< 1), b (> 1), c (<= 1), d (1)", []ecosystem.Clause{{rel("a", "", "<=", "1")}, {rel("b", "", ">=", "1")}, {rel("c", "", "<=", "1")}, {rel("d", "", "=", "1")}}},
	}
	for _, tt := range tests {
		got, err := parseRelations(tt.in, "")
		if err != nil {
			t.Errorf("%q: %v", tt.in, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%q: %s", tt.in, diff)
		}
	}
	for _, in := range []string{"a b", "a (>= 1", "a (>=)", "a (=> 1)", "a (>= 1) b", "(>= 1)", "a | | b", "a [amd64]", "a (>= 1 2)"} {
		if got, err := parseRelations(in, ""); err == nil {
			t.Errorf("%q is taken for %v", in, got)
		}
	}
}
