package apttest_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"

	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo/apt"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo/apt/apttest"
)

func now() time.Time { return time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC) }

// buildDeb makes a real package with one file.
func buildDeb(t *testing.T, dir, name, version, arch string) string {
	t.Helper()
	content := filepath.Join(dir, "content")
	if err := os.WriteFile(content, []byte(name+version), 0o600); err != nil {
		t.Fatal(err)
	}
	info := nfpm.WithDefaults(&nfpm.Info{
		Name: name, Version: version, VersionSchema: "none", Arch: arch, Platform: "linux", Maintainer: "Nobody <nobody@example.org>",
		Description: "A package\nfor tests.", MTime: now(),
		Overridables: nfpm.Overridables{
			Depends:  []string{"libc6 (>= 2.36)"},
			Contents: files.Contents{{Source: content, Destination: "/usr/share/" + name, FileInfo: &files.ContentFileInfo{MTime: now()}}},
		},
	})
	if err := nfpm.PrepareForPackager(info, "deb"); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, name+"_"+version+"_"+arch+".deb")
	f, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	if err := deb.Default.Package(info, f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return out
}

func suite(debs ...string) apttest.Suite {
	return apttest.Suite{
		Name: "bookworm", Date: now(), Keys: []*apttest.Key{apttest.TestKey()},
		Fields:     map[string]string{"Origin": "Debian", "Label": "Debian", "Suite": "oldstable", "Codename": "bookworm"},
		Components: map[string]apttest.Component{"main": {Debs: debs}},
	}
}

// TestRoundTrip takes packages from .deb files through a repository and back.
func TestRoundTrip(t *testing.T) {
	tmp := t.TempDir()
	debs := []string{buildDeb(t, tmp, "hello", "1.2-3", "amd64"), buildDeb(t, tmp, "hello-data", "1.2-3", "all")}
	for _, flat := range []bool{false, true} {
		repo := t.TempDir()
		s := suite(debs...)
		if flat {
			s.Name = ""
		}
		if err := apttest.Write(repo, s); err != nil {
			t.Fatal(err)
		}
		key, err := apttest.TestKey().Public()
		if err != nil {
			t.Fatal(err)
		}
		root := fstest.MapFS{
			"etc/os-release":              {Data: []byte("ID=debian\nVERSION_ID=12\nVERSION_CODENAME=bookworm\n")},
			"etc/apt/trusted.gpg.d/x.gpg": {Data: key},
		}
		client, err := pkgrepo.New(pkgrepo.Options{Dir: filepath.Join(t.TempDir(), "cache"), Now: now})
		if err != nil {
			t.Fatal(err)
		}
		conf, err := apt.Sources(root, "amd64", repo)
		if err != nil {
			t.Fatal(err)
		}
		a, err := apt.Open(t.Context(), apt.Options{
			Client: client, Root: root, Sources: conf.Sources, Architectures: []string{"amd64"},
			Names: []string{"hello", "hello-data"}, Now: now,
		})
		if err != nil {
			t.Fatal(err)
		}
		for i, name := range []string{"hello", "hello-data"} {
			c := a.Candidates(name, "amd64")
			if len(c) != 1 || c[0].Version != "1.2-3" || c[0].Requires[0][0].Name != "libc6" {
				t.Fatalf("flat %t: %s: %+v", flat, name, c)
			}
			paths, err := client.Fetch(t.Context(), []pkgrepo.Artifact{c[0].Artifact}, 1)
			if err != nil {
				t.Fatal(err)
			}
			got, _ := os.ReadFile(paths[0])
			want, _ := os.ReadFile(debs[i])
			if !bytes.Equal(got, want) || len(want) == 0 {
				t.Errorf("flat %t: %s is not the file that went in", flat, name)
			}
		}
	}
}

// TestSameBytes writes one repository twice: images that hold its key and date must not differ by the run.
func TestSameBytes(t *testing.T) {
	deb := buildDeb(t, t.TempDir(), "hello", "1", "amd64")
	var first string
	for range 2 {
		dir := t.TempDir()
		if err := apttest.Write(dir, suite(deb)); err != nil {
			t.Fatal(err)
		}
		var all strings.Builder
		for _, name := range []string{"InRelease", "Release.gpg", "main/binary-amd64/Packages.xz"} {
			data, err := os.ReadFile(filepath.Join(dir, "dists/bookworm", name))
			if err != nil {
				t.Fatal(err)
			}
			all.Write(data)
		}
		if first == "" {
			first = all.String()
		} else if first != all.String() {
			t.Error("two runs differ")
		}
	}
}

func TestControl(t *testing.T) {
	text, err := apttest.Control(buildDeb(t, t.TempDir(), "hello", "1", "amd64"))
	if err != nil || !strings.Contains(text, "Package: hello\n") || !strings.Contains(text, "Architecture: amd64") {
		t.Errorf("%q, %v", text, err)
	}
	bad := filepath.Join(t.TempDir(), "bad.deb")
	for _, data := range []string{"", "not ar", "!<arch>\n", "!<arch>\nshort"} {
		if err := os.WriteFile(bad, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		if text, err := apttest.Control(bad); err == nil {
			t.Errorf("%q gives %q", data, text)
		}
	}
}
