//go:build e2e

package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestReproduceElsewhere rebuilds and signs an image, and lets another user verify that the rebuild gives the same digest:
// with one processor, an empty cache, another directory for temporary files, another umask and time zone, and a way to no
// other machine than the mirror; the registry is on this one.
func TestReproduceElsewhere(t *testing.T) { eachBase(t, checkReproduced) }

func checkReproduced(t *testing.T, b base) {
	t.Helper()
	host := referrersRegistry(t)
	push(t, host+"/base:old", b.image)
	private, public := keys(t)
	made := nanopatch(t, append([]string{
		"rebuild", host + "/base:old", "-t", host + "/base:new", "--key", private, "-o", "json",
	}, b.from...)...).must(t, 0)

	theirs := nobodysDir(t)
	gate := newGate(t, artifactHosts(t, made))
	program, key := filepath.Join(theirs, "nanopatch"), filepath.Join(theirs, "cosign.pub")
	run(t, "cp", os.Args[0], program)
	run(t, "cp", public, key)
	run(t, "chmod", "0644", key)
	start := time.Now()
	out := nanopatchWith(t, func(cmd *exec.Cmd) {
		// The umask is the shell's to set; the program takes its place.
		cmd.Path, cmd.Args = "/bin/sh", append([]string{"sh", "-c", `umask 077; exec "$0" "$@"`, program}, cmd.Args[1:]...)
		cmd.Dir = theirs
		cmd.Env = append(cmd.Env, "GOMAXPROCS=1", "TZ=Pacific/Chatham", "HOME="+theirs, "TMPDIR="+theirs, "LC_ALL=C",
			"NANOPATCH_CACHE_DIR="+filepath.Join(theirs, "cache"), "HTTP_PROXY="+gate.url, "HTTPS_PROXY="+gate.url,
			"http_proxy="+gate.url, "https_proxy="+gate.url)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}, "verify", host+"/base:new", "--key", key, "--reproduce", "-o", "json").must(t, 0)
	wall := time.Since(start)
	var verified struct {
		Subjects []struct {
			Checks []struct {
				Name string `json:"name"`
				OK   bool   `json:"ok"`
			} `json:"checks"`
		} `json:"subjects"`
	}
	if err := json.Unmarshal([]byte(out.stdout), &verified); err != nil {
		t.Fatal(err)
	}
	var passed []string
	for _, c := range verified.Subjects[0].Checks {
		if c.OK {
			passed = append(passed, c.Name)
		}
	}
	for _, want := range []string{"signed", "content", "sbom", "layers", "config", "files", "diff", "lineage", "reproduced"} {
		if !slices.Contains(passed, want) {
			t.Errorf("the check %q did not pass: %q", want, passed)
		}
	}
	if strays := gate.refused(); len(strays) > 0 {
		t.Errorf("it asked for other machines: %q", strays)
	}
	t.Logf("%s reproduced in %.1f s, %.1f s of processor time; %d requests went through the gate",
		decode[result](t, made).Image.Digest, wall.Seconds(), out.cpu.Seconds(), len(gate.passed()))
}

// artifactHosts are the machines that a rebuild's package files came from.
func artifactHosts(t *testing.T, made outcome) []string {
	t.Helper()
	r := decode[struct {
		Platforms []struct {
			Updates []struct{ Artifact struct{ URL string } }
		}
	}](t, made)
	var hosts []string
	for _, u := range r.Platforms[0].Updates {
		parsed, err := url.Parse(u.Artifact.URL)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(hosts, parsed.Hostname()) {
			hosts = append(hosts, parsed.Hostname())
		}
	}
	if len(hosts) == 0 {
		t.Fatal("nothing was rebuilt: the test shows nothing")
	}
	return hosts
}

// gate is a proxy that lets requests through to some machines only. Loopback addresses are not asked for by way of proxies.
type gate struct {
	url   string
	hosts []string

	mu            sync.Mutex
	through, shut []string
}

func newGate(t *testing.T, hosts []string) *gate {
	t.Helper()
	g := &gate{hosts: hosts}
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	g.url = server.URL
	return g
}

// ServeHTTP implements http.Handler. It opens no tunnels: what goes by HTTPS is shut out, whatever it is for.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	allowed := r.Method != http.MethodConnect && slices.Contains(g.hosts, r.URL.Hostname())
	g.mu.Lock()
	if allowed {
		g.through = append(g.through, r.URL.String())
	} else {
		g.shut = append(g.shut, r.Method+" "+r.Host)
	}
	g.mu.Unlock()
	if !allowed {
		http.Error(w, "no way to there", http.StatusForbidden)
		return
	}
	out := r.Clone(r.Context())
	out.RequestURI = ""
	answer, err := http.DefaultTransport.RoundTrip(out)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer answer.Body.Close()
	for k, v := range answer.Header {
		w.Header()[k] = v
	}
	w.WriteHeader(answer.StatusCode)
	_, _ = io.Copy(w, answer.Body) // who asked notices
}

func (g *gate) passed() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.through)
}

func (g *gate) refused() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.shut)
}
