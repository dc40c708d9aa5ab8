package generate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"io"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/anchore/syft/syft/file"
	"github.com/anchore/syft/syft/pkg/cataloger/binary"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// nodePatterns are those of the classifier of node.
var nodePatterns = []string{
	`(?m)\x00(node )?v(?P<version>(0|4|5|6)\.[0-9]+\.[0-9]+)\x00`,
	`(?m)node\.js\/v(?P<version>[0-9]+\.[0-9]+\.[0-9]+)`,
}

// TestSievePatterns holds the patterns that sieves were made for against the source of the library.
func TestSievePatterns(t *testing.T) {
	want := map[string][]string{"nodejs-binary": nodePatterns}
	got := map[string][]string{}
	parsed := syftSource(t, token.NewFileSet(), "syft/pkg/cataloger/binary/classifiers.go")
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
	"\x00v4.9.1\x00", "\x00v5.1.1\x00", "\x00v6.17.1\x00", "\x00node v0.10.48\x00", "node.js/v22.9.0", "\x00v22.9.0\x00", "\x00v4.9", ".1\x00",
	"node.js/", "node.js/v1.2 ", "v5.6.7\x00", "\nv6.1.2\x00", "node v6.0.1",
}

// piecewise finds the first match of a pattern as the library does (processReaderInChunks): in a piece and the last half of the one
// before it.
func piecewise(pattern *regexp.Regexp, r io.Reader, size int) string {
	var before []byte
	for p := make([]byte, size); ; {
		n, err := r.Read(p)
		if err != nil {
			return ""
		}
		seen := append(before[max(0, len(before)-size/2):], p[:n]...)
		if match := pattern.FindSubmatch(seen); match != nil {
			return string(match[pattern.SubexpIndex("version")])
		}
		before = append([]byte(nil), p[:n]...)
	}
}

// TestSieved wants the same to be found with a sieve as without, whatever a program holds and however it is read. Its pieces are
// small, so that there are many.
func TestSieved(t *testing.T) {
	const size = 64
	var patterns []*regexp.Regexp
	for _, p := range nodePatterns {
		patterns = append(patterns, regexp.MustCompile(p))
	}
	found, passed, whole := 0, 0, 0
	check := func(t *rapid.T) {
		content := bytes.Repeat([]byte(rapid.SampledFrom([]string{".", "v", "\x00v", "0", "node "}).Draw(t, "filling")), 10*size)
		content = content[:rapid.IntRange(0, 10*size).Draw(t, "length")]
		for range rapid.IntRange(0, 5).Draw(t, "versions") {
			at := rapid.IntRange(0, 20).Draw(t, "half")*size/2 + rapid.IntRange(-20, 20).Draw(t, "off")
			if at >= 0 && at < len(content) {
				copy(content[at:], rapid.SampledFrom(versions).Draw(t, "version"))
			}
		}
		short := rapid.SampledFrom([]int{size, size / 2, size - 7, 19}).Draw(t, "read at once")
		for _, pattern := range patterns {
			want := piecewise(pattern, bytes.NewReader(content), size)
			read := 0
			f := &sievedFile{File: shortFile{bytes.NewReader(content), short}, may: mayNameNode, size: size}
			got := piecewise(pattern, counted{f, &read}, size)
			if got != want {
				t.Fatalf("%s finds %q with a sieve, %q without", pattern, got, want)
			}
			if want != "" {
				found++
			} else {
				passed, whole = passed+read, whole+len(content)
			}
		}
	}
	for range 200 { // times what rapid makes at once
		rapid.Check(t, check)
	}
	if found == 0 || passed > whole*2/3 {
		t.Errorf("%d versions found; of programs without, %d bytes of %d are passed on", found, passed, whole)
	}
}

// counted counts the bytes that are read.
type counted struct {
	io.Reader
	read *int
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	*c.read += n
	return n, err
}

// TestSievedClassifier is TestSieved for the library's own classifier: versions across the end of a piece, and pieces that would make a
// version together if those between them were left out.
func TestSievedClassifier(t *testing.T) {
	found := 0
	for _, version := range versions {
		for _, off := range []int{0, 1, len(version) / 2, len(version) - 1, len(version)} {
			content := bytes.Repeat([]byte{'.'}, piece+100)
			copy(content[piece-off:], version)
			found += sameSieved(t, programOf{content: content, short: piece})
		}
	}
	if found == 0 {
		t.Error("no version was found at all")
	}
	content := bytes.Repeat([]byte{'.'}, 5*piece)
	copy(content, "node.js/v1.2 ") // so that this piece is passed on
	copy(content[piece-len("node.js/"):], "node.js/")
	copy(content[3*piece:], "v22.9.0 ")
	copy(content[4*piece+piece/2:], "node.js/v1.2 ") // and the one before this
	if n := sameSieved(t, programOf{content: content, short: 300_001}); n > 0 {
		t.Errorf("%d versions in a program without", n)
	}
}

// sameSieved wants a program to be the same packages with a sieve as in a file on a disk without one, and returns how many.
func sameSieved(t *testing.T, program programOf) int {
	t.Helper()
	want := programOf{content: program.content, short: piece}.classify(t, binary.DefaultClassifierCatalogerConfig())
	if diff := cmp.Diff(want, program.classify(t, sieved(binary.DefaultClassifierCatalogerConfig()))); diff != "" {
		t.Fatalf("packages (-without +with a sieve):\n%s", diff)
	}
	return len(want)
}

// TestSieveUsed wants a document to be made through the sieve, whether or not there is a cache, and in both scopes.
func TestSieveUsed(t *testing.T) {
	content := make([]byte, 4*piece)
	copy(content[2*piece:], "node.js/v22.9.0")
	copy(content, "\x7fELF")
	layers := [][]member{{{path: "usr/bin/node", content: string(content), exec: true}}}
	looked := 0
	may := sieves["nodejs-binary"]
	sieves["nodejs-binary"] = func(b []byte) bool {
		if len(b) >= piece {
			looked++
		}
		return may(b)
	}
	t.Cleanup(func() { sieves["nodejs-binary"] = may })
	for _, dir := range []string{"", t.TempDir()} {
		for _, scope := range Scopes() {
			looked = 0
			d := documentOf(t, New(Options{CacheDir: dir}), scope, layers)
			if len(d.Packages) != 1 || d.Packages[0].Name != "node" || d.Packages[0].Version != "22.9.0" || looked == 0 {
				t.Errorf("%q, %s: %d pieces looked at, %+v", dir, scope, looked, d.Packages)
			}
		}
	}
}

// programOf is an image with one program, of which no more than short bytes are read at once.
type programOf struct {
	file.Resolver
	content []byte
	short   int
}

// classify finds packages with the classifiers of the class that has a sieve.
func (p programOf) classify(t *testing.T, c binary.ClassifierCatalogerConfig) []string {
	t.Helper()
	c.Classifiers = slices.Clone(c.Classifiers)
	for i := len(c.Classifiers) - 1; i >= 0; i-- {
		if sieves[c.Classifiers[i].Class] == nil {
			c.Classifiers = slices.Delete(c.Classifiers, i, i+1)
		}
	}
	packages, _, err := binary.NewClassifierCataloger(c).Catalog(context.Background(), p)
	if err != nil {
		t.Fatal(err)
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

// endingFile ends with an error of its own.
type endingFile struct {
	File
	end error
}

func (f endingFile) Read(p []byte) (int, error) {
	n, err := f.File.Read(p)
	if err != nil {
		err = f.end
	}
	return n, err
}

// TestSieveLeavesOut wants what a sieve passes on to be the pieces about a version, and a sieve to have no part in any other way of
// reading.
func TestSieveLeavesOut(t *testing.T) {
	content := make([]byte, 40*piece)
	copy(content[20*piece+100:], "node.js/v22.9.0")
	open := func() *sievedFile {
		return &sievedFile{File: shortFile{bytes.NewReader(content), piece}, may: mayNameNode, size: piece}
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
	for name, end := range map[string]error{"cut short": io.ErrUnexpectedEOF, "broken": errors.New("the disk is gone")} {
		f := &sievedFile{File: shortFile{bytes.NewReader(make([]byte, 100)), 7}, may: mayNameNode, size: 64}
		f.File = endingFile{f.File, end}
		if _, err := f.Read(make([]byte, 64)); !errors.Is(err, end) {
			t.Errorf("%s: %v", name, err)
		}
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
