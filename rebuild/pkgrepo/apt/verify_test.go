package apt_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo/apt"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo/apt/apttest"
)

func newKey(t *testing.T, created time.Time, lifetime time.Duration) *apttest.Key {
	t.Helper()
	k, err := apttest.NewKey("another", created, lifetime)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func public(t *testing.T, k *apttest.Key) []byte {
	t.Helper()
	data, err := k.Public()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func (f *fixture) trust(keys ...*apttest.Key) {
	f.t.Helper()
	delete(f.root, "etc/apt/trusted.gpg.d/test.gpg")
	for _, k := range keys {
		f.root["etc/apt/trusted.gpg.d/"+k.Fingerprint()+".gpg"] = &fstest.MapFile{Data: public(f.t, k)}
	}
}

// resign writes InRelease anew with the given text and keys.
func (f *fixture) resign(text string, keys ...*apttest.Key) {
	f.t.Helper()
	data, err := apttest.SignInline([]byte(text), now().Add(-time.Minute), keys...)
	if err != nil {
		f.t.Fatal(err)
	}
	f.write(inRelease, string(data))
}

func (f *fixture) detach(sign func(text []byte, at time.Time) ([]byte, error)) {
	f.t.Helper()
	f.remove(inRelease)
	sig, err := sign([]byte(f.read(release)), now().Add(-time.Minute))
	if err != nil {
		f.t.Fatal(err)
	}
	f.write(release+".gpg", string(sig))
}

const (
	inRelease = "dists/bookworm/InRelease"
	release   = "dists/bookworm/Release"
	packages  = "dists/bookworm/main/binary-amd64/Packages"
)

const year = 365 * 24 * time.Hour

// edit replaces text in a file of the repository.
func edit(name, old, replacement string) func(*fixture) {
	return func(f *fixture) {
		text := f.read(name)
		if !strings.Contains(text, old) {
			f.t.Fatalf("%s does not contain %q", name, old)
		}
		f.write(name, strings.Replace(text, old, replacement, 1))
	}
}

// good is the key that the fixture's image trusts.
var good = apttest.TestKey()

// tamperings each change one thing about a good repository.
var tamperings = []struct {
	name  string
	setup func(f *fixture)
	text  string
}{
	{"no signature", func(f *fixture) { f.remove(inRelease, release+".gpg") }, "not signed"},
	{"unsigned InRelease", func(f *fixture) { f.write(inRelease, f.read(release)) }, "does not start with a clear-signed message"},
	{"empty InRelease", func(f *fixture) { f.write(inRelease, "") }, "does not start"},
	{"unknown key", func(f *fixture) { f.resign(f.read(release), newKey(f.t, now().Add(-year), 0)) }, "not trusted for it"},
	{"changed text", edit(inRelease, "Origin: Debian", "Origin: Debiam"), "no good signature"},
	{"text before", func(f *fixture) { f.write(inRelease, "Origin: Debian\n\n"+f.read(inRelease)) }, "does not start"},
	{"text after", func(f *fixture) { f.write(inRelease, f.read(inRelease)+"Origin: Debian\n") }, "text after"},
	{"cut off", func(f *fixture) { s := f.read(inRelease); f.write(inRelease, s[:len(s)-60]) }, "cut off"},
	{"header smuggled in", edit(inRelease, "Hash: SHA256\n", "Hash: SHA256\nOrigin: Debian\n"), "malformed"},
	{"second message", func(f *fixture) { f.write(inRelease, f.read(inRelease)+f.read(inRelease)) }, "text after"},
	{"weak signature", func(f *fixture) { f.detach(good.SignWeakly) }, "no good signature"},
	{"detached, other text", func(f *fixture) { f.detach(good.SignDetached); edit(release, "Debian", "Debiam")(f) }, "no good signature"},
	{"detached, garbage", func(f *fixture) { f.remove(inRelease); f.write(release+".gpg", "garbage") }, "signature"},
	{"detached, empty", func(f *fixture) { f.remove(inRelease); f.write(release+".gpg", "") }, "not signed"},
	{
		"expired key", func(f *fixture) {
			k := newKey(f.t, now().Add(-year), year-time.Hour)
			f.trust(k)
			data, _ := apttest.SignInline([]byte(f.read(release)), now().Add(-30*24*time.Hour), k)
			f.write(inRelease, string(data))
		}, "expired",
	},
	{
		"revoked key", func(f *fixture) {
			k := newKey(f.t, now().Add(-year), 0)
			f.resign(f.read(release), k)
			if err := k.Revoke(now()); err != nil {
				f.t.Fatal(err)
			}
			f.trust(k)
		}, "revoked",
	},
	{"key from the future", func(f *fixture) {
		k := newKey(f.t, now().Add(time.Hour), 0)
		f.trust(k)
		f.resign(f.read(release), k)
	}, "no good signature"},
	{"no keyring", func(f *fixture) { f.trust() }, "--keyring"},
	{"keyring is garbage", func(f *fixture) {
		f.root["etc/apt/trusted.gpg.d/test.gpg"] = &fstest.MapFile{Data: []byte("garbage")}
	}, "keyring"},
	{"Signed-By another key", func(f *fixture) {
		f.sourcesList("deb [signed-by=" + newKey(f.t, now(), 0).Fingerprint() + "] URL bookworm main")
	}, "does not allow"},
	{"Signed-By a missing keyring", func(f *fixture) {
		f.sourcesList("deb [signed-by=/usr/share/keyrings/none.gpg] URL bookworm main")
	}, "/usr/share/keyrings/none.gpg"},
	{"no longer valid", func(f *fixture) {
		f.resign("Valid-Until: Sun, 01 Mar 2026 11:59:00 UTC\n"+f.read(release), good)
	}, "valid until 2026-03-01T11:59:00Z"},
	{"from the future", func(f *fixture) {
		f.resign(strings.Replace(f.read(release), "Date: Sun, 01 Mar 2026 11", "Date: Sun, 01 Mar 2026 13", 1), good)
	}, "in the future"},
	{"malformed date", func(f *fixture) {
		f.resign(strings.Replace(f.read(release), "UTC", "CET", 1), good)
	}, "not a date in UTC"},
	{"another suite", func(f *fixture) { f.write(inRelease, f.read("dists/bookworm-updates/InRelease")) }, `asked for the suite "bookworm"`},
	{"only weak digests", func(f *fixture) { f.resign(strings.Replace(f.read(release), "SHA256:", "SHA1:", 1), good) }, "no SHA-256"},
	{"two stanzas", func(f *fixture) { f.resign(f.read(release)+"\nOrigin: Debian\n", good) }, "more than one stanza"},
	{"a field twice", func(f *fixture) { f.resign(f.read(release)+"Origin: Other\n", good) }, "twice"},
	{"a malformed checksum", func(f *fixture) { f.resign(f.read(release)+" abc 1 main/binary-amd64/Packages.zst\n", good) }, "malformed checksum"},
	{"changed index", func(f *fixture) {
		f.changeIndex(func(s string) string { return strings.Replace(s, "3.0.1", "9.0.1", 1) })
	}, "SHA-256"},
	{"truncated index", func(f *fixture) { f.changeIndex(func(s string) string { return s[:len(s)-1] }) }, "size is"},
	{"oversized index", func(f *fixture) { f.changeIndex(func(s string) string { return s + "\n" }) }, "larger than"},
	{"oversized InRelease", func(f *fixture) { f.write(inRelease, strings.Repeat("x", 11<<20)) }, "larger than"},
}

// TestTampering wants each to be an ErrVerification that says what is wrong.
func TestTampering(t *testing.T) {
	for _, tt := range tamperings {
		t.Run(tt.name, func(t *testing.T) {
			suites := bookworm(good)
			for i := range suites {
				suites[i].Forms = []string{""}
			}
			f := newFixture(t, suites...)
			f.sourcesList("deb URL bookworm main")
			f.mustOpen() // it is good before
			f.remove("cache")
			tt.setup(f)
			_, err := f.open()
			wantKind(t, err, pkgrepo.ErrVerification)
			if !strings.Contains(err.Error(), tt.text) || !strings.Contains(err.Error(), f.url) {
				t.Errorf("error %q lacks %q or the URL", err, tt.text)
			}
		})
	}
}

// changeIndex changes the index and leaves what vouches for it.
func (f *fixture) changeIndex(change func(string) string) {
	f.t.Helper()
	text := change(f.read(packages))
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "binary-amd64") {
			_, _ = w.Write([]byte(text))
			return true
		}
		return false
	}
}

func TestCheckValidUntil(t *testing.T) {
	s := bookworm(apttest.TestKey())[0]
	s.ValidUntil = now().Add(-time.Minute)
	f := newFixture(t, s)
	for option, ok := range map[string]bool{"check-valid-until=no": true, "check-date=no": true, "check-valid-until=yes": false} {
		line := "deb [" + option + "] URL bookworm main"
		if _, err := f.open(strings.ReplaceAll(line, "URL", f.url)); (err == nil) != ok {
			t.Errorf("%s, by the caller: %v", option, err)
		}
		f.sourcesList(line)
		if _, err := f.open(); !errors.Is(err, pkgrepo.ErrVerification) {
			t.Errorf("%s, by the image: %v", option, err)
		}
	}
}

// TestAnyGoodSignature is how an archive changes its key: two signatures, of which the image knows one.
func TestAnyGoodSignature(t *testing.T) {
	f := newFixture(t, bookworm(apttest.TestKey())...)
	f.sourcesList("deb URL bookworm main")
	other := newKey(t, now().Add(-time.Hour), 0)
	for _, keys := range [][]*apttest.Key{{other, apttest.TestKey()}, {apttest.TestKey(), other}} {
		f.resign(f.read(release), keys...)
		a, err := f.open()
		if err != nil {
			t.Fatal(err)
		}
		if got := a.Origins()[0].Signer; got != apttest.TestKey().Fingerprint() {
			t.Errorf("signer is %s", got)
		}
	}
}

// TestSeveralCopiesOfAKey has an old keyring with the key as it was before its expiry was moved.
func TestSeveralCopiesOfAKey(t *testing.T) {
	f := newFixture(t, bookworm(apttest.TestKey())...)
	f.sourcesList("deb URL bookworm main")
	k := newKey(t, now().Add(-48*time.Hour), 0)
	f.resign(f.read(release), k)
	good := public(t, k)
	if err := k.Revoke(now()); err != nil {
		t.Fatal(err)
	}
	f.root["etc/apt/trusted.gpg.d/0.gpg"] = &fstest.MapFile{Data: public(t, k)}
	if _, err := f.open(); !errors.Is(err, pkgrepo.ErrVerification) {
		t.Fatalf("with the bad copy: %v", err)
	}
	f.root["etc/apt/trusted.gpg.d/1.gpg"] = &fstest.MapFile{Data: good}
	if _, err := f.open(); err != nil {
		t.Errorf("with a good copy beside it: %v", err)
	}
}

func TestDetachedSignature(t *testing.T) {
	f := newFixture(t, bookworm(apttest.TestKey())...)
	f.remove(inRelease)
	if got := offers(f.mustOpen(), "openssl"); len(got) != 2 {
		t.Errorf("got %q", got)
	}
}

func TestKeyrings(t *testing.T) {
	key := apttest.TestKey()
	armored, err := key.Armored()
	if err != nil {
		t.Fatal(err)
	}
	other := newKey(t, now().Add(-time.Hour), 0)
	inline := strings.ReplaceAll(strings.TrimSpace(string(armored)), "\n\n", "\n.\n")
	inline = " " + strings.ReplaceAll(inline, "\n", "\n ")
	stanza := func(signedBy string) func(*fixture) {
		return func(f *fixture) {
			f.trust(other)
			f.root["usr/share/keyrings/one.gpg"] = &fstest.MapFile{Data: public(t, key)}
			f.root["etc/apt/sources.list.d/x.sources"] = &fstest.MapFile{Data: []byte(
				"Types: deb\nURIs: " + f.url + "\nSuites: bookworm\nComponents: main\n" + signedBy + "\n")}
			f.sourcesList("")
		}
	}
	tests := []struct {
		name  string
		setup func(*fixture)
		good  bool
	}{
		{"trusted.gpg.d, armored, after another key", func(f *fixture) {
			otherArmored, _ := other.Armored()
			f.trust()
			f.root["etc/apt/trusted.gpg.d/x.asc"] = &fstest.MapFile{Data: append(otherArmored, armored...)}
		}, true},
		{"trusted.gpg", func(f *fixture) {
			f.trust()
			f.root["etc/apt/trusted.gpg"] = &fstest.MapFile{Data: public(t, key)}
		}, true},
		{"empty trusted.gpg beside", func(f *fixture) { f.root["etc/apt/trusted.gpg"] = &fstest.MapFile{} }, true},
		{"the distribution's keyring", func(f *fixture) {
			f.trust()
			f.root["usr/share/keyrings/debian-archive-keyring.gpg"] = &fstest.MapFile{Data: public(t, key)}
		}, true},
		{"Signed-By a path", stanza("Signed-By: /usr/share/keyrings/one.gpg"), true},
		{"Signed-By a key", stanza("Signed-By:\n" + inline), true},
		{"Signed-By a fingerprint in a keyring", stanza("Signed-By: /usr/share/keyrings/one.gpg " + key.Fingerprint() + "!"), true},
		{"Signed-By a fingerprint that is not trusted", stanza("Signed-By: " + key.Fingerprint()), false},
		{"no Signed-By, other key trusted", stanza("Enabled: yes"), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, bookworm(key)...)
			tt.setup(f)
			_, err := f.open()
			if tt.good && err != nil {
				t.Fatal(err)
			}
			if !tt.good {
				wantKind(t, err, pkgrepo.ErrVerification)
			}
		})
	}
}

func TestLoadKeyring(t *testing.T) {
	dir := t.TempDir()
	key, other := apttest.TestKey(), newKey(t, now().Add(-time.Hour), 0)
	armored, err := key.Armored()
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"a/one.gpg": public(t, key), "a/two.asc": armored, "a/README": []byte("not a keyring"),
		"b/other.gpg": public(t, other), "c/bad.gpg": []byte("garbage"), "d/README": nil,
		"kbx.gpg": append(make([]byte, 8), "KBXf and more"...),
	} {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := newFixture(t, bookworm(key)...)
	tests := []struct {
		paths []string
		// loads and opens tell whether the keyring can be read, and the repository be opened with it.
		loads, opens bool
	}{
		{[]string{"a"}, true, true},
		{[]string{"a/one.gpg"}, true, true},
		{[]string{"a/two.asc"}, true, true},
		{[]string{"b", "a"}, true, true},
		{[]string{"b"}, true, false}, // given keys take the place of the image's
		{[]string{"c"}, false, false},
		{[]string{"d"}, false, false},
		{[]string{"none"}, false, false},
		{[]string{"kbx.gpg"}, false, false},
		{[]string{"a/README"}, false, false},
	}
	for _, tt := range tests {
		var paths []string
		for _, p := range tt.paths {
			paths = append(paths, filepath.Join(dir, p))
		}
		k, err := apt.LoadKeyring(paths...)
		if (err == nil) != tt.loads {
			t.Errorf("%v: %v", tt.paths, err)
		}
		if err != nil {
			continue
		}
		if _, err = f.openWith(func(o *apt.Options) { o.Keyring = k }); (err == nil) != tt.opens {
			t.Errorf("opening with %v: %v", tt.paths, err)
		}
	}
}
