package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/nanopatch/nanopatch/testdata/fixture"
)

// snapshot is an archive of package repositories as snapshot.debian.org lays it out: /archive/NAME/TIMESTAMP/ and a
// repository's own paths below that.
type snapshot struct {
	files http.Handler
	// spoil lets it serve files that are not the ones asked for.
	spoil bool

	mu    sync.Mutex
	asked []string
}

func (s *snapshot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked = append(s.asked, r.URL.Path)
	s.mu.Unlock()
	_, rest, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/archive/debian/"), "/")
	switch {
	case !ok || !strings.HasPrefix(r.URL.Path, "/archive/debian/"):
		http.NotFound(w, r)
	case s.spoil:
		_, _ = w.Write([]byte("another file"))
	default:
		r.URL.Path = "/" + rest
		s.files.ServeHTTP(w, r)
	}
}

// TestSnapshotArchive obeys a lockfile whose mirror has gone: the package files come from an archive, by the date of the
// repository's signed index, and nothing but the right files does.
func TestSnapshotArchive(t *testing.T) {
	twin, err := fixture.NewTwin(t.Context(), t.TempDir(), fixture.TwinOptions{})
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	layout, lock := "oci:"+filepath.Join(work, "image"), filepath.Join(work, "lock.json")
	if err := fixture.WriteLayout(filepath.Join(work, "image"), "old", twin.Images[0]); err != nil {
		t.Fatal(err)
	}
	files := http.FileServer(http.Dir(twin.Repository))
	mirror := httptest.NewServer(http.StripPrefix("/debian", files))
	defer mirror.Close()
	nanopatch := func(cache string, want int, args ...string) string {
		t.Helper()
		out, errs, code := run(t.Context(), t, filepath.Join(work, cache), args...)
		if code != want {
			t.Fatalf("%q: exit %d, want %d\n%s%s", args, code, want, out, errs)
		}
		return out + errs
	}
	nanopatch("first", 0, "rebuild", layout+":old", "-t", layout+":first", "--no-sign", "--lock", lock,
		"--repo-override", mirror.URL+"/debian", "--keyring", twin.Keyring)
	mirror.Close()

	locked := func(name string) []string {
		return []string{"rebuild", layout + ":old", "-t", layout + ":" + name, "--no-sign", "--locked", lock}
	}
	said := nanopatch("second", 3, locked("second")...)
	if !strings.Contains(said, "neither the cache nor the repository") || !strings.Contains(said, "--artifacts-from") {
		t.Errorf("without an archive: %s", said)
	}
	archive := &snapshot{files: files}
	server := httptest.NewServer(archive)
	defer server.Close()
	place := server.URL + "/archive/{archive}/{timestamp}/"
	nanopatch("third", 0, append(locked("third"), "--artifacts-from", server.URL+"/elsewhere/", "--artifacts-from", place)...)
	if first, third := tagOf(t, work, "first"), tagOf(t, work, "third"); first != third {
		t.Errorf("the mirror gave %s, the archive %s", first, third)
	}
	wanted := regexp.MustCompile(`^/archive/debian/\d{8}T\d{6}Z/pool/.*\.deb$`)
	found := 0
	for _, path := range archive.asked {
		if wanted.MatchString(path) {
			found++
		}
	}
	if found < len(twin.Updates)/2 {
		t.Errorf("it asked for %q", archive.asked)
	}

	archive.spoil = true
	nanopatch("fourth", 3, append(locked("fourth"), "--artifacts-from", place)...)
	if raw, err := os.ReadFile(filepath.Join(work, "image", "index.json")); err != nil || strings.Contains(string(raw), "fourth") {
		t.Errorf("something was written of false package files: %v", err)
	}
}

// tagOf is the digest that a tag of the layout names, as its index.json has it.
func tagOf(t *testing.T, work, tag string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(work, "image", "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range strings.Split(string(raw), `"mediaType"`) {
		if strings.Contains(entry, `"org.opencontainers.image.ref.name":"`+tag+`"`) {
			return regexp.MustCompile(`sha256:[0-9a-f]{64}`).FindString(entry)
		}
	}
	t.Fatalf("no tag %s in %s", tag, raw)
	return ""
}
