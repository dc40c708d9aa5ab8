package pkgrepo_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
)

// helperEnv makes the test binary fetch one URL and exit: another process.
const helperEnv = "PKGREPO_TEST_FETCH"

func TestMain(m *testing.M) {
	spec := os.Getenv(helperEnv)
	if spec == "" {
		os.Exit(m.Run())
	}
	// dir url size-of-content
	f := strings.Fields(spec)
	os.Exit(helper(f[0], f[1], len(f) > 2))
}

func helper(dir, url string, large bool) int {
	text := content
	if large {
		text = strings.Repeat("x", 1<<20)
		// A file system of 256 kB of its own; needs the namespaces that the parent started this in.
		if err := syscall.Mount("none", dir, "tmpfs", 0, "size=256k"); err != nil {
			os.Stderr.WriteString(err.Error())
			return 77
		}
	}
	c, err := pkgrepo.New(pkgrepo.Options{Dir: filepath.Join(dir, "cache"), Now: now})
	if err == nil {
		_, err = c.Fetch(context.Background(), []pkgrepo.Artifact{artifact(url, text)}, 1)
	}
	if err == nil {
		return 0
	}
	os.Stderr.WriteString(err.Error())
	if left, _ := os.ReadDir(filepath.Join(dir, "cache", "tmp")); len(left) > 0 {
		os.Stderr.WriteString("\nleft behind in tmp")
	}
	if errors.As(err, new(*pkgrepo.CacheError)) && errors.Is(err, syscall.ENOSPC) {
		return 28
	}
	return 1
}

func helperCommand(t *testing.T, spec string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), helperEnv+"="+spec)
	return cmd
}

func TestTwoProcesses(t *testing.T) {
	url, requests := server(t, func(_ int64, w http.ResponseWriter, _ *http.Request) {
		time.Sleep(200 * time.Millisecond) // until the other one has come
		send(w, content)
	})
	dir := t.TempDir()
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if out, err := helperCommand(t, dir+" "+url+"/a.deb").CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	wg.Wait()
	if got := requests.Load(); got != 1 {
		t.Errorf("%d downloads of one file by three processes, want 1", got)
	}
}

func TestProxyFromEnvironment(t *testing.T) {
	var seen atomic.Value
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.Store(r.URL.String())
		send(w, content)
	}))
	defer proxy.Close()
	cmd := helperCommand(t, t.TempDir()+" http://mirror.invalid/a.deb")
	cmd.Env = append(cmd.Env, "http_proxy="+proxy.URL, "no_proxy=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if seen.Load() != "http://mirror.invalid/a.deb" {
		t.Errorf("the proxy was asked for %v", seen.Load())
	}
}

func TestDiskFull(t *testing.T) {
	url, _ := server(t, func(_ int64, w http.ResponseWriter, _ *http.Request) { send(w, strings.Repeat("x", 1<<20)) })
	cmd := helperCommand(t, t.TempDir()+" "+url+"/a.deb large")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		t.Fatal("a file of 1 MB fitted into 256 kB")
	case !errors.As(err, &exit) || exit.ExitCode() == 77:
		t.Skipf("this system lets no user mount a file system of their own: %v %s", err, out)
	case exit.ExitCode() != 28:
		t.Errorf("exit %d: %s", exit.ExitCode(), out)
	}
	if !strings.Contains(string(out), "no space left on device") || strings.Contains(string(out), "left behind") {
		t.Errorf("the message is %q", out)
	}
}
