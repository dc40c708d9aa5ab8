package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nanopatch/nanopatch/testdata/fixture"
)

// parts are the directories of a cache that a cleaner may remove files from.
var parts = []string{"layers/index", "packages/blob", "packages/derived", "sboms"}

// cacheFiles calls f with every file that a cleaner may remove.
func cacheFiles(t *testing.T, cache string, f func(path string, info fs.FileInfo)) {
	t.Helper()
	for _, part := range parts {
		err := filepath.WalkDir(filepath.Join(cache, part), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			f(path, info)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func cachedPlan(t *testing.T) (sbom, plan []string) {
	t.Helper()
	twin, err := fixture.NewTwin(t.Context(), t.TempDir(), fixture.TwinOptions{})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "image")
	if err := fixture.WriteLayout(dir, "old", twin.Images[0]); err != nil {
		t.Fatal(err)
	}
	return []string{"sbom", "oci:" + dir + ":old"}, []string{
		"plan", "oci:" + dir + ":old", "--repo-override", twin.Repository, "--repo-override", fixture.SecurityMirror(twin.Repository),
		"--keyring", twin.Keyring,
	}
}

// What a run takes out of the cache is new again, of every kind, so that a cleaner forgets other things first.
func TestUseIsMarked(t *testing.T) {
	cache := t.TempDir()
	sbom, plan := cachedPlan(t)
	for range 2 {
		for _, args := range [][]string{sbom, plan} {
			if _, stderr, code := run(t.Context(), t, cache, args...); code != 0 {
				t.Fatal(stderr)
			}
		}
		marked := make(map[string]int)
		cacheFiles(t, cache, func(path string, info fs.FileInfo) {
			for _, part := range parts {
				if strings.HasPrefix(path, filepath.Join(cache, part)) && time.Since(info.ModTime()) < time.Hour {
					marked[part]++
				}
			}
			if err := os.Chtimes(path, time.Time{}, time.Now().Add(-24*time.Hour)); err != nil {
				t.Fatal(err)
			}
		})
		if len(marked) != len(parts) {
			t.Errorf("marked as used were only %v", marked)
		}
	}
}

// Runs that share a cache with room for nothing each clean it, and none takes from another what it needs.
func TestRunsShareASmallCache(t *testing.T) {
	cache := t.TempDir()
	_, plan := cachedPlan(t)
	plan = append(plan, "--detailed-exitcode", "--cache-size", "1KiB")
	failed := make(chan string, 4)
	for range cap(failed) {
		go func() {
			for range 3 {
				if _, stderr, code := run(t.Context(), t, cache, plan...); code != 10 || strings.Contains(stderr, "WRN") {
					failed <- fmt.Sprintf("exit code %d: %s", code, stderr)
					return
				}
			}
			failed <- ""
		}()
	}
	for range cap(failed) {
		if text := <-failed; text != "" {
			t.Error(text)
		}
	}
	// Whoever ended last left no more than there is room for.
	var left int64
	cacheFiles(t, cache, func(_ string, info fs.FileInfo) { left += info.Size() })
	if left > 1<<10 {
		t.Errorf("%d bytes are left", left)
	}
}
