package cache

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fill makes files of 10 bytes, each used a minute later than the one before, a day ago.
func fill(t *testing.T, part string, names ...string) {
	t.Helper()
	day := time.Now().Add(-24 * time.Hour)
	for i, name := range names {
		path := filepath.Join(part, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("0123456789"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, day.Add(time.Duration(i)*time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
}

// left lists the files below a directory.
func left(t *testing.T, part string) string {
	t.Helper()
	files, err := list([]string{part})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, filepath.Base(f.path))
	}
	return strings.Join(names, " ")
}

func enter(t *testing.T, dir string) *Run {
	t.Helper()
	r, err := Enter(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func clean(t *testing.T, dir string, limit int64, parts ...string) *Report {
	t.Helper()
	r, err := Clean(dir, parts, limit)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestCleanForgetsTheOldestFirst(t *testing.T) {
	dir := t.TempDir()
	part, other := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	fill(t, part, "1", "2", "x/3", "4", "5")
	fill(t, other, "6")
	run := enter(t, dir)
	run.Used(filepath.Join(part, "1"))
	run.Used(filepath.Join(part, "none"))
	if err := run.Close(); err != nil {
		t.Fatal(err)
	}
	if r := clean(t, dir, 60, part, other, filepath.Join(dir, "none")); r.Removed.Files != 0 || r.Kept != (Content{6, 60}) || r.Busy {
		t.Errorf("at the limit: %+v", r)
	}
	if r := clean(t, dir, 40, part); r.Removed != (Content{2, 20}) || r.Kept != (Content{3, 30}) { // a tenth below 40
		t.Errorf("over the limit: %+v", r)
	}
	if got := left(t, part); got != "1 4 5" {
		t.Errorf("%s are left", got)
	}
	if r := clean(t, dir, 0, part); r.Kept.Files != 0 || left(t, part) != "" || left(t, other) != "6" {
		t.Errorf("of all: %+v", r)
	}
	if c, err := Measure(other); err != nil || c != (Content{1, 10}) {
		t.Errorf("%+v, %v", c, err)
	}
}

// What a run has used or made stays while it is on, what it has not may go.
func TestCleanLeavesWhatIsInUse(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "job[1]*", "cache") // a name, not a pattern
	part := filepath.Join(dir, "a")
	fill(t, part, "old", "used")
	run := enter(t, dir)
	run.Used(filepath.Join(part, "used"))
	if err := os.WriteFile(filepath.Join(part, "made"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := clean(t, dir, 0, part); !r.Busy || left(t, part) != "made used" {
		t.Errorf("%+v, left are %s", r, left(t, part))
	}
	later := enter(t, dir)
	if err := run.Close(); err != nil {
		t.Fatal(err)
	}
	// To the later run they are no more than old files, within what clocks can tell apart.
	time.Sleep(20 * time.Millisecond)
	later.Used(filepath.Join(part, "used"))
	clean(t, dir, 0, part)
	if got := left(t, part); !strings.Contains(got, "used") {
		t.Errorf("left are %s", got)
	}
	if err := later.Close(); err != nil {
		t.Fatal(err)
	}
	if clean(t, dir, 0, part); left(t, part) != "" {
		t.Errorf("left are %s", left(t, part))
	}
}

func TestCleanFollowsNoLink(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	fill(t, outside, "mine")
	fill(t, filepath.Join(dir, "a"), "1")
	for _, link := range []struct{ to, name string }{{outside, "dir"}, {filepath.Join(outside, "mine"), "file"}} {
		if err := os.Symlink(link.to, filepath.Join(dir, "a", link.name)); err != nil {
			t.Fatal(err)
		}
	}
	if clean(t, dir, 0, filepath.Join(dir, "a")); left(t, outside) != "mine" {
		t.Error("a link was followed")
	}
}

// Another process's claim counts until it dies, however it dies.
func TestRunsOfOtherProcesses(t *testing.T) {
	if dir := os.Getenv("NANOPATCH_TEST_CACHE"); dir != "" {
		run := enter(t, dir)
		run.Used(filepath.Join(dir, "a", "theirs"))
		fmt.Println("ready")
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n') // until it is killed
		return
	}
	dir := t.TempDir()
	part := filepath.Join(dir, "a")
	fill(t, part, "old", "theirs")
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestRunsOfOtherProcesses$")
	cmd.Env = append(os.Environ(), "NANOPATCH_TEST_CACHE="+dir)
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if r := clean(t, dir, 0, part); !r.Busy || left(t, part) != "theirs" {
		t.Errorf("%+v, left are %s", r, left(t, part))
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if r := clean(t, dir, 0, part); r.Busy || left(t, part) != "" {
		t.Errorf("%+v, left are %s", r, left(t, part))
	}
	if _, err := os.Stat(filepath.Join(dir, useDir)); err != nil {
		t.Error(err)
	}
	if runs, err := filepath.Glob(filepath.Join(dir, useDir, "run-*")); err != nil || len(runs) > 0 {
		t.Errorf("%q are left, %v", runs, err)
	}
}

// Many at once, each using what it needs and cleaning at its end: nobody loses a file that it has just used.
func TestManyAtOnce(t *testing.T) {
	dir := t.TempDir()
	part := filepath.Join(dir, "a")
	done := make(chan error, 8)
	for worker := range cap(done) {
		go func() {
			for round := range 25 {
				if err := turn(dir, part, worker, round); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// turn is one run: it takes three files, makes those that are missing as the libraries do, and wants them to stay.
func turn(dir, part string, worker, round int) error {
	run, err := Enter(dir, time.Now)
	if err != nil {
		return err
	}
	var mine []string
	for n := range 3 {
		path := filepath.Join(part, fmt.Sprint((worker+round+n)%11))
		run.Used(path)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			tmp := fmt.Sprintf("%s-%d-tmp", filepath.Join(dir, "tmp"), worker)
			if err := errors.Join(os.MkdirAll(part, 0o700), os.WriteFile(tmp, []byte("0123456789"), 0o600), os.Rename(tmp, path)); err != nil {
				return err
			}
		}
		mine = append(mine, path)
	}
	if _, err := Clean(dir, []string{part}, 20); err != nil {
		return err
	}
	for _, path := range mine {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("a file in use is gone: %w", err)
		}
	}
	if err := run.Close(); err != nil {
		return err
	}
	_, err = Clean(dir, []string{part}, 20)
	return err
}
