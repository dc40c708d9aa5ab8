package pkgrepo_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
)

// guarded is a server that wants a login for all but /open.
func guarded(t *testing.T, user, password string) string {
	t.Helper()
	url, _ := server(t, func(_ int64, w http.ResponseWriter, r *http.Request) {
		u, p, ok := r.BasicAuth()
		switch {
		case r.URL.Path == "/open" && ok:
			t.Errorf("%s was asked for with a login", r.URL)
		case r.URL.Path != "/open" && (u != user || p != password):
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		send(w, content)
	})
	return url
}

func parse(t *testing.T, text string) pkgrepo.Logins {
	t.Helper()
	logins, err := pkgrepo.ParseLogins(text)
	if err != nil {
		t.Fatal(err)
	}
	return logins
}

func TestLoginOpensARepository(t *testing.T) {
	base := guarded(t, "ada", "s3cret")
	client := newClient(t, cacheDir(t))
	fetch := func(c *pkgrepo.Client, path string) error {
		_, err := c.Fetch(context.Background(), []pkgrepo.Artifact{artifact(base+path, content)}, 1)
		return err
	}
	if err := fetch(client, "/pool/a"); !errors.Is(err, pkgrepo.ErrUnreachable) || !strings.Contains(err.Error(), "wants a login, and none is known") {
		t.Errorf("without a login: %v", err)
	}
	wrong := client.WithLogins(parse(t, "machine "+base+" login ada password wr0ng"))
	if err := fetch(wrong, "/pool/a"); !errors.Is(err, pkgrepo.ErrUnreachable) || !strings.Contains(err.Error(), "is refused") ||
		strings.Contains(err.Error(), "wr0ng") {
		t.Errorf("with a wrong one: %v", err)
	}
	// Both know the way; the client's own login comes first.
	right := client.WithLogins(parse(t, "machine "+base+"/pool login ada password s3cret")).
		WithLogins(parse(t, "machine "+base+"/pool login ada password wr0ng"))
	if err := fetch(right, "/open"); err != nil {
		t.Error(err)
	}
	if err := fetch(right, "/pool/a"); err != nil {
		t.Error(err)
	}
	if got := client.Bytes().Artifacts; got != int64(len(content)) {
		t.Errorf("%d bytes counted, want %d: of two files with the same content one is fetched", got, len(content))
	}
}

// TestLoginStaysWhereItBelongs follows redirects: to another name of the host, another port, and another path. Each gets the login
// that covers it, or none.
func TestLoginStaysWhereItBelongs(t *testing.T) {
	got := make(map[string]string)
	note := func(w http.ResponseWriter, r *http.Request) {
		user, _, _ := r.BasicAuth()
		got[r.Host+r.URL.Path] = user
		send(w, r.URL.Path)
	}
	other, _ := server(t, func(_ int64, w http.ResponseWriter, r *http.Request) { note(w, r) })
	renamed := strings.Replace(other, "127.0.0.1", "localhost", 1)
	base, _ := server(t, func(_ int64, w http.ResponseWriter, r *http.Request) {
		to, redirected := map[string]string{"/pool/name": renamed + "/name", "/pool/port": other + "/port", "/pool/path": "/path", "/pool/own": "/own/path"}[r.URL.Path]
		if !redirected {
			note(w, r)
			return
		}
		if user, _, _ := r.BasicAuth(); user != "ada" {
			t.Errorf("%s was asked for by %q", r.URL.Path, user)
		}
		http.Redirect(w, r, to, http.StatusFound)
	})
	client := newClient(t, cacheDir(t)).WithLogins(parse(t,
		"machine "+base+"/pool login ada password s3cret machine "+base+"/own login bob password s3cret"))
	host := func(url string) string { return strings.TrimPrefix(url, "http://") }
	for path, want := range map[string]struct{ at, user string }{
		"/pool/name": {host(renamed) + "/name", ""}, "/pool/port": {host(other) + "/port", ""},
		"/pool/path": {host(base) + "/path", ""}, "/pool/own": {host(base) + "/own/path", "bob"},
	} {
		_, file, _ := strings.Cut(want.at, "/")
		if _, err := client.Fetch(context.Background(), []pkgrepo.Artifact{artifact(base+path, "/"+file)}, 1); err != nil {
			t.Error(err)
		}
		if user, asked := got[want.at]; !asked || user != want.user {
			t.Errorf("%s: asked %t, with the login %q; want %q", want.at, asked, user, want.user)
		}
	}
}

func TestLoadLogins(t *testing.T) {
	file := filepath.Join(t.TempDir(), "auth.conf")
	for _, tt := range []struct{ name, text, problem string }{
		{"none", "# machine https://x.example login a password s3cret\n", "no login in it"},
		{"user in the machine", "machine https://a:s3cret@x.example login a password s3cret", "a machine that is no"},
		{"too large", strings.Repeat("#\n", 1<<19+1), "larger than 1048576 bytes"},
	} {
		if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := pkgrepo.LoadLogins(file)
		if err == nil || !strings.Contains(err.Error(), tt.problem) || !strings.Contains(err.Error(), file) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v, want %q and the file", tt.name, err, tt.problem)
		}
	}
	if _, err := pkgrepo.LoadLogins(file + ".missing"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if s := (pkgrepo.Login{Host: "x.example", Path: "/a", Password: "s3cret"}).String(); s != "x.example/a" {
		t.Errorf("a login calls itself %q", s)
	}
}
