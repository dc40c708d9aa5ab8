package apk

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func TestSources(t *testing.T) {
	root := fstest.MapFS{
		"etc/os-release": {Data: []byte("ID=\"alpine\"\nVERSION_ID=3.20.3\n")},
		"etc/apk/repositories": {Data: []byte(
			"# comment\nhttps://dl-cdn.alpinelinux.org/alpine/v3.20/main/\n\n#http://x/y\n/media/cdrom/apks\n" +
				"@edge http://dl-cdn.alpinelinux.org/alpine/edge/main\nftp://example.org/x\nfile:///srv/apk\n")},
		"etc/apk/repositories.d/own.list": {Data: []byte("https://example.org/own")},
		"etc/apk/repositories.d/README":   {Data: []byte("not a repository")},
	}
	got, err := Sources(root)
	if err != nil {
		t.Fatal(err)
	}
	want := []Source{
		{URI: "https://dl-cdn.alpinelinux.org/alpine/v3.20/main", From: "etc/apk/repositories:2"},
		{URI: "http://dl-cdn.alpinelinux.org/alpine/edge/main", Tag: "edge", From: "etc/apk/repositories:6"},
		{URI: "https://example.org/own", From: "etc/apk/repositories.d/own.list:1"},
	}
	if diff := cmp.Diff(want, got.Sources); diff != "" {
		t.Error(diff)
	}
	if len(got.Notes) != 3 {
		t.Errorf("got notes %q", got.Notes)
	}
}

// TestSecretsStayOut: an address that may have a secret in it is refused, wherever it stands, and the secret not repeated.
func TestSecretsStayOut(t *testing.T) {
	for _, address := range []string{"https://ada:s3cret@example.org/main", "https://example.org/main?token=s3cret"} {
		for from, sources := range map[string]func() (*Configured, error){
			"image": func() (*Configured, error) {
				return Sources(fstest.MapFS{"etc/apk/repositories": {Data: []byte(address)}})
			},
			"override": func() (*Configured, error) { return Sources(fstest.MapFS{}, address) },
			"tagged":   func() (*Configured, error) { return Sources(fstest.MapFS{}, "@own "+address) },
		} {
			_, err := sources()
			var wrong *ConfigError
			if !errors.As(err, &wrong) || !strings.Contains(err.Error(), "--repo-auth") || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%s, %s: %v", address, from, err)
			}
		}
	}
}

func TestDefaults(t *testing.T) {
	for release, want := range map[string]string{
		"ID=alpine\nVERSION_ID=3.19.4":           "https://dl-cdn.alpinelinux.org/alpine/v3.19/main https://dl-cdn.alpinelinux.org/alpine/v3.19/community",
		"ID=alpine\nVERSION_ID=3.22_alpha202504": "https://dl-cdn.alpinelinux.org/alpine/edge/main https://dl-cdn.alpinelinux.org/alpine/edge/community",
		"ID=wolfi\nVERSION_ID=20230201":          "https://packages.wolfi.dev/os",
		"ID=chainguard":                          "https://packages.wolfi.dev/os",
		"ID=debian\nVERSION_ID=12":               "",
		"":                                       "",
	} {
		c, err := Sources(fstest.MapFS{"usr/lib/os-release": {Data: []byte(release)}})
		var unknown *UnknownDistroError
		if want == "" {
			if !errors.As(err, &unknown) {
				t.Errorf("%q: got %v", release, err)
			}
			continue
		}
		if err != nil || len(c.Notes) != 1 {
			t.Errorf("%q: got %v, %q", release, err, c.Notes)
			continue
		}
		var all []string
		for _, s := range c.Sources {
			all = append(all, s.URI)
		}
		if got := strings.Join(all, " "); got != want {
			t.Errorf("%q: got %s", release, got)
		}
	}
}

func TestOverrides(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "repositories")
	if err := os.WriteFile(file, []byte("https://example.org/a\n@t file:///srv/b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, []byte("# nothing\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Sources(fstest.MapFS{}, "https://example.org/mirror/", dir, file, "@x http://example.org/x")
	if err != nil {
		t.Fatal(err)
	}
	want := []Source{
		{URI: "https://example.org/mirror", Bare: true, From: "--repo-override"},
		{URI: "file://" + dir, Bare: true, From: "--repo-override"},
		{URI: "https://example.org/a", From: file + ":1"},
		{URI: "file:///srv/b", Tag: "t", From: file + ":2"},
		{URI: "http://example.org/x", Tag: "x", From: "--repo-override"},
	}
	if diff := cmp.Diff(want, got.Sources); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{empty, filepath.Join(dir, "missing"), "@x", "@x http://example.org/Packages.adb", "@x http://a b"} {
		if c, err := Sources(fstest.MapFS{}, bad); err == nil {
			t.Errorf("%q: got %v", bad, c.Sources)
		}
	}
}

func TestKeyring(t *testing.T) {
	dir := t.TempDir()
	for name, data := range map[string][]byte{"good.pub": publicPEM(t, testKey()), "README": []byte("not a key")} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	k, err := LoadKeyring(dir)
	if err != nil || len(k.names()) != 1 {
		t.Errorf("got %v, %v", k, err)
	}
	if _, err := LoadKeyring(filepath.Join(dir, "README")); err == nil {
		t.Error("a file that is no key is taken")
	}
	if _, err := LoadKeyring(t.TempDir()); err == nil {
		t.Error("an empty keyring is taken")
	}
	// Without etc/apk/keys those of the distribution's package count.
	root := fstest.MapFS{"usr/share/apk/keys/x86_64/a.pub": {Data: publicPEM(t, testKey())}, "usr/share/apk/keys/b.pub": {Data: nil}}
	if k, err = imageKeyring(root, "x86_64"); err != nil || len(k.names()) != 1 {
		t.Errorf("got %v, %v", k, err)
	}
}

func TestEndOfLife(t *testing.T) {
	if day, ok := EndOfLife(Distro{ID: "alpine", VersionID: "3.19.1"}); !ok || day.Format("2006-01-02") != "2025-11-01" {
		t.Errorf("got %v, %t", day, ok)
	}
	for _, d := range []Distro{{}, {ID: "wolfi", VersionID: "20230201"}, {ID: "alpine", VersionID: "3.99.0"}, {ID: "alpine", VersionID: "3.20_alpha1"}} {
		if day, ok := EndOfLife(d); ok {
			t.Errorf("%s: got %v", d, day)
		}
	}
}

func FuzzIndex(f *testing.F) {
	r := newRepository(f)
	r.add("a", "1.0-r0")
	f.Add(r.index("RSA"))
	f.Add([]byte("ADBd"))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys := &Keyring{keys: map[string]key{keyName: {&testKey().PublicKey, "f"}}}
		s, err := verify("x", data, keys)
		if err != nil {
			return
		}
		// Only what was signed may pass.
		if !strings.Contains(string(data), string(s.archive)) || s.signer == "" {
			t.Fatal("verified something else")
		}
	})
}
