package generate

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
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
}

// TestCachedByAnotherName wants the document of an image under whatever name it has now, and had when it was cached.
func TestCachedByAnotherName(t *testing.T) {
	layers := fixture(t)
	for _, names := range [][2]string{{"registry.example/app:1", "registry.example/other:2"}, {"", "b:2"}, {"a:1", ""}} {
		img := describe(t, layers)
		img.Ref = names[0]
		g := caching(t, "1.2.3", t.TempDir())
		if _, err := g.Generate(t.Context(), img, newTree(layers), created); err != nil {
			t.Fatal(err)
		}
		img.Ref = names[1]
		want, err := generator().Generate(t.Context(), img, newTree(layers), created)
		if err != nil {
			t.Fatal(err)
		}
		got := g.Cached(t.Context(), img, Squashed, created)
		if got == nil {
			t.Errorf("%q: not taken", names)
			continue
		}
		if f, err := differing(want, got); err != nil || f != "" {
			t.Errorf("%q: the cached document differs in %s, %v", names, f, err)
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

// TestCacheChecked wants a document that is read back as another not to be taken, in whichever format that shows, and one that is not
// to be looked at only once.
func TestCacheChecked(t *testing.T) {
	layers := fixture(t)
	img := describe(t, layers)
	dir := t.TempDir()
	g := caching(t, "1", dir)
	d, err := g.Generate(t.Context(), img, newTree(layers), created)
	if err != nil {
		t.Fatal(err)
	}
	file := g.cacheFile(&img, Squashed, created)
	fresh := *d
	fresh.encoded = nil
	encoded, err := fresh.encodings()
	if err != nil {
		t.Fatal(err)
	}
	digests := map[Format]string{}
	for f, content := range encoded {
		digests[f] = digestOf(content)
		var again bytes.Buffer
		if err := d.Encode(&again, f); err != nil || d.encoded[f] == nil || !bytes.Equal(again.Bytes(), content) {
			t.Errorf("%s of a document that was cached is not what it is encoded to (error %v)", f, err)
		}
	}
	take := func(digests map[Format]string) bool {
		if err := writeDocument(file, keptHead{img.Ref, digests}, encoded[Syft]); err != nil {
			t.Fatal(err)
		}
		return g.Cached(t.Context(), img, Squashed, created) != nil
	}
	for _, f := range Formats() {
		other := maps.Clone(digests)
		other[f] = digests[f][1:] + "0"
		if take(other) {
			t.Errorf("a document that was another in %s is taken", f)
		}
	}
	if !take(digests) || !take(nil) {
		t.Error("a document is not taken")
	}
	if !take(digests) {
		t.Error("a document is not taken again")
	}
	if err := writeDocument(file, keptHead{img.Ref, digests}, encoded[Syft]); err != nil {
		t.Fatal(err)
	}
	if taken := g.Cached(t.Context(), img, Squashed, created); taken == nil || !bytes.Equal(taken.encoded[SPDX], encoded[SPDX]) {
		t.Error("what was encoded to check a document is encoded again")
	}
	kept, err := readKept(file, maxDocument)
	if line, _, _ := bytes.Cut(kept, []byte("\n")); err != nil || string(line) != `{"Ref":"`+img.Ref+`"}` {
		t.Errorf("once taken, its head is %s, %v", line, err)
	}
}
