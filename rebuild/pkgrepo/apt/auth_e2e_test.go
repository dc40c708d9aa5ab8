//go:build e2e

package apt_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo/apt"
)

// TestLoginsAreApts lets the real apt and ours ask the same server with the same files of logins.
func TestLoginsAreApts(t *testing.T) {
	var mu sync.Mutex
	var said string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/InRelease") {
			user, password, ok := r.BasicAuth()
			mu.Lock()
			said = "no login"
			if ok {
				said = user + ":" + password
			}
			mu.Unlock()
		}
		http.NotFound(w, r)
	}))
	defer server.Close()
	const main, first, second = "auth.conf", "auth.conf.d/10.conf", "auth.conf.d/20.conf"
	host := strings.TrimPrefix(server.URL, "http://")
	name, _, _ := strings.Cut(host, ":")
	whole := "machine http://" + name + " login "
	for _, tt := range []struct {
		name, path string
		files      map[string]string
	}{
		{"host", "/a", map[string]string{first: whole + "u password p"}},
		{"host on lines", "/a", map[string]string{first: strings.ReplaceAll(whole+"u password p", " ", "\n\t")}},
		{"no scheme", "/a", map[string]string{first: "machine " + host + " login u password p"}},
		{"other port", "/a", map[string]string{first: "machine http://" + name + ":1 login u password p"}},
		{"port and path", "/a", map[string]string{first: "machine http://" + host + "/a login u password p"}},
		{"longer path", "/ab", map[string]string{first: "machine http://" + host + "/a login u password p"}},
		{"other path", "/a", map[string]string{first: "machine http://" + host + "/ab login u password p"}},
		{"directory", "/ab", map[string]string{first: "machine http://" + host + "/a/ login u password p"}},
		{"path without the port", "/a", map[string]string{first: "machine http://" + name + "/a login u password p"}},
		{"special first", "/a", map[string]string{first: "machine http://" + host + "/a login u1 password p\n" + whole + "u2 password p"}},
		{"general first", "/a", map[string]string{first: whole + "u1 password p\nmachine http://" + host + "/a login u2 password p"}},
		{"two files", "/a", map[string]string{first: whole + "u1 password p", second: whole + "u2 password p"}},
		{"main file", "/a", map[string]string{first: whole + "u1 password p", main: whole + "u2 password p"}},
		{"no extension", "/a", map[string]string{"auth.conf.d/10": whole + "u password p"}},
		{"other extension", "/a", map[string]string{"auth.conf.d/10.bak": whole + "u password p"}},
		{"no password", "/a", map[string]string{first: whole + "u"}},
		{"unknown words", "/a", map[string]string{first: "machine http://" + name + " account x login u password p"}},
		{"commented", "/a", map[string]string{first: "#" + whole + "u password p"}},
	} {
		root := t.TempDir()
		tree := make(fstest.MapFS)
		for name, text := range tt.files {
			writeFile(t, filepath.Join(root, "etc/apt", name), text)
			tree["etc/apt/"+name] = &fstest.MapFile{Data: []byte(text)}
		}
		said = "apt did not ask"
		askApt(t, root, server.URL+tt.path)
		want := said
		logins, err := apt.Logins(tree)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		client, err := pkgrepo.New(pkgrepo.Options{Dir: filepath.Join(t.TempDir(), "cache"), Now: now, Tries: 1})
		if err != nil {
			t.Fatal(err)
		}
		said = "we did not ask"
		if r, err := client.WithLogins(logins).Latest(context.Background(), server.URL+tt.path+"/dists/x/InRelease", 1<<10); err == nil {
			_ = r.Close()
			t.Errorf("%s: the server has no such file", tt.name)
		}
		if said != want {
			t.Errorf("%s: we said %q, apt %q", tt.name, said, want)
		}
		t.Logf("%s: %s", tt.name, want)
	}
}

// askApt makes apt update from a repository, with its configuration below root.
func askApt(t *testing.T, root, uri string) {
	t.Helper()
	for _, dir := range []string{"var/lib/apt/lists/partial", "var/cache/apt/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, filepath.Join(root, "etc/apt/sources.list"), "deb [trusted=yes] "+uri+" x main\n")
	// It ends with an error, for there is nothing: what it asked counts.
	out, err := exec.Command("apt-get", "-o", "Dir="+root, "-o", "Dir::State::status=/dev/null",
		"-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=0", "update").CombinedOutput()
	if err == nil {
		t.Fatalf("apt-get update found a repository:\n%s", out)
	}
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
