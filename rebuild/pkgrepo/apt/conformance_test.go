package apt_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo/apt"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo/apt/apttest"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo/pkgrepotest"
)

func TestConformance(t *testing.T) {
	dir := t.TempDir()
	// offer puts a file into the pool and gives its stanza; nobody opens it as a package here.
	offer := func(version string) string {
		file, data := "pool/main/demo_"+version+".deb", []byte("the package file of version "+version)
		if err := os.MkdirAll(filepath.Join(dir, "pool", "main"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), data, 0o600); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("Package: demo\nVersion: %s\nArchitecture: amd64\nMaintainer: Nobody\nFilename: %s\nSize: %d\nSHA256: %x\n",
			version, file, len(data), sha256.Sum256(data))
	}
	fields := debian("bookworm", "oldstable", "Debian")
	fields["Acquire-By-Hash"] = "no"
	err := apttest.Write(dir, apttest.Suite{
		Name: "bookworm", Fields: fields, Date: pkgrepotest.Now().Add(-time.Hour), Keys: []*apttest.Key{apttest.TestKey()}, Forms: []string{".gz"},
		Components: map[string]apttest.Component{"main": {Stanzas: []string{offer("1.0-1"), offer("1.1-1")}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	// The older form of the signed file would do in the place of the newer.
	for _, name := range []string{"Release", "Release.gpg"} {
		if err := os.Remove(filepath.Join(dir, "dists", "bookworm", name)); err != nil {
			t.Fatal(err)
		}
	}
	key, err := apttest.TestKey().Public()
	if err != nil {
		t.Fatal(err)
	}
	const signed = "dists/bookworm/InRelease"
	pkgrepotest.Run(t, pkgrepotest.Config{
		Dir: dir, Name: "demo", Arch: "amd64", Versions: []string{"1.0-1", "1.1-1"}, Signed: signed,
		Indexes: []string{signed, "dists/bookworm/main/binary-amd64/Packages.gz"},
		Open: func(ctx context.Context, client *pkgrepo.Client, dir string, trust bool) (pkgrepotest.Archive, error) {
			root := fstest.MapFS{"etc/os-release": {Data: []byte(osRelease)}}
			if trust {
				root["etc/apt/trusted.gpg.d/test.gpg"] = &fstest.MapFile{Data: key}
			}
			list := filepath.Join(t.TempDir(), "sources.list")
			if err := os.WriteFile(list, []byte("deb file://"+dir+" bookworm main\n"), 0o600); err != nil {
				return nil, err
			}
			configured, err := apt.Sources(root, "amd64", list)
			if err != nil {
				return nil, err
			}
			return apt.Open(ctx, apt.Options{
				Client: client, Root: root, Sources: configured.Sources, Architectures: []string{"amd64"},
				Names: []string{"demo", "not-there"}, Now: pkgrepotest.Now,
			})
		},
	})
}
