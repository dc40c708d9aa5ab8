//go:build e2e

package soak

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestKilledAnywhere kills runs at chosen requests, before the registry hears of them and after it has answered, the one
// that moves the tag always among them. The next run must end as one that nobody disturbed.
func TestKilledAnywhere(t *testing.T) {
	s := newSoak(t)
	var points []point
	for _, kind := range registries {
		points = append(points, s.points(t, kind)...)
	}
	var next, killed atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(points) || t.Failed() {
					return
				}
				if s.killedAt(t, points[i]) {
					killed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if int(killed.Load()) < len(points)/2 {
		t.Errorf("only %d of %d runs were killed", killed.Load(), len(points))
	}
	fmt.Printf("soak: %d runs killed at %d chosen requests; each next run ended as undisturbed: %v\n", killed.Load(), len(points), !t.Failed())
}

// point is a moment of a run.
type point struct {
	registry string
	request  int
	late     bool
}

func (p point) String() string {
	return fmt.Sprintf("%s, killed at request %d (answered: %v)", p.registry, p.request, p.late)
}

// points are the moments at which to kill runs over a kind of registry.
func (s *soak) points(t *testing.T, kind string) []point {
	t.Helper()
	f := newFaulty(t, kind)
	s.seed(t, f)
	s.mustRebuild(t, f, t.TempDir())
	asked := f.requests()
	tag := slices.IndexFunc(asked, func(r string) bool { return strings.HasPrefix(r, "PUT /v2/out/base/manifests/new") })
	if tag < 0 {
		t.Fatalf("no request moves the tag:\n%s", strings.Join(asked, "\n"))
	}
	all := []point{{kind, tag + 1, false}, {kind, tag + 1, true}}
	step := max(1, len(asked) / *kills)
	for i := (step + 1) / 2; i <= len(asked); i += step {
		if i != tag+1 {
			all = append(all, point{kind, i, i/step%2 == 1})
		}
	}
	return all
}

// killedAt tells whether the run was killed indeed: which request is which may differ a little from run to run, and the
// last one's answer may come to a program that has ended.
func (s *soak) killedAt(t *testing.T, p point) bool {
	t.Helper()
	f := newFaulty(t, p.registry)
	s.seed(t, f)
	cache := t.TempDir()
	out := s.program(t, cache, func(cmd *exec.Cmd) {
		f.killOn(p.request, p.late, func() { _ = cmd.Process.Kill() })
	}, s.rebuildArgs(f, "/out/base:new", time.Minute)...)
	f.killOn(0, false, nil)
	s.ended(t, p.String(), out)
	s.checkTags(t, f, p.String())
	s.mustEndWell(t, f, cache, p.String())
	return out.killed
}
