//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/cli"
	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/cli/clitest"
	"github.com/nanopatch/nanopatch/rebuild/image/imagetest"
	"github.com/nanopatch/nanopatch/testdata/fixture"
)

// password protects every key of these tests.
const password = "e2e password"

// clockAhead, in the environment, is how far ahead the clock of the program is.
const clockAhead = "NANOPATCH_E2E_CLOCK_AHEAD"

// debian is the image that most tests start from, built once.
var debian v1.Image

// suiteDir is a directory for as long as the tests run; suiteEnd is called when they have.
var (
	suiteDir string
	suiteEnd []func()
)

func TestMain(m *testing.M) {
	os.Exit(clitest.Main(context.Background(), func() int { return suite(m) }, func(env *cli.Env) {
		if ahead, err := time.ParseDuration(os.Getenv(clockAhead)); err == nil {
			env.Now = func() time.Time { return time.Now().Add(ahead) }
		}
	}))
}

func suite(m *testing.M) int {
	dir, err := os.MkdirTemp("", "nanopatch-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	suiteDir = dir
	defer func() {
		for _, end := range suiteEnd {
			end()
		}
	}()
	if debian, err = fixture.Debian(context.Background(), dir, fixture.DebianOptions{}); err != nil {
		fmt.Fprintln(os.Stderr, "building the Debian image:", err)
		return 1
	}
	return m.Run()
}

// outcome is what a run of nanopatch left.
type outcome struct {
	stdout, stderr string
	code           int
	cpu            time.Duration
}

// nanopatch runs the program. Its cache is the test's own unless the arguments name another.
func nanopatch(t *testing.T, args ...string) outcome {
	t.Helper()
	return nanopatchWith(t, nil, args...)
}

func nanopatchWith(t *testing.T, change func(*exec.Cmd), args ...string) outcome {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), clitest.Environ, "COSIGN_PASSWORD="+password, "NANOPATCH_CACHE_DIR="+cacheDir(t))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if change != nil {
		change(cmd)
	}
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	o := outcome{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode(), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	t.Logf("nanopatch %s: exit %d\n%s", strings.Join(args, " "), o.code, o.stderr)
	return o
}

var caches = map[string]string{}

// cacheDir is one cache for each top-level test.
func cacheDir(t *testing.T) string {
	t.Helper()
	top, _, _ := strings.Cut(t.Name(), "/")
	if caches[top] == "" {
		caches[top] = filepath.Join(t.TempDir(), "cache")
	}
	return caches[top]
}

// must fails the test unless the run ended with the code.
func (o outcome) must(t *testing.T, code int) outcome {
	t.Helper()
	if o.code != code {
		t.Fatalf("exit code %d, want %d\n%s", o.code, code, o.stderr)
	}
	return o
}

// decode reads a run's JSON result.
func decode[T any](t *testing.T, o outcome) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(o.stdout), &v); err != nil {
		t.Fatalf("reading the result: %v\n%s", err, o.stdout)
	}
	return v
}

// tool finds a program that the tests need; .ci/run installs them, so a missing one fails the test.
func tool(t testing.TB, name string) string {
	t.Helper()
	p, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is needed: %v", name, err)
	}
	return p
}

// run runs a tool and returns what it printed on both streams; it must succeed.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := tryRun(t, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

func tryRun(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tool(t, name), args...)
	cmd.Env = append(os.Environ(), "COSIGN_PASSWORD="+password, "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// debianRegistry starts Debian's docker-registry, which knows no referrers, and returns its host:port.
func debianRegistry(t *testing.T) string {
	t.Helper()
	return startRegistry(t)
}

func startRegistry(t testing.TB) string {
	t.Helper()
	tool(t, "docker-registry")
	return imagetest.StartDistribution(t)
}

// referrersRegistry starts a registry with the referrers API in this process.
func referrersRegistry(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// push puts an image into a registry.
func push(t *testing.T, ref string, img v1.Image) {
	t.Helper()
	r, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(r, img, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
}

// pull reads an image of a registry.
func pull(t *testing.T, ref string) v1.Image {
	t.Helper()
	r, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(r, remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// keys makes a key pair with nanopatch itself and returns the private and the public file.
func keys(t *testing.T) (private, public string) {
	t.Helper()
	prefix := filepath.Join(t.TempDir(), "cosign")
	nanopatch(t, "keygen", "--output-prefix", prefix).must(t, 0)
	return prefix + ".key", prefix + ".pub"
}
