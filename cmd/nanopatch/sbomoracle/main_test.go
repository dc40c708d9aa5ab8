//go:build e2e

package sbomoracle

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/cli/clitest"
)

func TestMain(m *testing.M) {
	os.Exit(clitest.Main(context.Background(), m.Run, nil))
}

// cost is what a run took: on the clock, and of all processors, which says more on a machine that does other things too.
type cost struct{ wall, cpu time.Duration }

// run runs a tool and returns what it printed and what that cost.
func run(t *testing.T, dir string, env []string, name string, args ...string) ([]byte, cost) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var problems strings.Builder
	cmd.Stderr = &problems
	start := time.Now()
	out, err := cmd.Output()
	took := cost{wall: time.Since(start)}
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, problems.String())
	}
	took.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return out, took
}

// nanopatch runs the program with a cache of its own.
func nanopatch(t *testing.T, cache string, args ...string) ([]byte, cost) {
	t.Helper()
	return run(t, "", []string{clitest.Environ}, os.Args[0], append([]string{"--cache-dir", cache, "-q"}, args...)...)
}

// syft runs the stock command.
func syft(t *testing.T, args ...string) ([]byte, cost) {
	t.Helper()
	return run(t, "", []string{"SYFT_CHECK_FOR_APP_UPDATE=false"}, "syft", append([]string{"scan", "-q"}, args...)...)
}
