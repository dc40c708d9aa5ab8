package apt_test

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo/apt"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo/apt/apttest"
)

// TestNoKeyring: what the image has no keys for is checked with the distribution's own, where these are asked for. Nothing of
// the fixture is signed with them, so the error tells which keys were tried, if any.
func TestNoKeyring(t *testing.T) {
	const (
		tried = "signed only by keys that are not trusted for it"
		none  = "no key to check its signature with: it is signed by "
	)
	signedBy := func(file string) string {
		return "Types: deb\nURIs: URL\nSuites: bookworm\nComponents: main\nSigned-By: " + file + "\n"
	}
	tests := []struct {
		name, osRelease, sources, want string
	}{
		{"Debian, as it comes", osRelease, signedBy("/usr/share/keyrings/debian-archive-keyring.gpg"), tried},
		{"Debian 13's name", osRelease, signedBy("/usr/share/keyrings/debian-archive-keyring.pgp"), tried},
		{"Ubuntu's on Debian", osRelease, signedBy("/usr/share/keyrings/ubuntu-archive-keyring.gpg"), tried},
		{"no Signed-By", osRelease, "Types: deb\nURIs: URL\nSuites: bookworm\nComponents: main\n", tried},
		{"no Signed-By in another distribution", "ID=kali\nVERSION_ID=1\n", "Types: deb\nURIs: URL\nSuites: bookworm\nComponents: main\n", none},
		{"a third party's", osRelease, signedBy("/etc/apt/keyrings/vendor.gpg"), none},
		{"a third party's, named alike", osRelease, signedBy("/etc/apt/keyrings/debian-archive-keyring.gpg"), none},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, bookworm(apttest.TestKey())...)
			f.root = fstest.MapFS{
				"etc/os-release":                   {Data: []byte(tt.osRelease)},
				"etc/apt/sources.list.d/x.sources": {Data: []byte(strings.ReplaceAll(tt.sources, "URL", f.url))},
			}
			_, err := f.open()
			wantKind(t, err, pkgrepo.ErrVerification)
			if !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "--keyring") || strings.Contains(err.Error(), "\n") {
				t.Errorf("the message is %q", err)
			}
			missing := new(apt.NoKeyringError)
			if errors.As(err, &missing) != (tt.want == none) {
				t.Fatalf("%v", err)
			}
			if tt.want == none {
				if diff := cmp.Diff([]string{apttest.TestKey().Fingerprint()}, missing.Signers); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

// TestKeyringOfTheImageComesFirst: keys that the image trusts are not replaced or added to.
func TestKeyringOfTheImageComesFirst(t *testing.T) {
	f := newFixture(t, bookworm(apttest.TestKey())...)
	f.trust()
	f.root["usr/share/keyrings/debian-archive-keyring.gpg"] = &fstest.MapFile{Data: public(t, apttest.TestKey())}
	a, err := f.open()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range a.Notes() {
		if strings.Contains(n, "keyring") {
			t.Errorf("note %q", n)
		}
	}
}

func TestNoSigner(t *testing.T) {
	f := newFixture(t, bookworm(apttest.TestKey())...)
	f.root = fstest.MapFS{"etc/apt/sources.list": {Data: []byte("deb [signed-by=/none.gpg] " + f.url + " bookworm main\n")}}
	f.remove("dists/bookworm/InRelease")
	f.write("dists/bookworm/Release.gpg", "")
	_, err := f.open()
	wantKind(t, err, pkgrepo.ErrVerification)
	if errors.As(err, new(*apt.NoKeyringError)) {
		t.Errorf("a file without a signature is said to lack a key: %v", err)
	}
}

// TestManySigners: a message names a few of them.
func TestManySigners(t *testing.T) {
	var all []*apttest.Key
	for range 12 {
		all = append(all, newKey(t, now().Add(-2*time.Hour), 0))
	}
	f := newFixture(t, bookworm(all...)...)
	for _, options := range []string{"", "[signed-by=/none.gpg]"} {
		f.sourcesList("deb " + options + " URL bookworm main")
		_, err := f.open()
		wantKind(t, err, pkgrepo.ErrVerification)
		if len(err.Error()) > 700 {
			t.Errorf("the message has %d bytes: %v", len(err.Error()), err)
		}
	}
}
