package apt_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo/apt"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo/apt/apttest"
)

// BenchmarkOpen opens a repository of the size of Debian's main for 400 installed packages: cold with an empty
// cache, by the form of the index that is offered, and warm.
func BenchmarkOpen(b *testing.B) {
	stanzas := manyStanzas(64_000)
	for _, form := range []string{".gz", ".xz"} {
		dir := b.TempDir()
		s := bookworm(apttest.TestKey())[0]
		s.Forms, s.Components = []string{form}, map[string]apttest.Component{"main": {Stanzas: stanzas}}
		if err := apttest.Write(dir, s); err != nil {
			b.Fatal(err)
		}
		server := httptest.NewServer(http.FileServer(http.Dir(dir)))
		defer server.Close()
		key, err := apttest.TestKey().Public()
		if err != nil {
			b.Fatal(err)
		}
		root := fstest.MapFS{
			"etc/os-release":              {Data: []byte(osRelease)},
			"etc/apt/trusted.gpg.d/x.gpg": {Data: key},
			"etc/apt/sources.list":        {Data: []byte("deb " + server.URL + " bookworm main")},
		}
		b.Run("cold"+form, func(b *testing.B) {
			for b.Loop() {
				openOnce(b, root, b.TempDir())
			}
		})
		b.Run("warm"+form, func(b *testing.B) {
			cache := b.TempDir()
			openOnce(b, root, cache)
			for b.Loop() {
				openOnce(b, root, cache)
			}
		})
	}
}

func openOnce(b *testing.B, root fstest.MapFS, cache string) {
	b.Helper()
	conf, err := apt.Sources(root, "amd64")
	if err != nil {
		b.Fatal(err)
	}
	client, err := pkgrepo.New(pkgrepo.Options{Dir: filepath.Join(cache, "cache"), Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	var names []string
	for i := range 400 {
		names = append(names, fmt.Sprintf("libpackage%d", i*160))
	}
	a, err := apt.Open(b.Context(), apt.Options{
		Client: client, Root: root, Sources: conf.Sources, Architectures: []string{"amd64"}, Names: names, Now: now,
	})
	if err != nil {
		b.Fatal(err)
	}
	if !a.Serves("libpackage160", "amd64") {
		b.Fatal("a package is missing")
	}
}

// manyStanzas makes an index that compresses about as well as Debian's.
func manyStanzas(n int) []string {
	r := rand.New(rand.NewPCG(1, 2))
	words := make([]string, 2000)
	for i := range words {
		words[i] = fmt.Sprintf("%x", r.Uint32N(1<<(8+i%16)))
	}
	out := make([]string, n)
	for i := range out {
		var b strings.Builder
		fmt.Fprintf(&b, "Package: libpackage%d\nSource: package%d\nVersion: %d.%d-%d\nInstalled-Size: %d\nMaintainer: Team %d <team%d@lists.example.org>\nArchitecture: amd64\n",
			i, i/3, r.IntN(9), r.IntN(40), r.IntN(5), r.IntN(9000), i%50, i%50)
		b.WriteString("Depends: libc6 (>= 2.36)")
		for range r.IntN(9) {
			fmt.Fprintf(&b, ", libpackage%d (>= %d.%d)", r.IntN(n), r.IntN(9), r.IntN(40))
		}
		b.WriteString("\nDescription:")
		for range 12 {
			b.WriteString(" " + words[r.IntN(len(words))])
		}
		fmt.Fprintf(&b, "\nHomepage: https://example.org/package%d\nDescription-md5: %016x%016x\nTag: implemented-in::c, role::shared-lib\nSection: libs\nPriority: optional\n", i, r.Uint64(), r.Uint64())
		fmt.Fprintf(&b, "Filename: pool/main/libp/package%d/libpackage%d.deb\nSize: %d\nMD5sum: %016x%016x\nSHA256: %016x%016x%016x%016x", i/3, i, 1000+r.IntN(1e6),
			r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64())
		out[i] = b.String()
	}
	return out
}
