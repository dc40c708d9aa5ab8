//go:build e2e

package soak

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/cli/clitest"
	"github.com/nanopatch/nanopatch/testdata/fixture"
)

// workers is how many registries are under way at once: runs mostly wait for what fails.
const workers = 4

var (
	runs     = flag.Int("runs", 6, "how many runs with faults to make")
	kills    = flag.Int("kills", 2, "at about how many of a run's requests to kill it, evenly spread, besides the one that moves the tag")
	allPairs = flag.Bool("all-pairs", false, "make two runs at once of every sort over every kind of registry")
)

func TestMain(m *testing.M) {
	os.Exit(clitest.Main(context.Background(), m.Run, nil))
}

// soak is what all runs share.
type soak struct {
	twin        *fixture.Twin
	key         string
	mu          sync.Mutex
	counts      map[string]int
	undisturbed string
}

func (s *soak) count(what string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[what] += n
}

func newSoak(t *testing.T) *soak {
	t.Helper()
	twin, err := fixture.NewTwin(t.Context(), t.TempDir(), fixture.TwinOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s := &soak{twin: twin, key: filepath.Join(t.TempDir(), "cosign"), counts: make(map[string]int)}
	if out := s.program(t, t.TempDir(), nil, "keygen", "--output-prefix", s.key); out.code != 0 {
		t.Fatal(out.stderr)
	}
	calm := newFaulty(t, "with referrers")
	s.seed(t, calm)
	s.undisturbed = s.mustRebuild(t, calm, t.TempDir())
	s.checkTags(t, calm, "undisturbed")
	if t.Failed() {
		t.FailNow()
	}
	return s
}

// TestFaults makes runs over registries that fail, and kills some. Each must end in success, or with one line and a code
// that says what is wrong; after each, the tag is missing or names an image that is whole and verifies; and the run that is
// not disturbed any more comes to the same as one that never was.
func TestFaults(t *testing.T) {
	s := newSoak(t)
	var made, seed atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for int(made.Load()) < *runs && !t.Failed() {
				made.Add(int64(s.disturbed(t, uint64(seed.Add(1)))))
			}
		})
	}
	wg.Wait()
	for _, kind := range append(faultKinds, "kill -9") {
		if *runs >= 50 && s.counts[kind+" faults"] == 0 {
			t.Errorf("no run saw a %s", kind)
		}
	}
	var lines []string
	for _, what := range slices.Sorted(maps.Keys(s.counts)) {
		lines = append(lines, fmt.Sprintf("%d %s", s.counts[what], what))
	}
	fmt.Printf("soak: %d runs with faults: %s; no tag named a missing or unsigned image: %v\n", made.Load(), strings.Join(lines, ", "), !t.Failed())
}

// seed puts the source into a registry.
func (s *soak) seed(t *testing.T, f *faulty) {
	t.Helper()
	ref, err := name.ParseReference(f.direct + "/base:old")
	if err == nil {
		err = remote.Write(ref, s.twin.Images[0])
	}
	if err != nil {
		t.Fatal(err)
	}
}

// disturbed makes some runs with faults over one registry, and one without. It returns how many had faults.
func (s *soak) disturbed(t *testing.T, seed uint64) int {
	rng := rand.New(rand.NewPCG(seed, 1))
	kind := registries[seed%uint64(len(registries))]
	what := fmt.Sprintf("seed %d, %s", seed, kind)
	f := newFaulty(t, kind)
	s.seed(t, f)
	cache := t.TempDir()
	made := 0
	for done := false; made < 3 && !done; made++ {
		rate, faults, killAt := 5+rng.IntN(30), 1+rng.IntN(12), 0
		if rng.IntN(3) == 0 {
			killAt = 1 + rng.IntN(60)
		}
		out := s.program(t, cache, func(cmd *exec.Cmd) {
			f.arm(rng, rate, faults)
			f.killOn(killAt, killAt%2 == 0, func() { _ = cmd.Process.Kill() })
		}, s.rebuildArgs(f, "/out/base:new", patience)...)
		f.arm(rng, 0, 0)
		f.killOn(0, false, nil)
		s.count(s.ended(t, what, out), 1)
		done = out.code == 0
		s.checkTags(t, f, what)
	}
	s.mustEndWell(t, f, cache, what)
	for kind, n := range f.made {
		s.count(kind+" faults", n)
	}
	s.count("registries", 1)
	return made
}

// ended makes sure that a run was killed, succeeded, or says in one line and its code what is wrong.
func (s *soak) ended(t *testing.T, what string, out outcome) string {
	t.Helper()
	switch {
	case out.killed:
		return "were killed"
	case out.code == 0:
		return "succeeded"
	case out.code != 1 && out.code != 3 && out.code != 4, strings.Count(out.stderr, "\n") != 1:
		t.Errorf("%s: exit code %d, and not one line:\n%s", what, out.code, out.stderr)
	}
	return "ended with a clear error"
}

// mustEndWell runs without faults and wants what a run without any before it comes to.
func (s *soak) mustEndWell(t *testing.T, f *faulty, cache, what string) {
	t.Helper()
	if digest := s.mustRebuild(t, f, cache); digest != s.undisturbed {
		t.Errorf("%s: ended as %s, undisturbed it is %s", what, digest, s.undisturbed)
	}
	if digest, err := headDigest(f.direct + "/out/base:new"); err != nil || digest != s.undisturbed {
		t.Errorf("%s: the tag names %s, %v; undisturbed it is %s", what, digest, err, s.undisturbed)
	}
	s.checkTags(t, f, what)
	if t.Failed() {
		t.Logf("%s:\n%s", what, strings.Join(f.requests(), "\n"))
	}
}

// rebuildArgs are those of a run that waits so long for a registry that stalls: a run without faults must not take a busy
// machine for one.
func (s *soak) rebuildArgs(f *faulty, to string, wait time.Duration) []string {
	return []string{
		"rebuild", f.host + "/base:old", "-t", f.host + to, "--key", s.key + ".key", "-q", "-o", "json",
		"--repo-override", s.twin.Repository, "--repo-override", fixture.SecurityMirror(s.twin.Repository), "--keyring", s.twin.Keyring,
		"--registry-timeout", wait.String(),
	}
}

// mustRebuild runs without faults and returns the result's digest.
func (s *soak) mustRebuild(t *testing.T, f *faulty, cache string) string {
	t.Helper()
	out := s.program(t, cache, nil, s.rebuildArgs(f, "/out/base:new", time.Minute)...)
	var result struct{ Image struct{ Digest string } }
	if err := json.Unmarshal([]byte(out.stdout), &result); out.code != 0 || err != nil {
		t.Errorf("without faults: exit code %d, %v: %s", out.code, err, out.stderr)
	}
	return result.Image.Digest
}

// outcome is how a process ended.
type outcome struct {
	stdout, stderr string
	code           int
	killed         bool
}

// program runs nanopatch as a process of its own.
func (s *soak) program(t *testing.T, cache string, started func(*exec.Cmd), args ...string) outcome {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), clitest.Environ, "COSIGN_PASSWORD=soak", "NANOPATCH_CACHE_DIR="+cache)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Start()
	if err == nil {
		if started != nil {
			started(cmd)
		}
		err = cmd.Wait()
	}
	out := outcome{stdout: stdout.String(), stderr: stderr.String()}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		out.code, out.killed = exit.ExitCode(), exit.ExitCode() < 0
	case err != nil:
		t.Fatal(err)
	}
	return out
}
