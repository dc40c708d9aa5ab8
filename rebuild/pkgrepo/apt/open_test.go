package apt_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo/apt"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo/apt/apttest"
)

func TestOpen(t *testing.T) {
	f := newFixture(t, bookworm(apttest.TestKey())...)
	a := f.mustOpen()

	if got, want := offers(a, "openssl"), []string{"3.0.2 500", "3.0.1 500"}; !slices.Equal(got, want) {
		t.Errorf("openssl: %q, want %q, security first", got, want)
	}
	if got, want := offers(a, "tzdata"), []string{"2026a 500", "2026b 500"}; !slices.Equal(got, want) {
		t.Errorf("tzdata: %q, want %q", got, want)
	}
	if a.Serves("unwanted", "amd64") || !a.Serves("tzdata", "all") || a.Serves("openssl", "i386") || a.Serves("nothing", "amd64") {
		t.Error("Serves is wrong")
	}
	var origins []string
	for _, o := range a.Origins() {
		origins = append(origins, fmt.Sprintf("%s %s %s security=%t frozen=%t %s", o.Codename, o.Component, o.Label, o.Security, o.Frozen, o.Signer))
		if o.URI != f.url || o.Digest == [32]byte{} || !o.Date.Equal(now().Add(-time.Hour)) {
			t.Errorf("origin %+v", o)
		}
	}
	signer := apttest.TestKey().Fingerprint()
	want := []string{
		"bookworm main Debian security=false frozen=true " + signer,
		"bookworm-updates main Debian security=false frozen=true " + signer,
		"bookworm-security main Debian-Security security=true frozen=true " + signer,
	}
	if diff := cmp.Diff(want, origins); diff != "" {
		t.Error(diff)
	}
	if day, ok := a.EndOfLife(); !ok || day.Year() != 2028 {
		t.Errorf("end of life %v, %t", day, ok)
	}
	if len(a.Notes()) > 0 {
		t.Errorf("notes: %q", a.Notes())
	}
	if got := f.asked("by-hash"); got != 3 {
		t.Errorf("%d indexes by hash, want 3", got)
	}

	// The second run asks whether something changed, and takes the indexes from the cache.
	before := f.asked("")
	b := f.mustOpen()
	if got := f.asked("") - before; got != 3 {
		t.Errorf("%d requests in the second run, want 3", got)
	}
	if diff := cmp.Diff(a.Candidates("openssl", "amd64"), b.Candidates("openssl", "amd64")); diff != "" {
		t.Errorf("the second run differs: %s", diff)
	}
}

func TestCandidate(t *testing.T) {
	s := bookworm(apttest.TestKey())[0]
	s.Components = map[string]apttest.Component{"main": {Stanzas: []string{`Package: openssl
Source: openssl-src (1:3.0.1-0)
Version: 0:3.0.1-1
Architecture: amd64
multi-arch: foreign
Essential: yes
Installed-Size: 2000
Pre-Depends: libc6 (>= 2.36)
Depends: libssl3 (>= 3.0.1), perl:any | perl-base (<< 6~),
 ca-certificates
Recommends: nothing
Breaks: old (<= 1)
Conflicts: other:i386
Provides: crypto-tool (= 3.0)
Phased-Update-Percentage: 30
Filename: pool/o/openssl_3.0.1+deb~1_amd64.deb
Size: 1234
SHA256: 00000000000000000000000000000000000000000000000000000000000000ff
Description: a field that
 .
 is left out`}}}
	f := newFixture(t, s)
	f.sourcesList("deb URL bookworm main")
	got := f.mustOpen().Candidates("openssl", "amd64")
	if len(got) != 1 {
		t.Fatalf("%d candidates", len(got))
	}
	want := pkgrepo.Candidate{
		Package: ecosystem.Package{
			Key: ecosystem.Key{Name: "openssl", Arch: "amd64"}, Version: "3.0.1-1",
			Source: "openssl-src", SourceVersion: "1:3.0.1-0", MultiArch: "foreign", Essential: true,
			Requires: []ecosystem.Clause{
				{{Name: "libc6", Op: ">=", Version: "2.36"}},
				{{Name: "libssl3", Op: ">=", Version: "3.0.1"}},
				{{Name: "perl", Arch: "any"}, {Name: "perl-base", Op: "<", Version: "6~"}},
				{{Name: "ca-certificates"}},
			},
			Conflicts: []ecosystem.Relation{{Name: "other", Arch: "i386"}, {Name: "old", Arch: "any", Op: "<=", Version: "1"}},
			Provides:  []ecosystem.Relation{{Name: "crypto-tool", Op: "=", Version: "3.0"}}, InstalledSize: 2000 << 10,
		},
		Artifact: pkgrepo.Artifact{URL: f.url + "/pool/o/openssl_3.0.1+deb~1_amd64.deb", Size: 1234, SHA256: [32]byte{31: 0xff}},
		Origin:   got[0].Origin, Priority: 500, Phase: 30,
	}
	if diff := cmp.Diff(want, got[0]); diff != "" {
		t.Error(diff)
	}
}

func TestUnusablePackagesAreSkipped(t *testing.T) {
	s := bookworm(apttest.TestKey())[0]
	weak := strings.Replace(pkg("openssl", "9"), "SHA256:", "SHA1:", 1)
	outside := strings.Replace(pkg("openssl", "8"), "pool/main/", "../../etc/", 1)
	s.Components = map[string]apttest.Component{"main": {Stanzas: []string{
		weak, outside, pkg("openssl", "7", "Depends: ((("), pkg("openssl", "3"),
	}}}
	f := newFixture(t, s)
	f.sourcesList("deb URL bookworm main")
	if got := offers(f.mustOpen(), "openssl"); !slices.Equal(got, []string{"3 500"}) {
		t.Errorf("got %q: only the last stanza is usable", got)
	}
}

func TestForms(t *testing.T) {
	for _, forms := range [][]string{{""}, {".gz"}, {".xz"}, {"", ".xz"}} {
		t.Run(strings.Join(forms, "+"), func(t *testing.T) {
			s := bookworm(apttest.TestKey())[0]
			s.Forms = forms
			f := newFixture(t, s)
			f.sourcesList("deb URL bookworm main")
			if got := offers(f.mustOpen(), "openssl"); !slices.Equal(got, []string{"3.0.1 500"}) {
				t.Errorf("got %q", got)
			}
		})
	}
}

// TestIndexFallback has the server lack forms that the Release file declares.
func TestIndexFallback(t *testing.T) {
	f := newFixture(t, bookworm(apttest.TestKey())...)
	f.sourcesList("deb URL bookworm main")
	dir := "dists/bookworm/main/binary-amd64/"
	f.remove(dir+"by-hash", dir+"Packages.gz")
	if got := offers(f.mustOpen(), "openssl"); !slices.Equal(got, []string{"3.0.1 500"}) {
		t.Errorf("without by-hash and gzip: %q", got)
	}
	if f.asked("by-hash") == 0 || f.asked("Packages.gz") == 0 {
		t.Error("the preferred forms were not asked for")
	}
	f.remove(dir, "cache")
	_, err := f.open()
	wantKind(t, err, pkgrepo.ErrUnreachable)

	f.sourcesList("deb [by-hash=no] URL bookworm-updates main")
	before := f.asked("by-hash")
	f.mustOpen()
	if f.asked("by-hash") > before {
		t.Error("by-hash=no is not followed")
	}
}

func wantKind(t *testing.T, err, kind error) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want: %v", kind)
	}
	for _, k := range []error{pkgrepo.ErrUnreachable, pkgrepo.ErrNotFound, pkgrepo.ErrVerification} {
		if got, want := errors.Is(err, k), errors.Is(kind, k); got != want {
			t.Errorf("error %q: is %q: %t, want %t", err, k, got, want)
		}
	}
}

func TestServerFailures(t *testing.T) {
	fail := func(part string, times int64, answer func(w http.ResponseWriter)) func(*fixture) {
		return func(f *fixture) {
			var n atomic.Int64
			f.before = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, part) || n.Add(1) > times {
					return false
				}
				answer(w)
				return true
			}
		}
	}
	const always = 1 << 30
	status := func(code int) func(http.ResponseWriter) { return func(w http.ResponseWriter) { w.WriteHeader(code) } }
	cut := func(w http.ResponseWriter) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte("half"))
	}
	stall := func(http.ResponseWriter) { time.Sleep(1500 * time.Millisecond) }
	tests := []struct {
		name  string
		setup func(*fixture)
		kind  error
		text  string
	}{
		{"InRelease 500, then there", fail("InRelease", 2, status(500)), nil, ""},
		{"InRelease 500", fail("InRelease", always, status(500)), pkgrepo.ErrUnreachable, "500"},
		{"InRelease refused", fail("InRelease", always, status(401)), pkgrepo.ErrUnreachable, "401"},
		{"InRelease cut off", fail("InRelease", 1, cut), nil, ""},
		{"InRelease stalled", fail("InRelease", 1, stall), nil, ""},
		{"index 500, then there", fail("by-hash", 1, status(503)), nil, ""},
		{"index cut off, then there", fail("by-hash", 1, cut), nil, ""},
		{"suite is not there", func(f *fixture) { f.remove("dists/bookworm") }, pkgrepo.ErrUnreachable, "neither InRelease nor Release"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, bookworm(apttest.TestKey())[0])
			f.sourcesList("deb URL bookworm main")
			tt.setup(f)
			a, err := f.open()
			if tt.kind == nil {
				if err != nil {
					t.Fatal(err)
				}
				if !a.Serves("openssl", "amd64") {
					t.Error("openssl is missing")
				}
				return
			}
			wantKind(t, err, tt.kind)
			if !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error %q lacks %q", err, tt.text)
			}
		})
	}
}

func TestOpenCancelled(t *testing.T) {
	f := newFixture(t, bookworm(apttest.TestKey())...)
	ctx, cancel := context.WithCancel(t.Context())
	f.before = func(http.ResponseWriter, *http.Request) bool { cancel(); return false }
	conf, err := apt.Sources(f.root, "amd64")
	if err != nil {
		t.Fatal(err)
	}
	_, err = apt.Open(ctx, apt.Options{Client: f.client(), Root: f.root, Sources: conf.Sources, Architectures: []string{"amd64"}, Now: now})
	if !errors.Is(err, context.Canceled) || errors.Is(err, pkgrepo.ErrUnreachable) {
		t.Errorf("error is %v", err)
	}
}

func TestArchived(t *testing.T) {
	f := newFixture(t)
	f.root["etc/os-release"] = &fstest.MapFile{Data: []byte("ID=debian\nVERSION_ID=10\nVERSION_CODENAME=buster\n")}
	f.sourcesList("deb URL buster main")
	_, err := f.open()
	var archived *apt.ArchivedError
	if !errors.As(err, &archived) || archived.EndOfLife.Format(time.DateOnly) != "2024-06-30" {
		t.Fatalf("error is %v", err)
	}
	wantKind(t, err, pkgrepo.ErrUnreachable)
	if !strings.Contains(err.Error(), "2024-06-30") || !strings.Contains(err.Error(), "archive.debian.org") {
		t.Errorf("the message helps nobody: %v", err)
	}
}

func TestFlatRepository(t *testing.T) {
	f := newFixture(t, apttest.Suite{
		Date: now(), Keys: []*apttest.Key{apttest.TestKey()},
		Components: map[string]apttest.Component{"": {Stanzas: []string{pkg("openssl", "4"), pkg("tzdata", "1", "Architecture: i386")}}},
	})
	for _, line := range []string{"deb URL ./", "deb URL/ /", "deb URL/. ./"} {
		f.sourcesList(line)
		a := f.mustOpen()
		if got := offers(a, "openssl"); !slices.Equal(got, []string{"4 500"}) {
			t.Errorf("%s: got %q", line, got)
		}
		if a.Origins()[0].Frozen || a.Serves("tzdata", "amd64") {
			t.Errorf("%s: %+v", line, a.Origins()[0])
		}
	}
}

func TestBareBase(t *testing.T) {
	f := newFixture(t, bookworm(apttest.TestKey())...)
	for _, spec := range []string{f.url, f.url + "/", f.dir, "file://" + f.dir} {
		a := f.mustOpen(spec)
		if got, want := offers(a, "openssl"), []string{"3.0.2 500", "3.0.1 500"}; !slices.Equal(got, want) {
			t.Errorf("%s: got %q", spec, got)
		}
	}
	f.remove("dists/bookworm-updates", "dists/bookworm")
	a := f.mustOpen(f.url)
	if len(a.Origins()) != 1 || !a.Origins()[0].Security {
		t.Errorf("a base with the security suite alone: %v", a.Origins())
	}
	f.remove("dists")
	_, err := f.open(f.url)
	wantKind(t, err, pkgrepo.ErrUnreachable)
	if !strings.Contains(err.Error(), "bookworm-security") {
		t.Errorf("the error does not say what was looked for: %v", err)
	}
	if err := apttest.Write(f.dir, apttest.Suite{
		Date: now(), Keys: []*apttest.Key{apttest.TestKey()},
		Components: map[string]apttest.Component{"": {Stanzas: []string{pkg("openssl", "4")}}},
	}); err != nil {
		t.Fatal(err)
	}
	if got := offers(f.mustOpen(f.dir), "openssl"); !slices.Equal(got, []string{"4 500"}) {
		t.Errorf("flat: %q", got)
	}
}

// TestBareBaseComponents offers none of the distribution's components: all are taken.
func TestBareBaseComponents(t *testing.T) {
	s := bookworm(apttest.TestKey())[0]
	s.Components = map[string]apttest.Component{
		"internal": {Stanzas: []string{pkg("openssl", "5")}},
		"extra":    {Stanzas: []string{pkg("tzdata", "6")}},
	}
	f := newFixture(t, s)
	a := f.mustOpen(f.url)
	if !a.Serves("openssl", "amd64") || !a.Serves("tzdata", "amd64") {
		t.Errorf("origins %v", a.Origins())
	}
}

func TestArchitectures(t *testing.T) {
	s := bookworm(apttest.TestKey())[0]
	s.Components = map[string]apttest.Component{"main": {Stanzas: []string{
		pkg("openssl", "1"), pkg("openssl", "2", "Architecture: i386"), pkg("tzdata", "3", "Architecture: all"),
	}}}
	f := newFixture(t, s)
	f.sourcesList("deb URL bookworm main contrib")
	a, err := f.openWith(func(o *apt.Options) { o.Architectures = []string{"amd64", "i386"} })
	if err != nil {
		t.Fatal(err)
	}
	for arch, want := range map[string]string{"amd64": "1", "i386": "2"} {
		if c := a.Candidates("openssl", arch); len(c) != 1 || c[0].Version != want {
			t.Errorf("%s: %v", arch, c)
		}
	}
	if !a.Serves("tzdata", "all") || !a.Serves("tzdata", "amd64") || a.Serves("tzdata", "i386") {
		t.Error("packages of architecture all belong to the native one")
	}
	if n := a.Notes(); len(n) != 1 || !strings.Contains(n[0], `"contrib"`) {
		t.Errorf("notes %q: want one about the component that is not there", n)
	}
	f.sourcesList("deb [arch=i386] URL bookworm main")
	if f.mustOpen().Serves("openssl", "amd64") {
		t.Error("a source for i386 only serves amd64")
	}
}

func TestBinaryAll(t *testing.T) {
	for fields, want := range map[string]bool{"": true, "Packages": false} {
		s := bookworm(apttest.TestKey())[0]
		s.Components = map[string]apttest.Component{"main": {Stanzas: []string{pkg("tzdata", "1", "Architecture: all")}}}
		s.Fields["No-Support-for-Architecture-all"] = fields
		f := newFixture(t, s)
		f.sourcesList("deb URL bookworm main")
		if got := f.mustOpen().Serves("tzdata", "all"); got != want {
			t.Errorf("No-Support-for-Architecture-all: %q: served %t", fields, got)
		}
	}
}

func TestPriorities(t *testing.T) {
	backports := bookworm(apttest.TestKey())[0]
	backports.Name = "bookworm-backports"
	backports.Fields = debian("bookworm-backports", "oldstable-backports", "Debian Backports")
	backports.Fields["Origin"] = "Debian Backports"
	backports.Fields["NotAutomatic"], backports.Fields["ButAutomaticUpgrades"] = "yes", "yes"
	backports.Components = map[string]apttest.Component{"main": {Stanzas: []string{pkg("openssl", "3.2"), pkg("tzdata", "2026b", "Architecture: all")}}}
	f := newFixture(t, append(bookworm(apttest.TestKey()), backports)...)
	f.sourcesList("deb URL bookworm main", "deb URL bookworm-updates main", "deb URL bookworm-backports main")
	a := f.mustOpen()
	if got, want := offers(a, "openssl"), []string{"3.0.1 500", "3.2 100"}; !slices.Equal(got, want) {
		t.Errorf("openssl: %q, want %q", got, want)
	}
	// The same version in updates and backports has the better priority of the two.
	if got, want := offers(a, "tzdata"), []string{"2026a 500", "2026b 500", "2026b 500"}; !slices.Equal(got, want) {
		t.Errorf("tzdata: %q, want %q", got, want)
	}
	for _, o := range a.Origins() {
		if o.Name == "Debian Backports" && o.Frozen {
			t.Error("backports are not a frozen pocket")
		}
	}
	f.root["etc/apt/preferences.d/ssl"] = &fstest.MapFile{Data: []byte("Package: openssl\nPin: release n=bookworm-backports\nPin-Priority: 900\n")}
	if got, want := offers(f.mustOpen(), "openssl"), []string{"3.0.1 500", "3.2 900"}; !slices.Equal(got, want) {
		t.Errorf("pinned openssl: %q, want %q", got, want)
	}
}

// TestConcurrentOpens is how the platforms of an index are done: one client and one keyring for all.
func TestConcurrentOpens(t *testing.T) {
	f := newFixture(t, bookworm(apttest.TestKey())...)
	keyring := filepath.Join(t.TempDir(), "key.gpg")
	if err := os.WriteFile(keyring, public(t, apttest.TestKey()), 0o600); err != nil {
		t.Fatal(err)
	}
	k, err := apt.LoadKeyring(keyring)
	if err != nil {
		t.Fatal(err)
	}
	client := f.client()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			a, err := f.openWith(func(o *apt.Options) { o.Client, o.Keyring = client, k })
			if err != nil {
				t.Error(err)
				return
			}
			if got := offers(a, "openssl"); !slices.Equal(got, []string{"3.0.2 500", "3.0.1 500"}) {
				t.Errorf("got %q", got)
			}
		})
	}
	wg.Wait()
	if got := f.asked("by-hash"); got != 3 {
		t.Errorf("%d downloads of three indexes", got)
	}
}
