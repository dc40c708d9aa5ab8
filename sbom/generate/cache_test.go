package generate

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// caching is a generator with a cache.
func caching(t *testing.T, version, dir string) *Generator {
	t.Helper()
	return New(Options{ToolVersion: version, CacheDir: dir})
}

// TestCached wants a cached document to be the generated one in every format, under the name that the image has now.
func TestCached(t *testing.T) {
	layers := fixture(t)
	img := describe(t, layers)
	dir := t.TempDir()
	g := caching(t, "1.2.3", dir)
	for _, scope := range Scopes() {
		if d := g.Cached(t.Context(), img, scope, created); d != nil {
			t.Fatalf("%s: a document of %d packages out of an empty cache", scope, len(d.Packages))
		}
	}
	squashed, err := g.Generate(t.Context(), img, newTree(layers), created)
	if err != nil {
		t.Fatal(err)
	}
	all, err := g.GenerateAllLayers(t.Context(), img, newLayeredTree(layers), created)
	if err != nil {
		t.Fatal(err)
	}
	for scope, want := range map[Scope]*Document{Squashed: squashed, AllLayers: all} {
		got := caching(t, "1.2.3", dir).Cached(t.Context(), img, scope, created)
		if got == nil {
			t.Fatalf("%s: nothing was cached", scope)
		}
		for _, f := range Formats() {
			if !bytes.Equal(encode(t, want, f), encode(t, got, f)) {
				t.Errorf("%s: the cached document differs in %s", scope, f)
			}
		}
	}
	other := img
	other.Ref = "registry.example/other:2"
	renamed, err := generator().Generate(t.Context(), other, newTree(layers), created)
	if err != nil {
		t.Fatal(err)
	}
	got := g.Cached(t.Context(), other, Squashed, created)
	for _, f := range Formats() {
		if !bytes.Equal(encode(t, renamed, f), encode(t, got, f)) {
			t.Errorf("under another name the cached document differs in %s", f)
		}
	}
}

// TestCacheKey wants nothing out of the cache for whatever a document depends on and is not the same.
func TestCacheKey(t *testing.T) {
	layers := fixture(t)
	img := describe(t, layers)
	dir := t.TempDir()
	if _, err := caching(t, "1", dir).Generate(t.Context(), img, newTree(layers), created); err != nil {
		t.Fatal(err)
	}
	changed := describe(t, append(layers, []member{{path: "a", content: "b"}}))
	for name, d := range map[string]*Document{
		"version": caching(t, "2", dir).Cached(t.Context(), img, Squashed, created),
		"scope":   caching(t, "1", dir).Cached(t.Context(), img, AllLayers, created),
		"time":    caching(t, "1", dir).Cached(t.Context(), img, Squashed, created.Add(time.Second)),
		"image":   caching(t, "1", dir).Cached(t.Context(), changed, Squashed, created),
	} {
		if d != nil {
			t.Errorf("another %s, and the document is taken", name)
		}
	}
}

// TestCacheDamaged wants a file that was cut short or changed to be made anew.
func TestCacheDamaged(t *testing.T) {
	layers := fixture(t)
	img := describe(t, layers)
	dir := t.TempDir()
	g := caching(t, "1", dir)
	if _, err := g.Generate(t.Context(), img, newTree(layers), created); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("cached %q, %v", files, err)
	}
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Replace(whole, []byte("3.0.13"), []byte("3.0.14"), 1)
	for name, content := range map[string][]byte{"empty": nil, "cut": whole[:len(whole)/2], "changed": flipped} {
		if err := os.WriteFile(files[0], content, 0o600); err != nil {
			t.Fatal(err)
		}
		if d := g.Cached(t.Context(), img, Squashed, created); d != nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// TestCacheLossy wants a document not to be taken that is read back as another, in whichever format that shows.
func TestCacheLossy(t *testing.T) {
	layers := fixture(t)
	img := describe(t, layers)
	dir := t.TempDir()
	g := caching(t, "1", dir)
	d, err := g.Generate(t.Context(), img, newTree(layers), created)
	if err != nil {
		t.Fatal(err)
	}
	file := g.cacheFile(&img, Squashed, created)
	digests, content, err := d.encodings()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range append(Formats(), "") {
		other := maps.Clone(digests)
		if f != "" {
			other[f] = digests[f][1:] + "0"
		}
		line, err := json.Marshal(other)
		if err != nil {
			t.Fatal(err)
		}
		if err := writeKept(file, slices.Concat(line, []byte("\n"), content)); err != nil {
			t.Fatal(err)
		}
		if taken := g.Cached(t.Context(), img, Squashed, created) != nil; taken != (f == "") {
			t.Errorf("other than it was in %q: taken %t", f, taken)
		}
	}
}
