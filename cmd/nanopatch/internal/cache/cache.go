package cache

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// useDir holds the gate and a file for each run.
const useDir = "use"

func gate(dir string) *flock.Flock { return flock.New(filepath.Join(dir, useDir, "gate")) }

// Run is a run that uses a cache.
type Run struct {
	dir   string
	now   func() time.Time
	start time.Time
	lock  *flock.Flock
}

// Enter begins a run in a cache directory, which is made where it is missing.
func Enter(dir string, now func() time.Time) (*Run, error) {
	uses := filepath.Join(dir, useDir)
	if err := os.MkdirAll(uses, 0o700); err != nil {
		return nil, fmt.Errorf("opening the cache: %w", err)
	}
	g := gate(dir)
	// Whoever cleans finds the run locked or not at all.
	if err := g.Lock(); err != nil {
		return nil, fmt.Errorf("locking the cache: %w", err)
	}
	defer g.Close()
	f, err := os.CreateTemp(uses, "run-*")
	if err != nil {
		return nil, fmt.Errorf("opening the cache: %w", err)
	}
	info, err := f.Stat()
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("opening the cache: %w", err)
	}
	r := &Run{dir: dir, now: now, start: info.ModTime(), lock: flock.New(f.Name())}
	if err := r.lock.Lock(); err != nil {
		return nil, errors.Join(fmt.Errorf("locking the cache: %w", err), os.Remove(f.Name()))
	}
	return r, nil
}

// Used says that the run is about to take a file of the cache. One that is gone already is none to take; one that cannot be
// marked, because it is another user's, this user can hardly remove either.
func (r *Run) Used(file string) {
	g := gate(r.dir)
	if err := g.RLock(); err != nil {
		return
	}
	defer g.Close()
	mark := r.now()
	if mark.Before(r.start) { // a clock of a test; the file system has its own
		mark = r.start
	}
	_ = os.Chtimes(file, time.Time{}, mark)
}

// Close ends the run.
func (r *Run) Close() error {
	return errors.Join(os.Remove(r.lock.Path()), r.lock.Close())
}

// Content is what a cache holds, or what was removed from it.
type Content struct {
	Files int   `json:"files"`
	Bytes int64 `json:"bytes"`
}

func (c *Content) add(f file) {
	c.Files++
	c.Bytes += f.size
}

// Report is what became of a cache.
type Report struct {
	Removed, Kept Content
	// Busy says that other runs are on: what they may use was not looked at.
	Busy bool
}

// file is one that could be removed.
type file struct {
	path string
	size int64
	used time.Time
}

// Clean removes files below parts, directories of a cache, until no more than limit bytes are left: what was used longest ago
// first. Nothing happens below the limit; above it, a tenth more than need be goes, so that not every run has to clean.
func Clean(dir string, parts []string, limit int64) (*Report, error) {
	if err := os.MkdirAll(filepath.Join(dir, useDir), 0o700); err != nil {
		return nil, fmt.Errorf("cleaning the cache: %w", err)
	}
	g := gate(dir)
	if err := g.Lock(); err != nil {
		return nil, fmt.Errorf("cleaning the cache: %w", err)
	}
	defer g.Close()
	files, err := list(parts)
	if err != nil {
		return nil, fmt.Errorf("cleaning the cache: %w", err)
	}
	report := &Report{}
	for _, f := range files {
		report.Kept.add(f)
	}
	oldest, err := oldestRun(dir)
	if err != nil {
		return nil, fmt.Errorf("cleaning the cache: %w", err)
	}
	report.Busy = !oldest.IsZero()
	if report.Kept.Bytes <= limit && limit > 0 {
		return report, nil
	}
	slices.SortFunc(files, func(a, b file) int {
		return cmp.Or(a.used.Compare(b.used), cmp.Compare(a.path, b.path))
	})
	return report, report.remove(files, limit-limit/10, oldest)
}

// remove removes files in order until no more than limit bytes are kept.
func (r *Report) remove(files []file, limit int64, oldest time.Time) error {
	var failed []error
	for _, f := range files {
		if r.Kept.Bytes <= limit && limit > 0 || r.Busy && !f.used.Before(oldest) {
			break
		}
		if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = append(failed, err)
			continue
		}
		r.Removed.add(f)
		r.Kept.Files--
		r.Kept.Bytes -= f.size
	}
	return errors.Join(failed...)
}

// Measure counts the files below directories of a cache.
func Measure(parts ...string) (Content, error) {
	files, err := list(parts)
	var c Content
	for _, f := range files {
		c.add(f)
	}
	return c, err
}

// list finds the regular files below directories, of which some may be missing.
func list(parts []string) ([]file, error) {
	var files []file
	for _, part := range parts {
		err := filepath.WalkDir(part, func(path string, d fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil
			case err != nil:
				return err
			case !d.Type().IsRegular():
				return nil
			}
			info, err := d.Info()
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			files = append(files, file{path: path, size: info.Size(), used: info.ModTime()})
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// oldestRun is when the oldest run that is on began, zero where none is. What killed runs left is removed. The gate is held.
func oldestRun(dir string) (time.Time, error) {
	uses, err := os.ReadDir(filepath.Join(dir, useDir))
	if err != nil {
		return time.Time{}, err
	}
	var oldest time.Time
	for _, use := range uses {
		if !strings.HasPrefix(use.Name(), "run-") {
			continue
		}
		run := filepath.Join(dir, useDir, use.Name())
		info, err := os.Stat(run)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has just ended
		}
		if err != nil {
			return time.Time{}, err
		}
		l := flock.New(run)
		over, err := l.TryLock()
		if err != nil {
			return time.Time{}, err
		}
		if over {
			if err := errors.Join(os.Remove(run), l.Close()); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return time.Time{}, err
			}
			continue
		}
		if began := info.ModTime(); oldest.IsZero() || began.Before(oldest) {
			oldest = began
		}
	}
	return oldest, nil
}
