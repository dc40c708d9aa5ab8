package apt

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
)

// indexServer is a directory of index files, and an opener whose cache all repositories share.
type indexServer struct {
	t   *testing.T
	dir string
	*opener
}

func newIndexServer(t *testing.T) *indexServer {
	t.Helper()
	dir := t.TempDir()
	now := func() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }
	client, err := pkgrepo.New(pkgrepo.Options{Dir: filepath.Join(dir, "cache"), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return &indexServer{t, dir, &opener{Options: Options{Client: client, Logger: slog.New(slog.DiscardHandler)}}}
}

// add puts a file into a repository.
func (s *indexServer) add(repo, name string, data []byte) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Join(s.dir, repo), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, repo, name), data, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// packages reads a repository whose Release file declares the files, and tells what it offers.
func (s *indexServer) packages(repo string, files map[string][]byte) ([]string, error) {
	s.t.Helper()
	r := &releaseFile{files: make(map[string]fileSum)}
	for name, data := range files {
		r.files[name] = fileSum{int64(len(data)), sha256.Sum256(data)}
	}
	table, err := s.table(s.t.Context(), &suite{base: "file://" + s.dir + "/" + repo + "/", release: r}, r.offers("Packages"))
	if err != nil {
		return nil, err
	}
	defer table.Close()
	var out []string
	wanted := map[string]struct{}{"good": {}, "evil": {}}
	return out, scanTable(table, wanted, func(r record) { out = append(out, r[fieldPackage]) })
}

func packed(t *testing.T, name string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := fmt.Fprintf(z, "Package: %s\nVersion: 1\nArchitecture: all\n\n", name); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestTablesAreNotPoisoned has a repository, signed by keys that the image trusts for it alone, declare the
// digest of another one's index as its own, before that one is read.
func TestTablesAreNotPoisoned(t *testing.T) {
	good, evil := packed(t, "good"), packed(t, "evil")
	tests := []struct {
		name            string
		declared, there map[string][]byte
	}{
		{
			"as a form that is not there, beside one that is",
			map[string][]byte{"Packages.zst": good, "Packages.gz": evil},
			map[string][]byte{"Packages.gz": evil},
		}, {
			"as another form, beside one that is there",
			map[string][]byte{"Packages.gz": good, "Packages": []byte("Package: evil\nVersion: 1\n")},
			map[string][]byte{"Packages": []byte("Package: evil\nVersion: 1\n")},
		}, {
			"as the unpacked form, in which there is no stanza",
			map[string][]byte{"Packages": good},
			map[string][]byte{"Packages": good},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newIndexServer(t)
			for name, data := range tt.there {
				s.add("evil", name, data)
			}
			if got, err := s.packages("evil", tt.declared); slices.Contains(got, "good") {
				t.Fatalf("the hostile repository offers %q, %v", got, err)
			}
			s.add("good", "Packages.gz", good)
			got, err := s.packages("good", map[string][]byte{"Packages.gz": good})
			if err != nil || !slices.Equal(got, []string{"good"}) {
				t.Errorf("the other one now offers %q, %v", got, err)
			}
		})
	}
}

// TestNoFormThere wants a repository without its index to be one that does not work, not one without packages.
func TestNoFormThere(t *testing.T) {
	s := newIndexServer(t)
	_, err := s.packages("none", map[string][]byte{"Packages.gz": packed(t, "good"), "Packages": nil})
	if !errors.Is(err, pkgrepo.ErrUnreachable) || errors.Is(err, pkgrepo.ErrNotFound) {
		t.Errorf("error is %v", err)
	}
}
