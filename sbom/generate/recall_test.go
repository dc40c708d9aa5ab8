package generate

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/anchore/syft/syft/artifact"
	"github.com/anchore/syft/syft/file"
	"github.com/anchore/syft/syft/pkg"

	"github.com/nanopatch/nanopatch/sbom"
)

// TestRememberedFilesDamaged wants files that are cut short, changed, foreign or huge to be told of and left, and the document made.
func TestRememberedFilesDamaged(t *testing.T) {
	layers := fixture(t)
	whole := t.TempDir()
	g, _ := remembers(whole)
	documentOf(t, g, Squashed, layers)
	for name, spoil := range map[string]func(content []byte) []byte{
		"empty":   func([]byte) []byte { return nil },
		"cut":     func(c []byte) []byte { return c[:len(c)/2] },
		"changed": func(c []byte) []byte { return bytes.Replace(c, []byte("slf4j"), []byte("log4j"), 1) },
		"foreign": func([]byte) []byte { return kept([]byte(`{"inputs":"x"}`)) },
		"of other files": func(c []byte) []byte {
			return kept(bytes.Replace(c[65:], []byte(`"inputs":"`), []byte(`"inputs":"f`), 1))
		},
		"huge": func([]byte) []byte { return make([]byte, maxKeptFile+1) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			copyTraces(t, whole, dir, func(content []byte) []byte {
				if !bytes.Contains(content, []byte("slf4j")) {
					return content
				}
				return spoil(content)
			})
			g, seen := remembers(dir)
			wantSame(t, documentOf(t, g, Squashed, layers), Squashed, layers)
			if seen.ran["java-archive-cataloger"] != 1 || len(seen.warnings) != 1 {
				t.Errorf("the cataloger ran %d times, warnings: %q", seen.ran["java-archive-cataloger"], seen.warnings)
			}
			if seen.remembered["go-module-binary-cataloger"] != 1 {
				t.Error("one damaged file, and others are not used")
			}
		})
	}
	t.Run("questions", func(t *testing.T) {
		dir := t.TempDir()
		copyTraces(t, whole, dir, func(content []byte) []byte {
			if content[65] == '{' {
				return content
			}
			return kept([]byte(`[{"kind":"glob","args":["["]},{"kind":"relative"},{"kind":"has"},{"kind":"?"}]`))
		})
		g, seen := remembers(dir)
		wantSame(t, documentOf(t, g, Squashed, layers), Squashed, layers)
		if len(seen.remembered) > 0 || len(seen.ran) == 0 {
			t.Errorf("remembered by questions that have no answer: %v", seen.remembered)
		}
	})
}

// kept is a file as writeKept writes it.
func kept(content []byte) []byte {
	digest := sha256.Sum256(content)
	return append([]byte(hex.EncodeToString(digest[:])+"\n"), content...)
}

// copyTraces copies what is remembered, each file as change has it.
func copyTraces(t *testing.T, from, to string, change func([]byte) []byte) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(from, "traces", "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	if err := os.Mkdir(filepath.Join(to, "traces"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		content, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, "traces", filepath.Base(f)), change(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRecall wants a function to run again unless its queries, and only they, tell that it need not.
func TestRecall(t *testing.T) {
	layers := [][]member{{{path: "a/one.txt", content: "1"}, {path: "a/link", content: "-> one.txt"}, {path: "b", content: "2"}}}
	img := Image{Layers: []Layer{{Layer: sbom.Layer{DiffID: "sha256:1"}}}}
	one := pkg.Package{Name: "one", Version: "1", Type: pkg.BinaryPkg}
	one.SetID()
	other := pkg.Package{Name: "other", Version: "1", Type: pkg.BinaryPkg}
	other.SetID()
	failed := errors.New("no")
	is := func(relationships ...artifact.Relationship) results {
		return results{[]pkg.Package{one, other}, relationships}
	}
	for name, test := range map[string]struct {
		run  func(r file.Resolver) (results, error)
		runs int // of two
	}{
		"nothing asked": {func(file.Resolver) (results, error) { return is(), nil }, 1},
		"no packages":   {func(file.Resolver) (results, error) { return results{}, nil }, 1},
		"an error":      {func(file.Resolver) (results, error) { return is(), failed }, 2},
		"all asked": {func(r file.Resolver) (results, error) {
			r.HasPath("/b")
			found, err := r.FilesByGlob("**/*.txt")
			for _, l := range found {
				_, e1 := r.FileContentsByLocation(l)
				_, e2 := r.FileMetadataByLocation(l)
				err = errors.Join(err, e1, e2)
				r.RelativeFileByPath(l, "/b")
			}
			return is(artifact.Relationship{From: one, To: other, Type: artifact.DependencyOfRelationship}), err
		}, 1},
		"a location out of nowhere": {func(r file.Resolver) (results, error) {
			_, err := r.FileContentsByLocation(file.NewLocation("/b"))
			return is(), err
		}, 2},
		"metadata out of nowhere": {func(r file.Resolver) (results, error) {
			_, err := r.FileMetadataByLocation(file.NewLocation("/b"))
			return is(), err
		}, 2},
		"beside what is nowhere": {func(r file.Resolver) (results, error) {
			r.RelativeFileByPath(file.NewLocation("/a/nothing"), "/b")
			return is(), nil
		}, 2},
		"everything": {func(r file.Resolver) (results, error) {
			for l := range r.AllLocations(context.Background()) {
				_ = l
			}
			return is(), nil
		}, 2},
		"a bad pattern": {func(r file.Resolver) (results, error) {
			if _, err := r.FilesByGlob("["); err == nil {
				return is(), errors.New("a pattern that nothing can match is no error")
			}
			return is(), nil
		}, 2},
		"a package without an id": {func(file.Resolver) (results, error) {
			return results{packages: []pkg.Package{{Name: "a"}}}, nil
		}, 2},
		"a relationship with data": {func(file.Resolver) (results, error) {
			return is(artifact.Relationship{From: one, To: other, Type: artifact.DependencyOfRelationship, Data: 1}), nil
		}, 2},
		"a relationship to a file": {func(file.Resolver) (results, error) {
			return is(artifact.Relationship{From: one, To: file.NewCoordinates("/b", ""), Type: artifact.ContainsRelationship}), nil
		}, 2},
		"a relationship to another's package": {func(file.Resolver) (results, error) {
			return results{[]pkg.Package{one}, []artifact.Relationship{{From: one, To: other, Type: artifact.DependencyOfRelationship}}}, nil
		}, 2},
		"a location of its own making": {func(file.Resolver) (results, error) {
			p := one
			p.Locations = file.NewLocationSet(file.NewLocationFromCoordinates(file.NewCoordinates("/b", "sha256:1")))
			return results{packages: []pkg.Package{p}}, nil
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var runs int
			var before results
			for i := range 2 {
				v, err := newResolver(t.Context(), newTree(layers), img.diffIDs())
				if err != nil {
					t.Fatal(err)
				}
				g, _ := remembers(dir)
				found, err := g.remembering(Squashed, v).recall("cataloger", "options", nil, func(r file.Resolver) (results, error) {
					runs++
					return test.run(r)
				})
				if name == "an error" != errors.Is(err, failed) || name != "an error" && err != nil {
					t.Fatal(err)
				}
				if i == 1 && (len(before.packages) != len(found.packages) || (before.packages == nil) != (found.packages == nil) ||
					len(before.relationships) != len(found.relationships)) {
					t.Errorf("then %v, now %v", before, found)
				}
				before = found
			}
			if runs != test.runs {
				t.Errorf("ran %d times of 2, want %d", runs, test.runs)
			}
		})
	}
}

// TestRecallUnsound wants nothing to be remembered that a cataloger found while something went wrong that it was not told of, nor
// more of one image than is allowed, nor the queries of one to be put to another that has other executables.
func TestRecallUnsound(t *testing.T) {
	layers := [][]member{{{path: "b", content: "2"}}}
	img := Image{Layers: []Layer{{Layer: sbom.Layer{DiffID: "sha256:1"}}}}
	v, err := newResolver(t.Context(), newTree(layers), img.diffIDs())
	if err != nil {
		t.Fatal(err)
	}
	count := func(m *memory, name string) (runs int) {
		for range 2 {
			if _, err := m.recall(name, "", nil, func(file.Resolver) (results, error) {
				runs++
				return results{}, nil
			}); err != nil {
				t.Fatal(err)
			}
			m.files = m.list
		}
		return runs
	}
	g, _ := remembers(t.TempDir())
	broken, err := newResolver(t.Context(), newTree(layers), img.diffIDs())
	if err != nil {
		t.Fatal(err)
	}
	broken.failed.set(errors.New("the disk is gone"))
	if runs := count(g.remembering(Squashed, broken), "unsound"); runs != 2 {
		t.Errorf("with a part of the image that could not be read: ran %d times of 2", runs)
	}
	m := g.remembering(Squashed, v)
	if runs := count(m, "first"); runs != 1 {
		t.Errorf("ran %d times of 2", runs)
	}
	m.learned.Store(maxLearned)
	if runs := count(m, "one too many"); runs != 2 {
		t.Errorf("beyond what is kept of an image: ran %d times of 2", runs)
	}
}

// TestRecallUnknownContent wants a file of which the digest is not known to keep whoever was told of it from being remembered.
func TestRecallUnknownContent(t *testing.T) {
	layers := [][]member{{{path: "b", content: "2"}}}
	img := Image{Layers: []Layer{{Layer: sbom.Layer{DiffID: "sha256:1"}}}}
	dir, runs := t.TempDir(), 0
	for range 2 {
		v, err := newResolver(t.Context(), newTree(layers), img.diffIDs())
		if err != nil {
			t.Fatal(err)
		}
		for i := range v.index.nodes {
			v.index.nodes[i].SHA256 = [sha256.Size]byte{}
		}
		g, _ := remembers(dir)
		if _, err := g.remembering(Squashed, v).recall("cataloger", "", nil, func(r file.Resolver) (results, error) {
			runs++
			_, err := r.FilesByPath("/b")
			return results{}, err
		}); err != nil {
			t.Fatal(err)
		}
	}
	if runs != 2 {
		t.Errorf("ran %d times of 2", runs)
	}
}

// TestQueriesOfOthers wants an image with other executables not to be asked what catalogers of executables asked another: a hostile
// one may have made them ask for what takes long to tell.
func TestQueriesOfOthers(t *testing.T) {
	dir := t.TempDir()
	image := func(program string) [][]member {
		return [][]member{{{path: "usr/lib/os-release", content: "ID=debian\n"}, {path: "usr/bin/program", content: program, exec: true}}}
	}
	asked := func(layers [][]member) (files int) {
		g, _ := remembers(dir)
		g.used = func(file string) {
			if strings.Contains(file, questionsInfix) {
				files++
			}
		}
		documentOf(t, g, Squashed, layers)
		return files
	}
	one := program(t)
	asked(image(one))
	if files := asked(image(one + "\x00")); files != 0 {
		t.Errorf("%d lists of queries are tried of an image with another program", files)
	}
	again := append(image(one), []member{{path: "etc/motd", content: "welcome"}})
	if files := asked(again); files == 0 {
		t.Error("no list of queries is tried of an image with the same program")
	}
}
