package pkgrepotest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
)

// Archive is a verified repository, as each format has it.
type Archive interface {
	Candidates(name, arch string) []pkgrepo.Candidate
	Serves(name, arch string) bool
	Origins() []*pkgrepo.Origin
}

// Config is what Run works on.
type Config struct {
	// Dir is a repository; it is copied before anything is changed in it.
	Dir string
	// Name and Arch are those of a package that it offers, Versions what it offers of it, in any order.
	Name, Arch string
	Versions   []string
	// Indexes are the files below Dir that a run reads before it knows what is on offer: signed files, and what these
	// vouch for.
	Indexes []string
	// Signed is the one that a server has to have.
	Signed string
	// Open opens the repository in a directory; with trust the key that signed it is known.
	Open func(ctx context.Context, client *pkgrepo.Client, dir string, trust bool) (Archive, error)
	// Resolve completes an artifact that has no SHA-256; nil where all have one.
	Resolve func(ctx context.Context, a Archive, artifact pkgrepo.Artifact) (pkgrepo.Artifact, error)
}

// Now is the time of the suite's clients.
func Now() time.Time { return time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC) }

// Run runs the suite.
func Run(t *testing.T, c Config) {
	t.Helper()
	t.Run("Offers", func(t *testing.T) { testOffers(t, c) })
	t.Run("Artifacts", func(t *testing.T) { testArtifacts(t, c) })
	t.Run("NoKey", func(t *testing.T) {
		_, err := c.Open(t.Context(), newClient(t), c.Dir, false)
		want(t, "without a key", err, pkgrepo.ErrVerification)
	})
	t.Run("NotThere", func(t *testing.T) {
		dir := copyOf(t, c.Dir)
		if err := os.Remove(filepath.Join(dir, c.Signed)); err != nil {
			t.Fatal(err)
		}
		_, err := c.Open(t.Context(), newClient(t), dir, true)
		want(t, "without "+c.Signed, err, pkgrepo.ErrUnreachable)
	})
	t.Run("TamperedIndexes", func(t *testing.T) { testTamperedIndexes(t, c) })
	t.Run("TamperedArtifacts", func(t *testing.T) { testTamperedArtifacts(t, c) })
}

func newClient(t *testing.T) *pkgrepo.Client {
	t.Helper()
	client, err := pkgrepo.New(pkgrepo.Options{Dir: filepath.Join(t.TempDir(), "cache"), Now: Now})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func copyOf(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

func want(t *testing.T, what string, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%s: got %v, want %v", what, err, kind)
	}
}

func open(t *testing.T, c Config, client *pkgrepo.Client, dir string) Archive {
	t.Helper()
	a, err := c.Open(t.Context(), client, dir, true)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func testOffers(t *testing.T, c Config) {
	a := open(t, c, newClient(t), c.Dir)
	offered := make(map[string]bool)
	for _, x := range a.Candidates(c.Name, c.Arch) {
		offered[x.Version] = true
		if x.Name != c.Name || x.Origin == nil || x.Priority <= 0 || x.Phase != 100 || x.Artifact.Size <= 0 || x.Artifact.URL == "" {
			t.Errorf("got %+v", x)
		}
	}
	for _, v := range c.Versions {
		if !offered[v] {
			t.Errorf("version %s is missing", v)
		}
	}
	if len(offered) != len(c.Versions) || len(c.Versions) < 2 {
		t.Errorf("offered %v, want %v", offered, c.Versions)
	}
	if !a.Serves(c.Name, c.Arch) || a.Serves("not-there", c.Arch) || len(a.Candidates("not-there", c.Arch)) > 0 {
		t.Error("it does not know what it serves")
	}
	for _, o := range a.Origins() {
		if o.URI == "" || o.Signer == "" || o.Digest == [sha256.Size]byte{} || o.Date.IsZero() {
			t.Errorf("origin %+v", o)
		}
	}
	if len(a.Origins()) == 0 {
		t.Error("no origins")
	}
}

// fetch gets all versions of the package.
func fetch(ctx context.Context, c Config, client *pkgrepo.Client, a Archive) ([]string, error) {
	var artifacts []pkgrepo.Artifact
	for _, x := range a.Candidates(c.Name, c.Arch) {
		artifact := x.Artifact
		if c.Resolve != nil {
			var err error
			if artifact, err = c.Resolve(ctx, a, artifact); err != nil {
				return nil, err
			}
		}
		artifacts = append(artifacts, artifact)
	}
	return client.Fetch(ctx, artifacts, 1)
}

func testArtifacts(t *testing.T, c Config) {
	client := newClient(t)
	files, err := fetch(t.Context(), c, client, open(t, c, client, c.Dir))
	if err != nil || len(files) != len(c.Versions) {
		t.Errorf("got %v, %v", files, err)
	}
}

// tamper gives damaged copies of a file.
func tamper(data []byte) map[string][]byte {
	flipped := func(i int) []byte {
		b := bytes.Clone(data)
		b[i] ^= 0x20
		return b
	}
	return map[string][]byte{
		// More than a line's end, without which a signed text is the same.
		"empty": {}, "cut short": data[:len(data)-2], "cut in half": data[:len(data)/2], "longer": append(bytes.Clone(data), '\n', 'x'),
		"changed at the end": flipped(len(data) - 12), "changed in the middle": flipped(len(data) / 2),
	}
}

func testTamperedIndexes(t *testing.T, c Config) {
	for _, name := range c.Indexes {
		good, err := os.ReadFile(filepath.Join(c.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for how, data := range tamper(good) {
			dir := copyOf(t, c.Dir)
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := c.Open(t.Context(), newClient(t), dir, true)
			want(t, name+" "+how, err, pkgrepo.ErrVerification)
		}
	}
}

func testTamperedArtifacts(t *testing.T, c Config) {
	dir := copyOf(t, c.Dir)
	client := newClient(t)
	file, ok := artifactFile(open(t, c, client, dir).Candidates(c.Name, c.Arch)[0].Artifact)
	if !ok {
		t.Fatal("the repository is not read from its directory")
	}
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for how, data := range tamper(good) {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		client := newClient(t)
		_, err := fetch(t.Context(), c, client, open(t, c, client, dir))
		want(t, "a package file "+how, err, pkgrepo.ErrVerification)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	client = newClient(t)
	_, err = fetch(t.Context(), c, client, open(t, c, client, dir))
	want(t, "a package file that is gone", err, pkgrepo.ErrNotFound)
}

func artifactFile(a pkgrepo.Artifact) (string, bool) {
	const scheme = "file://"
	if len(a.URL) <= len(scheme) || a.URL[:len(scheme)] != scheme {
		return "", false
	}
	return a.URL[len(scheme):], true
}
