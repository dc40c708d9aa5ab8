package generate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/anchore/syft/syft"
	"github.com/anchore/syft/syft/cataloging/pkgcataloging"
	"github.com/anchore/syft/syft/pkg/cataloger/binary"
	"github.com/anchore/syft/syft/pkg/cataloger/golang"
	"github.com/anchore/syft/syft/pkg/cataloger/java"
	"github.com/anchore/syft/syft/source"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/nanopatch/nanopatch/sbom"
)

// watcher counts what a memory says: which catalogers ran, which were remembered, and what it warned of.
type watcher struct {
	mu              sync.Mutex
	ran, remembered map[string]int
	warnings        []string
}

func (w *watcher) Enabled(context.Context, slog.Level) bool { return true }
func (w *watcher) WithAttrs([]slog.Attr) slog.Handler       { return w }
func (w *watcher) WithGroup(string) slog.Handler            { return w }

func (w *watcher) Handle(_ context.Context, r slog.Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	text, name := r.Message, ""
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "cataloger" {
			name = a.Value.String()
		}
		text += " " + a.String()
		return true
	})
	switch {
	case r.Level >= slog.LevelWarn:
		w.warnings = append(w.warnings, text)
	case r.Message == "ran":
		w.ran[name]++
	case r.Message == "remembered":
		w.remembered[name]++
	}
	return nil
}

// remembers is a generator that remembers all that it can in a directory, and what becomes of it.
func remembers(dir string) (*Generator, *watcher) {
	w := &watcher{ran: map[string]int{}, remembered: map[string]int{}}
	g := New(Options{ToolVersion: "1.2.3", CacheDir: dir, Logger: slog.New(w)})
	g.worth, g.recognize = 0, generator().recognize
	// Two more that ask much and of many files, which are not remembered otherwise.
	g.costly = func(c pkgcataloging.Config) []costlyCataloger {
		return append(costly(c), costlyCataloger{java.NewArchiveCataloger(c.JavaArchive), c.JavaArchive},
			costlyCataloger{golang.NewGoModuleBinaryCataloger(c.Golang), c.Golang})
	}
	return g, w
}

// squash leaves of layers what a container would see, each in its layer.
func squash(layers [][]member) [][]member {
	out := make([][]member, len(layers))
	for i, layer := range layers {
		for _, m := range layer {
			dir, base := path.Split(m.path)
			hidden, isWhiteout := strings.CutPrefix(base, ".wh.")
			for k := range out {
				if k == i && isWhiteout {
					continue
				}
				out[k] = slices.DeleteFunc(out[k], func(low member) bool {
					if base == ".wh..wh..opq" {
						return strings.HasPrefix(low.path, dir)
					}
					at := m.path
					if isWhiteout {
						at = dir + hidden
					}
					return low.path == at || strings.HasPrefix(low.path, at+"/") || !isWhiteout && strings.HasPrefix(at, low.path+"/")
				})
			}
			if !isWhiteout {
				out[i] = append(out[i], m)
			}
		}
	}
	return out
}

// generateOf makes a document of a scope. The image has names for its layers and no more: they are digests of what is in them.
func generateOf(ctx context.Context, g *Generator, scope Scope, layers [][]member) (*Document, error) {
	img := Image{Ref: "registry.example/app:1"}
	for i, layer := range layers {
		digest := "sha256:" + sum(fmt.Sprintf("%#v", layer))
		img.Layers = append(img.Layers, Layer{Layer: sbom.Layer{Index: i, Digest: digest, DiffID: digest}})
	}
	if scope == AllLayers {
		return g.GenerateAllLayers(ctx, img, newLayeredTree(layers), created)
	}
	return g.Generate(ctx, img, newTree(squash(layers)), created)
}

func documentOf(t testing.TB, g *Generator, scope Scope, layers [][]member) *Document {
	t.Helper()
	d, err := generateOf(t.Context(), g, scope, layers)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// valid is a layer of these members, in order, without those whose directory is no directory.
func valid(members map[string]string) (layer []member) {
	for _, p := range slices.Sorted(maps.Keys(members)) {
		isBelow := slices.ContainsFunc(layer, func(m member) bool { return strings.HasPrefix(p, m.path+"/") })
		if !isBelow {
			layer = append(layer, member{path: p, content: members[p]})
		}
	}
	return layer
}

// differing names a format in which two documents are not the same bytes, "" where there is none.
func differing(a, b *Document) (Format, error) {
	one, err := a.encodings()
	if err != nil {
		return "", err
	}
	other, err := b.encodings()
	if err != nil {
		return "", err
	}
	for _, f := range Formats() {
		if !bytes.Equal(one[f], other[f]) {
			return f, nil
		}
	}
	return "", nil
}

// wantSame wants the document that a generator without a cache makes, in every format.
func wantSame(t testing.TB, got *Document, scope Scope, layers [][]member) {
	t.Helper()
	want := documentOf(t, generator(), scope, layers)
	if f, err := differing(want, got); err != nil || f != "" {
		t.Fatalf("%s, %s, %v (-without a cache +with):\n%s", scope, f, err, cmp.Diff(lines(want), lines(got)))
	}
}

func bash(version string) string {
	return "@(#)Bash version " + version + "(1) release GNU\x00"
}

// noShell is as long as a shell.
var noShell = strings.Replace(bash("5.2.15"), "Bash", "Bush", 1)

// program is an executable in Go.
func program(t testing.TB) string {
	t.Helper()
	hello, err := goBinary()
	if err != nil {
		t.Skipf("the fixture's Go program does not build here: %v", err)
	}
	return hello
}

// brokenProgram begins as an executable and is none, which catalogers report as an error.
var brokenProgram = "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9) + "\x02\x00\x3e\x00" + strings.Repeat("\x00", 60)

// TestCatalogersAreStock wants the very catalogers that the stock configuration runs, whichever of them are remembered: an
// upgrade of syft that adds or renames one must not pass unseen.
func TestCatalogersAreStock(t *testing.T) {
	layers := fixture(t)
	img := describe(t, layers)
	v, err := newResolver(t.Context(), newTree(layers), img.diffIDs())
	if err != nil {
		t.Fatal(err)
	}
	g, _ := remembers(t.TempDir())
	used := func(c *syft.CreateSBOMConfig) (names []string) {
		scanner, err := stockScanner()
		if err != nil {
			t.Fatal(err)
		}
		s, err := syft.CreateSBOM(scanner, newImageSource(&img, source.SquashedScope, v), c)
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(s.Descriptor.Configuration)
		if err != nil {
			t.Fatal(err)
		}
		var configuration struct{ Catalogers struct{ Used []string } }
		if err := json.Unmarshal(data, &configuration); err != nil {
			t.Fatal(err)
		}
		return configuration.Catalogers.Used
	}
	wrapped := g.remembering(Squashed, v).wrap(g.config(Squashed))
	stock := used(g.config(Squashed))
	if diff := cmp.Diff(stock, used(wrapped)); diff != "" || len(stock) < 30 {
		t.Errorf("catalogers (-stock +wrapped), %d:\n%s", len(stock), diff)
	}
	for _, c := range costly(wrapped.Packages) {
		if !slices.Contains(stock, c.Name()) {
			t.Errorf("%s is not among the stock catalogers", c.Name())
		}
	}
	for _, c := range wrapped.Packages.Binary.Classifiers {
		if c.EvidenceMatcher == nil {
			t.Errorf("classifier %s has no matcher", c.Class)
		}
	}
}

// shells is the name of what is remembered of a shell.
var shells = func() string {
	for i, c := range binary.DefaultClassifiers() {
		if c.Class == "bash-binary" {
			return fmt.Sprintf("classifier %d %s %s", i, c.Class, c.FileGlob)
		}
	}
	return "no classifier knows a shell"
}()

// unaffected are catalogers that have no reason to run again: what they read is the same in an image that differs in text files.
var unaffected = []string{
	"java-archive-cataloger", "graalvm-native-image-cataloger", "go-module-binary-cataloger", "cargo-auditable-binary-cataloger",
	"elf-binary-package-cataloger", "dotnet-deps-binary-cataloger", shells,
}

// TestRemembered wants the same document from an empty cache, of the same image again, and of others that share layers with it.
func TestRemembered(t *testing.T) {
	layers := append(fixture(t), []member{{path: "opt/tools/bash", content: bash("5.2.15"), exec: true}})
	for _, scope := range Scopes() {
		t.Run(string(scope), func(t *testing.T) {
			dir := t.TempDir()
			g, seen := remembers(dir)
			wantSame(t, documentOf(t, g, scope, layers), scope, layers)
			if len(seen.remembered) > 0 {
				t.Fatalf("remembered from an empty cache: %v", seen.remembered)
			}
			text := append(slices.Clone(layers), []member{{path: "etc/motd", content: "welcome"}})
			for name, layers := range map[string][][]member{"the same": layers, "a text more": text} {
				g, seen := remembers(dir)
				wantSame(t, documentOf(t, g, scope, layers), scope, layers)
				for _, cataloger := range unaffected {
					if seen.ran[cataloger] > 0 || seen.remembered[cataloger] == 0 {
						t.Errorf("%s: %s ran %d times and was remembered %d times", name, cataloger, seen.ran[cataloger], seen.remembered[cataloger])
					}
				}
			}
		})
	}
}

// TestRememberedBelow wants what is in upper layers remembered when a package in the lowest was updated, as a rewrite does.
func TestRememberedBelow(t *testing.T) {
	layers := append(fixture(t), []member{{path: "opt/tools/bash", content: bash("5.2.15"), exec: true}})
	dir := t.TempDir()
	g, _ := remembers(dir)
	documentOf(t, g, Squashed, layers)
	updated := slices.Clone(layers)
	updated[0] = append(slices.Clone(layers[0]), member{path: "usr/bin/bash", content: bash("5.2.21")}, member{path: "usr/bin/program", content: program(t)})
	g, seen := remembers(dir)
	d := documentOf(t, g, Squashed, updated)
	wantSame(t, d, Squashed, updated)
	if seen.ran[shells] != 1 || seen.remembered[shells] != 1 {
		t.Errorf("of two shells, one new, %d were looked at and %d remembered", seen.ran[shells], seen.remembered[shells])
	}
	if seen.ran["go-module-binary-cataloger"] != 1 {
		t.Errorf("ran: %v; wanted those that read all executables", seen.ran)
	}
}

// TestRememberedNot wants a cataloger to run again wherever an edit changes what it would find, in both scopes, and the result to
// be as without a cache.
func TestRememberedNot(t *testing.T) {
	const archives, programs = "java-archive-cataloger", "go-module-binary-cataloger"
	layers := append(fixture(t), []member{{path: "opt/tools/bash", content: noShell}})
	other := jar(t, "org.slf4j", "slf4j-api", "2.0.10")
	for name, test := range map[string]struct {
		edit      []member
		cataloger string
		squashed  bool // only there it makes a difference
	}{
		"a changed file":               {edit: []member{{path: "srv/lib/slf4j-api.jar", content: other}}, cataloger: archives},
		"a file of the same size":      {edit: []member{{path: "opt/tools/bash", content: bash("5.2.15")}}, cataloger: shells, squashed: true},
		"a new file":                   {edit: []member{{path: "opt/new.jar", content: other}}, cataloger: archives},
		"a new program":                {edit: []member{{path: "opt/new", content: program(t)}}, cataloger: programs},
		"a removed file":               {edit: []member{{path: "srv/lib/.wh.slf4j-api.jar"}}, cataloger: archives, squashed: true},
		"a removed directory":          {edit: []member{{path: ".wh.srv"}}, cataloger: archives, squashed: true},
		"an opaque directory":          {edit: []member{{path: "srv/.wh..wh..opq"}}, cataloger: archives, squashed: true},
		"a link in place of a file":    {edit: []member{{path: "srv/lib/slf4j-api.jar", content: "-> ../../opt/x"}, {path: "opt/x", content: other}}, cataloger: archives},
		"a link in place of a program": {edit: []member{{path: "usr/bin/hello", content: "-> hello-again"}}, cataloger: programs, squashed: true},
		"a link to a directory":        {edit: []member{{path: "srv/lib", content: "-> ../opt/lib"}, {path: "opt/lib/slf4j-api.jar", content: other}}, cataloger: archives},
		"another distribution":         {edit: []member{{path: "usr/lib/os-release", content: "ID=alpine\nVERSION_ID=3.19.1\n"}}, cataloger: archives},
	} {
		for _, scope := range Scopes() {
			t.Run(name+"/"+string(scope), func(t *testing.T) {
				dir := t.TempDir()
				g, _ := remembers(dir)
				documentOf(t, g, scope, layers)
				edited := append(slices.Clone(layers), test.edit)
				g, seen := remembers(dir)
				wantSame(t, documentOf(t, g, scope, edited), scope, edited)
				if want := scope == Squashed || !test.squashed; want && seen.ran[test.cataloger] != 1 {
					t.Errorf("%s ran %d times", test.cataloger, seen.ran[test.cataloger])
				}
			})
		}
	}
}

// TestLayerTwice wants the same bytes of an image that has a layer twice, over all layers too, and the packages that the stock
// source finds.
func TestLayerTwice(t *testing.T) {
	top := []member{
		{path: "usr/bin/program", content: program(t), exec: true},
		{path: "opt/tools/bash", content: bash("5.2.15"), exec: true},
		{path: "srv/a.jar", content: jar(t, "org.slf4j", "slf4j-api", "2.0.9")},
	}
	layers := append(fixture(t), top, []member{{path: "srv/.wh.a.jar"}}, top)
	for _, scope := range Scopes() {
		first := documentOf(t, generator(), scope, layers)
		for range 5 {
			wantSame(t, first, scope, layers)
		}
		var got, want []string
		for _, p := range first.Packages {
			got = append(got, p.PURL)
		}
		for _, p := range stock(t, newImage(t, layers), scope).Artifacts.Packages.Sorted() {
			want = append(want, p.PURL)
		}
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: packages (-stock +ours):\n%s", scope, diff)
		}
	}
}

// TestRememberedAnyEdits holds documents of random images, made with one memory of all of them, against those made without.
func TestRememberedAnyEdits(t *testing.T) {
	contents := map[string]string{
		"archive": jar(t, "org.slf4j", "slf4j-api", "2.0.9"), "its update": jar(t, "org.slf4j", "slf4j-api", "2.0.8"),
		"shell": bash("5.2.15"), "another shell": bash("5.2.21"), "no shell": noShell, "program": program(t), "broken program": brokenProgram,
		"version": "go1.21.3\ntime 2023\n", "another version": "go1.21.4\ntime 2023\n", "text": "text", "empty": "",
		"to lib": "-> lib", "to srv": "-> ../srv", "to go": "-> go", "to an archive": "-> /opt/a.jar", "dead": "-> nothing",
		"hard link": "=> srv/a.jar",
	}
	kinds := slices.Sorted(maps.Keys(contents))
	names := []string{
		"srv/a.jar", "srv/lib/a.jar", "srv/lib/bash", "opt/a.jar", "opt/lib", "opt/lib/bash", "opt/bin/go", "opt/bin/VERSION", "opt/VERSION",
		"opt/bin/bash", "srv/.wh.a.jar", "srv/lib/.wh..wh..opq", "opt/.wh.lib", "opt/.wh.bin", "srv/lib", "opt/bin", ".wh.srv", "etc/os-release",
	}
	dir := t.TempDir()
	var ran, remembered int
	rapid.Check(t, func(t *rapid.T) {
		layers := [][]member{{{path: "etc/os-release", content: "ID=debian\nVERSION_ID=12\n"}}}
		for range rapid.IntRange(1, 3).Draw(t, "layers") {
			layer := map[string]string{}
			for range rapid.IntRange(1, 4).Draw(t, "members") {
				layer[rapid.SampledFrom(names).Draw(t, "path")] = contents[rapid.SampledFrom(kinds).Draw(t, "content")]
			}
			layers = append(layers, valid(layer))
			if rapid.IntRange(0, 4).Draw(t, "twice") == 0 {
				layers = append(layers, layers[rapid.IntRange(1, len(layers)-1).Draw(t, "which")])
			}
		}
		scope := rapid.SampledFrom(Scopes()).Draw(t, "scope")
		g, seen := remembers(dir)
		got, err := generateOf(context.Background(), g, scope, layers)
		if err != nil {
			t.Fatal(err)
		}
		want, err := generateOf(context.Background(), generator(), scope, layers)
		if err != nil {
			t.Fatal(err)
		}
		if f, err := differing(want, got); err != nil || f != "" {
			t.Fatalf("%s, %s, %v (-without a cache +with):\n%s", scope, f, err, cmp.Diff(lines(want), lines(got)))
		}
		if len(seen.warnings) > 0 {
			t.Fatal(seen.warnings)
		}
		for _, n := range seen.ran {
			ran += n
		}
		for _, n := range seen.remembered {
			remembered += n
		}
	})
	t.Logf("%d runs, %d remembered", ran, remembered)
	if ran == 0 || remembered == 0 {
		t.Error("one of them never happened")
	}
}
