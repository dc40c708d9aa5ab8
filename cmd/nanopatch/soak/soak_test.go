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

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/cli"
	"github.com/nanopatch/nanopatch/testdata/fixture"
)

// workers is how many registries are under way at once: runs mostly wait for what fails.
const workers = 4

var runs = flag.Int("runs", 6, "how many runs with faults to make")

// asProgram, in the environment, makes the test binary the program.
const asProgram = "NANOPATCH_SOAK_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "" {
		os.Exit(m.Run())
	}
	os.Exit(cli.Main(context.Background(), os.Args[1:], cli.Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, LookupEnv: os.LookupEnv, Now: time.Now,
	}))
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

// TestFaults makes runs over registries that fail, and kills some. Each must end in success, or with one line and a code
// that says what is wrong; after each, the tag is missing or names an image that verifies; and the run that is not
// disturbed any more comes to the same as one that never was.
func TestFaults(t *testing.T) {
	twin, err := fixture.NewTwin(t.Context(), t.TempDir(), fixture.TwinOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s := &soak{twin: twin, key: filepath.Join(t.TempDir(), "cosign"), counts: make(map[string]int)}
	if out := s.program(t, t.TempDir(), nil, "keygen", "--output-prefix", s.key); out.code != 0 {
		t.Fatal(out.stderr)
	}
	calm := newFaulty(t, true)
	s.seed(t, calm)
	s.undisturbed = s.mustRebuild(t, calm, t.TempDir())
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
	var lines []string
	for _, what := range slices.Sorted(maps.Keys(s.counts)) {
		lines = append(lines, fmt.Sprintf("%d %s", s.counts[what], what))
	}
	fmt.Printf("soak: %d runs with faults: %s; no tag named a missing or unsigned image: %v\n", made.Load(), strings.Join(lines, ", "), !t.Failed())
}

// seed puts the source into a registry.
func (s *soak) seed(t *testing.T, f *faulty) {
	t.Helper()
	ref, err := name.ParseReference(f.registry.Host + "/base:old")
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
	f := newFaulty(t, seed%2 == 0)
	s.seed(t, f)
	cache := t.TempDir()
	made := 0
	for done := false; made < 3 && !done; made++ {
		rate, faults, killAt := 5+rng.IntN(30), 1+rng.IntN(12), 0
		if rng.IntN(3) == 0 {
			killAt = 1 + rng.IntN(60)
		}
		out := s.program(t, cache, func(cmd *exec.Cmd) {
			f.arm(rng, rate, faults, killAt, func() { _ = cmd.Process.Kill() })
		}, s.rebuildArgs(f)...)
		f.arm(rng, 0, 0, 0, nil)
		switch {
		case out.killed:
			s.count("were killed", 1)
		case out.code == 0:
			s.count("succeeded", 1)
			done = true
		case (out.code == 1 || out.code == 3 || out.code == 4) && strings.Count(out.stderr, "\n") == 1:
			s.count("ended with a clear error", 1)
		default:
			t.Errorf("seed %d: exit code %d, and not one line:\n%s", seed, out.code, out.stderr)
		}
		s.checkTag(t, f, seed)
	}
	if digest := s.mustRebuild(t, f, cache); digest != s.undisturbed {
		t.Errorf("seed %d: ended as %s, undisturbed it is %s", seed, digest, s.undisturbed)
	}
	s.checkTag(t, f, seed)
	for kind, n := range f.made {
		s.count(kind+" faults", n)
	}
	return made
}

func (s *soak) rebuildArgs(f *faulty) []string {
	return []string{
		"rebuild", f.host + "/base:old", "-t", f.host + "/out/base:new", "--key", s.key + ".key", "-q", "-o", "json",
		"--repo-override", s.twin.Repository, "--repo-override", fixture.SecurityMirror(s.twin.Repository), "--keyring", s.twin.Keyring,
		"--registry-timeout", patience.String(),
	}
}

// mustRebuild runs without faults and returns the result's digest.
func (s *soak) mustRebuild(t *testing.T, f *faulty, cache string) string {
	t.Helper()
	out := s.program(t, cache, nil, s.rebuildArgs(f)...)
	var result struct{ Image struct{ Digest string } }
	if err := json.Unmarshal([]byte(out.stdout), &result); out.code != 0 || err != nil {
		t.Errorf("without faults: exit code %d, %v: %s", out.code, err, out.stderr)
	}
	return result.Image.Digest
}

// checkTag looks at the tag as a stranger would, past the faults.
func (s *soak) checkTag(t *testing.T, f *faulty, seed uint64) {
	t.Helper()
	ref, err := name.ParseReference(f.registry.Host + "/out/base:new")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := remote.Head(ref); err != nil {
		return // nothing was published
	}
	out := s.program(t, t.TempDir(), nil, "verify", f.registry.Host+"/out/base:new", "--key", s.key+".pub",
		"--require", "https://spdx.dev/Document", "--require", "https://slsa.dev/provenance/v1")
	if out.code != 0 {
		t.Errorf("seed %d: the tag names an image that does not verify: %s", seed, out.stderr)
	}
	img, err := remote.Image(ref)
	if err != nil {
		t.Errorf("seed %d: the tag names a missing image: %v", seed, err)
		return
	}
	layers, err := img.Layers()
	if err != nil {
		t.Errorf("seed %d: %v", seed, err)
	}
	for _, l := range layers {
		rc, err := l.Uncompressed()
		if err != nil {
			t.Errorf("seed %d: a layer is missing: %v", seed, err)
			continue
		}
		if err := rc.Close(); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
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
	cmd.Env = append(os.Environ(), asProgram+"=1", "COSIGN_PASSWORD=soak", "NANOPATCH_CACHE_DIR="+cache)
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
