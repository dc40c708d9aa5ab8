package generate

import (
	"bytes"
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/anchore/syft/syft/file"
	"github.com/anchore/syft/syft/pkg/cataloger/binary"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestSievePatterns holds the patterns that sieves were made for against the source of the library.
func TestSievePatterns(t *testing.T) {
	want := map[string][]string{
		"nodejs-binary": {
			`(?m)\x00(node )?v(?P<version>(0|4|5|6)\.[0-9]+\.[0-9]+)\x00`,
			`(?m)node\.js\/v(?P<version>[0-9]+\.[0-9]+\.[0-9]+)`,
		},
	}
	got := map[string][]string{}
	source := filepath.Join(syftModule(t, "Dir"), "syft", "pkg", "cataloger", "binary", "classifiers.go")
	parsed, err := parser.ParseFile(token.NewFileSet(), source, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		literal, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		class, patterns := "", []string(nil)
		for _, e := range literal.Elts {
			field, ok := e.(*ast.KeyValueExpr)
			if !ok {
				continue
			}
			switch fmt.Sprint(field.Key) {
			case "Class":
				class = texts(field.Value)[0]
			case "EvidenceMatcher":
				patterns = texts(field.Value)
			}
		}
		if sieves[class] != nil {
			got[class] = append(got[class], patterns...)
		}
		return true
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("patterns of classifiers (-sieve +library); see whether the sieve fits them:\n%s", diff)
	}
}

// texts are the string literals of an expression.
func texts(e ast.Expr) []string {
	var out []string
	ast.Inspect(e, func(n ast.Node) bool {
		if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
			if s, err := strconv.Unquote(l.Value); err == nil {
				out = append(out, s)
			}
		}
		return true
	})
	return out
}

// versions are what a program may hold: what a pattern finds, what it does not, and parts of both.
var versions = []string{
	"\x00v4.9.1\x00", "\x00node v0.10.48\x00", "node.js/v22.9.0", "\x00v22.9.0\x00", "\x00v4.9", ".1\x00", "node.js/", "node.js/v1.2 ", "v5.6.7\x00",
	"\nv6.1.2\x00", "node v6.0.1",
}

// TestSieved wants classifiers to find the same with sieves as without, whatever a program holds and however it is read.
func TestSieved(t *testing.T) {
	found := 0
	rapid.Check(t, func(t *rapid.T) {
		content := bytes.Repeat([]byte(rapid.SampledFrom([]string{".", "v", "\x00v", "0", "node "}).Draw(t, "filling")), 3*piece)
		content = content[:rapid.IntRange(0, 5).Draw(t, "halves")*overlap+rapid.IntRange(0, 30).Draw(t, "rest")]
		for range rapid.IntRange(0, 4).Draw(t, "versions") {
			at := rapid.IntRange(0, 5).Draw(t, "half")*overlap + rapid.IntRange(-20, 20).Draw(t, "off")
			if at >= 0 && at < len(content) {
				copy(content[at:], rapid.SampledFrom(versions).Draw(t, "version"))
			}
		}
		short := rapid.SampledFrom([]int{piece, overlap, piece - 7, 300_001}).Draw(t, "read at once")
		found += sameSieved(t, programOf{content: content, short: short})
	})
	if found == 0 {
		t.Error("no version was found at all")
	}
}

// TestSievedEnds is TestSieved for versions across the end of a piece and of what is looked at with the next.
func TestSievedEnds(t *testing.T) {
	found := 0
	for _, version := range versions {
		for off := range len(version) + 2 {
			for _, end := range []int{piece, piece + overlap} {
				content := bytes.Repeat([]byte{'.'}, end+100)
				copy(content[end-off:], version)
				found += sameSieved(t, programOf{content: content, short: piece})
			}
		}
	}
	if found == 0 {
		t.Error("no version was found at all")
	}
}

// TestSievedJoins is TestSieved for pieces that would make a version together if the one between them were left out.
func TestSievedJoins(t *testing.T) {
	content := bytes.Repeat([]byte{'.'}, 5*piece)
	copy(content, "node.js/v1.2 ") // so that this piece is passed on
	copy(content[piece-len("node.js/"):], "node.js/")
	copy(content[3*piece:], "v22.9.0 ")
	copy(content[4*piece+overlap:], "node.js/v1.2 ") // and the one before this
	if n := sameSieved(t, programOf{content: content, short: piece}); n > 0 {
		t.Errorf("%d versions in a program without", n)
	}
}

// sameSieved wants a program to be the same packages with a sieve as in a file on a disk without one, and returns how many.
func sameSieved(t fataler, program programOf) int {
	want := programOf{content: program.content, short: piece}.classify(t, binary.DefaultClassifierCatalogerConfig())
	if diff := cmp.Diff(want, program.classify(t, sieved(binary.DefaultClassifierCatalogerConfig()))); diff != "" {
		t.Fatalf("packages (-without +with a sieve):\n%s", diff)
	}
	return len(want)
}

// fataler is a test or one of many checks of a property.
type fataler interface {
	Fatalf(format string, args ...any)
}

// programOf is an image with one program, of which no more than short bytes are read at once.
type programOf struct {
	file.Resolver
	content []byte
	short   int
}

// classify finds packages with the classifiers of the class that has a sieve.
func (p programOf) classify(t fataler, c binary.ClassifierCatalogerConfig) []string {
	c.Classifiers = slices.Clone(c.Classifiers)
	for i := len(c.Classifiers) - 1; i >= 0; i-- {
		if sieves[c.Classifiers[i].Class] == nil {
			c.Classifiers = slices.Delete(c.Classifiers, i, i+1)
		}
	}
	packages, _, err := binary.NewClassifierCataloger(c).Catalog(context.Background(), p)
	if err != nil {
		t.Fatalf("%v", err)
	}
	var out []string
	for _, found := range packages {
		out = append(out, fmt.Sprint(found.Name, found.Version, found.PURL, found.Locations.ToSlice(), found.Metadata))
	}
	return out
}

func (p programOf) FilesByGlob(patterns ...string) ([]file.Location, error) {
	if slices.Contains(patterns, "**/node") {
		return []file.Location{file.NewLocation("/usr/bin/node")}, nil
	}
	return nil, nil
}

func (p programOf) FileContentsByLocation(file.Location) (io.ReadCloser, error) {
	return shortFile{bytes.NewReader(p.content), p.short}, nil
}

// shortFile reads no more than so many bytes at once.
type shortFile struct {
	*bytes.Reader
	short int
}

func (f shortFile) Read(p []byte) (int, error) { return f.Reader.Read(p[:min(len(p), f.short)]) }
func (f shortFile) Close() error               { return nil }

// TestSieveLeavesOut wants what a sieve passes on to be the pieces about a version, and a sieve to have no part in any other way of
// reading.
func TestSieveLeavesOut(t *testing.T) {
	content := make([]byte, 40*piece)
	copy(content[20*piece+100:], "node.js/v22.9.0")
	open := func() *sievedFile {
		return &sievedFile{File: shortFile{bytes.NewReader(content), piece}, may: mayNameNode}
	}
	var pieces []int
	for f, p := open(), make([]byte, piece); ; {
		n, err := f.Read(p)
		if err != nil {
			break
		}
		pieces = append(pieces, n)
	}
	// Line feeds; the piece before, for its end; the piece; and no more, since its second half has none.
	if diff := cmp.Diff([]int{piece, piece, piece}, pieces); diff != "" {
		t.Errorf("lengths of what is passed on (-want +got):\n%s", diff)
	}
	f := open()
	if all, err := io.ReadAll(io.LimitReader(f, 1<<40)); err != nil || !bytes.Equal(all, content) {
		t.Errorf("another reader has %d bytes of %d, %v", len(all), len(content), err)
	}
	f = open()
	if _, err := f.Read(make([]byte, piece)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Seek(5, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	rest := make([]byte, piece)
	if n, err := io.ReadFull(f, rest); err != nil || !bytes.Equal(rest[:n], content[5:5+n]) {
		t.Errorf("after a move, other bytes, or %v", err)
	}
	if n, err := f.ReadAt(rest[:15], 20*piece+100); err != nil || string(rest[:n]) != "node.js/v22.9.0" {
		t.Errorf("at a place, %q, %v", rest[:n], err)
	}
}
