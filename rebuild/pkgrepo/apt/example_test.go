package apt_test

import (
	"context"
	"fmt"
	"os"
	"testing/fstest"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo/apt"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo/apt/apttest"
)

func ExampleSources() {
	image := fstest.MapFS{
		"etc/apt/sources.list.d/debian.sources": {Data: []byte(`Types: deb deb-src
URIs: http://deb.debian.org/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
`)},
		"etc/apt/sources.list": {Data: []byte("deb file:/srv/packages ./\n")},
	}
	conf, err := apt.Sources(image, "amd64")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range conf.Sources {
		fmt.Println(s)
	}
	fmt.Println(conf.Notes[0])
	// Output:
	// deb http://deb.debian.org/debian bookworm main
	// deb http://deb.debian.org/debian bookworm-updates main
	// etc/apt/sources.list:1: left out: file: names a directory of the machine that built the image
}

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	clock := func() time.Time { return time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC) }

	// A repository with one package, and an image that trusts its key.
	if err := apttest.Write(dir, apttest.Suite{
		Name: "bookworm", Date: clock(), Keys: []*apttest.Key{apttest.TestKey()},
		Fields: map[string]string{"Origin": "Debian", "Codename": "bookworm", "Suite": "oldstable"},
		Components: map[string]apttest.Component{"main": {Stanzas: []string{`Package: openssl
Version: 3.0.17-1~deb12u2
Architecture: amd64
Filename: pool/openssl.deb
Size: 1000
SHA256: 00000000000000000000000000000000000000000000000000000000000000aa`}}},
	}); err != nil {
		fmt.Println(err)
		return
	}
	key, _ := apttest.TestKey().Public()
	image := fstest.MapFS{
		"etc/os-release":                 {Data: []byte("ID=debian\nVERSION_ID=12\nVERSION_CODENAME=bookworm\n")},
		"etc/apt/trusted.gpg.d/test.gpg": {Data: key},
	}

	client, err := pkgrepo.New(pkgrepo.Options{Dir: dir + "/cache", Now: clock})
	if err != nil {
		fmt.Println(err)
		return
	}
	conf, err := apt.Sources(image, "amd64", dir) // --repo-override
	if err != nil {
		fmt.Println(err)
		return
	}
	archive, err := apt.Open(context.Background(), apt.Options{
		Client: client, Root: image, Sources: conf.Sources, Architectures: []string{"amd64"},
		Names: []string{"openssl", "gone"}, Now: clock,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, c := range archive.Candidates("openssl", "amd64") {
		fmt.Println(c.Name, c.Version, c.Priority, c.Origin.Suite, "frozen:", c.Origin.Frozen)
	}
	fmt.Println("gone is served:", archive.Serves("gone", "amd64"))
	end, _ := archive.EndOfLife()
	fmt.Println("updates until", end.Format(time.DateOnly))
	// Output:
	// openssl 3.0.17-1~deb12u2 500 oldstable frozen: true
	// gone is served: false
	// updates until 2028-06-30
}
