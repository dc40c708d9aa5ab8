package apt_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo/apt"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo/apt/apttest"
)

func now() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

const osRelease = `PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
ID=debian
VERSION_ID="12"
VERSION_CODENAME=bookworm
`

// pkg is a stanza of a Packages file. more are further lines.
func pkg(name, version string, more ...string) string {
	s := fmt.Sprintf("Package: %s\nVersion: %s\n", name, version)
	if !slices.ContainsFunc(more, func(l string) bool { return strings.HasPrefix(l, "Architecture:") }) {
		s += "Architecture: amd64\n"
	}
	return s + fmt.Sprintf("Maintainer: Nobody\nFilename: pool/main/%s_%s.deb\nSize: 1000\nSHA256: %064x\n", name, version, len(version)) +
		strings.Join(more, "\n")
}

func debian(codename, suite, label string) map[string]string {
	return map[string]string{"Origin": "Debian", "Label": label, "Codename": codename, "Suite": suite, "Version": "12"}
}

// bookworm is a Debian with its three pockets; openssl is newest in security.
func bookworm(keys ...*apttest.Key) []apttest.Suite {
	date := now().Add(-time.Hour)
	suite := func(codename, name, label string, stanzas ...string) apttest.Suite {
		return apttest.Suite{
			Name: codename, Fields: debian(codename, name, label), Date: date, Keys: keys,
			Components: map[string]apttest.Component{"main": {Stanzas: stanzas}},
		}
	}
	security := suite("bookworm-security", "oldstable-security", "Debian-Security", pkg("openssl", "3.0.2"))
	security.ValidUntil = date.Add(7 * 24 * time.Hour)
	return []apttest.Suite{
		suite("bookworm", "oldstable", "Debian", pkg("openssl", "3.0.1"), pkg("tzdata", "2026a", "Architecture: all"), pkg("unwanted", "1")),
		suite("bookworm-updates", "oldstable-updates", "Debian", pkg("tzdata", "2026b", "Architecture: all")),
		security,
	}
}

// fixture is a repository behind a server, and an image that trusts its key.
type fixture struct {
	t    *testing.T
	dir  string
	url  string
	root fstest.MapFS

	mu       sync.Mutex
	requests []string
	// before may answer a request instead of the repository; then it returns true.
	before func(w http.ResponseWriter, r *http.Request) bool
}

func newFixture(t *testing.T, suites ...apttest.Suite) *fixture {
	t.Helper()
	f := &fixture{t: t, dir: t.TempDir()}
	if err := apttest.Write(f.dir, suites...); err != nil {
		t.Fatal(err)
	}
	files := http.FileServer(http.Dir(f.dir))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.requests = append(f.requests, r.URL.Path)
		f.mu.Unlock()
		if f.before == nil || !f.before(w, r) {
			files.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(s.Close)
	f.url = s.URL
	key, err := apttest.TestKey().Public()
	if err != nil {
		t.Fatal(err)
	}
	f.root = fstest.MapFS{
		"etc/os-release":                 {Data: []byte(osRelease)},
		"etc/apt/trusted.gpg.d/test.gpg": {Data: key},
		"etc/apt/sources.list": {Data: fmt.Appendf(nil,
			"deb %[1]s bookworm main\ndeb %[1]s bookworm-updates main\ndeb %[1]s bookworm-security main\n", f.url)},
	}
	return f
}

func (f *fixture) sourcesList(lines ...string) {
	f.root["etc/apt/sources.list"] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(strings.Join(lines, "\n"), "URL", f.url) + "\n")}
}

func (f *fixture) client() *pkgrepo.Client {
	f.t.Helper()
	c, err := pkgrepo.New(pkgrepo.Options{Dir: filepath.Join(f.dir, "cache"), Now: now, Wait: time.Millisecond, Tries: 3, Stall: time.Second})
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

// open opens the image's sources, or the overrides.
func (f *fixture) open(overrides ...string) (*apt.Archive, error) {
	return f.openWith(func(*apt.Options) {}, overrides...)
}

func (f *fixture) openWith(change func(*apt.Options), overrides ...string) (*apt.Archive, error) {
	f.t.Helper()
	conf, err := apt.Sources(f.root, "amd64", overrides...)
	if err != nil {
		return nil, err
	}
	opts := apt.Options{
		Client: f.client(), Root: f.root, Sources: conf.Sources, Architectures: []string{"amd64"},
		Names: []string{"openssl", "tzdata"}, Now: now,
	}
	change(&opts)
	return apt.Open(f.t.Context(), opts)
}

func (f *fixture) mustOpen(overrides ...string) *apt.Archive {
	f.t.Helper()
	a, err := f.open(overrides...)
	if err != nil {
		f.t.Fatal(err)
	}
	return a
}

// asked tells how many requests had a path that contains part.
func (f *fixture) asked(part string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, r := range f.requests {
		if strings.Contains(r, part) {
			n++
		}
	}
	return n
}

func (f *fixture) path(name string) string { return filepath.Join(f.dir, filepath.FromSlash(name)) }

func (f *fixture) read(name string) string {
	f.t.Helper()
	data, err := os.ReadFile(f.path(name))
	if err != nil {
		f.t.Fatal(err)
	}
	return string(data)
}

func (f *fixture) write(name, text string) {
	f.t.Helper()
	if err := os.MkdirAll(filepath.Dir(f.path(name)), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(f.path(name), []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) remove(names ...string) {
	f.t.Helper()
	for _, n := range names {
		if err := os.RemoveAll(f.path(n)); err != nil {
			f.t.Fatal(err)
		}
	}
}

// offers lists "version priority" of a package's candidates.
func offers(a *apt.Archive, name string) []string {
	var out []string
	for _, c := range a.Candidates(name, "amd64") {
		out = append(out, fmt.Sprintf("%s %d", c.Version, c.Priority))
	}
	return out
}
