//go:build e2e

package soak

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestTwoAtOnce makes two runs at the same time for one destination, over each kind of registry: the same run twice, two
// that come to different images, and two that move the tag that they start from. One tag is left, it names what one of
// them made, and that is whole and verifies.
func TestTwoAtOnce(t *testing.T) {
	s := newSoak(t)
	pairs := []struct {
		what, to string
		more     []string
	}{
		// What is attached to one image is what the two can get in each other's way with.
		{what: "the same", to: "/out/base:new"},
		{what: "different", to: "/out/base:new", more: []string{"--only", "np-zlib"}},
		{what: "in place", to: "/base:old", more: []string{"--only", "np-zlib"}},
	}
	for i, kind := range registries {
		for j, pair := range pairs {
			if j > 0 && j != i && !*allPairs {
				continue // the registry makes no difference where the images differ; `make soak` shows that
			}
			t.Run(strings.ReplaceAll(kind+" "+pair.what, " ", "-"), func(t *testing.T) {
				f := newFaulty(t, kind)
				s.seed(t, f)
				s.together(t, f, pair.to, s.rebuildArgs(f, pair.to, time.Minute), append(s.rebuildArgs(f, pair.to, time.Minute), pair.more...))
			})
		}
	}
}

func (s *soak) together(t *testing.T, f *faulty, to string, first, second []string) {
	t.Helper()
	results := make([]outcome, 2)
	var wg sync.WaitGroup
	for i, args := range [][]string{first, second} {
		cache := t.TempDir()
		wg.Go(func() { results[i] = s.program(t, cache, nil, args...) })
	}
	wg.Wait()
	made := make(map[string]bool)
	for i, out := range results {
		switch s.ended(t, fmt.Sprint("run ", i), out) {
		case "succeeded":
			var result struct{ Image struct{ Digest string } }
			if err := json.Unmarshal([]byte(out.stdout), &result); err != nil {
				t.Fatal(err)
			}
			made[result.Image.Digest] = true
		default:
			t.Logf("run %d: %s", i, out.stderr)
		}
	}
	if len(made) == 0 {
		t.Error("none of the two succeeded")
	}
	at := f.direct + to
	digest, err := headDigest(at)
	if err != nil || !made[digest] {
		t.Errorf("the tag names %s, %v; made were %v", digest, err, made)
	}
	s.checkTags(t, f, to)
	for digest := range made {
		repo, _, _ := strings.Cut(at[strings.Index(at, "/"):], ":")
		s.mustVerify(t, f.direct+repo+"@"+digest, "by digest")
	}
}
