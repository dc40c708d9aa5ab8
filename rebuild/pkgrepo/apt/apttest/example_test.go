package apttest_test

import (
	"fmt"
	"os"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/pkgrepo/apt/apttest"
)

func ExampleWrite() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	// Stanzas stand in for package files here; Debs takes these.
	err = apttest.Write(dir, apttest.Suite{
		Name:       "bookworm-security",
		Fields:     map[string]string{"Origin": "Debian", "Label": "Debian-Security", "Codename": "bookworm-security"},
		Date:       time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
		Components: map[string]apttest.Component{"main": {Stanzas: []string{"Package: hello\nVersion: 1\nArchitecture: amd64"}}},
		Forms:      []string{""},
		Keys:       []*apttest.Key{apttest.TestKey()},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	release, _ := os.ReadFile(dir + "/dists/bookworm-security/Release")
	fmt.Printf("%s", release)
	// Output:
	// Acquire-By-Hash: yes
	// Architectures: amd64
	// Codename: bookworm-security
	// Components: main
	// Date: Sun, 01 Mar 2026 00:00:00 UTC
	// Label: Debian-Security
	// Origin: Debian
	// SHA256:
	//  f18729548d10e96747dfc33df44dc6f3f7f39a2afc0f6cf04466eaf9eacd84b7       47 main/binary-amd64/Packages
}
