package pkgrepo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// cache is the part of a Client that lives on disk:
//
//	blob/ab/abcd…     files named by their SHA-256
//	ref/…             mutable files, named by the SHA-256 of their URL, sealed
//	derived/KIND/…    what was computed from a verified file, sealed
//	lock/…            flock files
//	tmp/              files that are being written
//
// A file gets its name by rename, so a reader sees all of it or nothing. Nothing is synced to disk first:
// every file carries or is named by its digest and is checked when taken, so what a crash tore is fetched
// again. Locks only keep two processes from doing the same work; correctness does not rest on them.
type cache struct {
	dir string
	// used is told of a file before it is taken.
	used func(file string)
}

// CacheDirs are the directories below a Client's own whose files are made or fetched anew where they are missing: they may be
// removed while no client of Options.Used has taken or made them.
func CacheDirs(dir string) []string {
	return []string{filepath.Join(dir, blobDir), filepath.Join(dir, refDir), filepath.Join(dir, derivedDir)}
}

const (
	blobDir    = "blob"
	refDir     = "ref"
	derivedDir = "derived"
	lockDir    = "lock"
	tmpDir     = "tmp"
)

// staleAfter is the age at which a temporary file's process is taken to be dead.
const staleAfter = 24 * time.Hour

func openCache(dir string, now time.Time, used func(string)) (*cache, error) {
	if dir == "" {
		return nil, errors.New("no cache directory given")
	}
	if used == nil {
		used = func(string) {}
	}
	c := &cache{dir: dir, used: used}
	for _, sub := range []string{"", blobDir, refDir, derivedDir, lockDir, tmpDir} {
		d := filepath.Join(dir, sub)
		// 0700 and checked: the derived files are trusted like the program itself.
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, c.fail(err)
		}
		if err := checkPrivate(d); err != nil {
			return nil, c.fail(err)
		}
	}
	c.sweep(now)
	return c, nil
}

func (c *cache) fail(err error) error {
	if err == nil {
		return nil
	}
	return &CacheError{Dir: c.dir, Err: err}
}

// sweep removes what killed processes left in tmp. Errors do not matter: the next run tries again.
func (c *cache) sweep(now time.Time) {
	entries, err := os.ReadDir(filepath.Join(c.dir, tmpDir))
	if err != nil {
		return
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && now.Sub(info.ModTime()) > staleAfter {
			_ = os.Remove(filepath.Join(c.dir, tmpDir, e.Name()))
		}
	}
}

func (c *cache) blobPath(sum [sha256.Size]byte) string {
	name := hex.EncodeToString(sum[:])
	return filepath.Join(c.dir, blobDir, name[:2], name)
}

// lock takes an exclusive lock among all processes that share the cache. The lock files are a fixed set
// of 256 for each kind, so that they do not pile up; two keys that share one merely wait for each other.
// A goroutine holds at most one lock of a kind, and takes "derived" before "blob".
func (c *cache) lock(ctx context.Context, kind string, key [sha256.Size]byte) (unlock func(), err error) {
	const poll = 50 * time.Millisecond
	l := flock.New(filepath.Join(c.dir, lockDir, fmt.Sprintf("%s-%02x", kind, key[0])))
	_, err = l.TryLockContext(ctx, poll)
	switch {
	case err == nil:
		return func() { _ = l.Close() }, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, errors.ErrUnsupported):
		// A file system without locks: the work may be done twice, with the same result.
		return func() {}, nil
	}
	return nil, c.fail(err)
}

// create writes a file of the cache. fill gets a writer whose errors are CacheErrors; where fill fails,
// nothing is left behind.
func (c *cache) create(path string, fill func(w io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Join(c.dir, tmpDir), "")
	if err != nil {
		return c.fail(err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if err := fill(cacheWriter{c, f}); err != nil {
		return err
	}
	// Delayed allocation and network file systems report a full disk only here.
	if err := f.Close(); err != nil {
		return c.fail(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return c.fail(err)
	}
	return c.fail(os.Rename(f.Name(), path))
}

type cacheWriter struct {
	c *cache
	w io.Writer
}

func (w cacheWriter) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	return n, w.c.fail(err)
}

// createSealed writes a file whose content is followed by its own SHA-256.
func (c *cache) createSealed(path string, fill func(w io.Writer) error) error {
	return c.create(path, func(w io.Writer) error {
		h := sha256.New()
		if err := fill(io.MultiWriter(w, h)); err != nil {
			return err
		}
		_, err := w.Write(h.Sum(nil))
		return err
	})
}

// Sealed is a file out of the cache whose content was checked when it was opened.
type Sealed struct {
	*io.SectionReader
	f *os.File
}

// Close releases the file.
func (s *Sealed) Close() error { return s.f.Close() }

// openSealed opens a sealed file. A torn or corrupt one does not exist (fs.ErrNotExist).
func (c *cache) openSealed(path string) (*Sealed, error) {
	c.used(path)
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	s, err := unseal(f)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return s, nil
}

func unseal(f *os.File) (*Sealed, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	size := info.Size() - sha256.Size
	if size < 0 {
		return nil, fs.ErrNotExist
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(f, 0, size)); err != nil {
		return nil, err
	}
	var seal [sha256.Size]byte
	if _, err := f.ReadAt(seal[:], size); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if [sha256.Size]byte(h.Sum(nil)) != seal {
		return nil, fs.ErrNotExist
	}
	return &Sealed{io.NewSectionReader(f, 0, size), f}, nil
}

// holds tells whether the file at path has the given size and SHA-256.
func (c *cache) holds(path string, size int64, sum [sha256.Size]byte) bool {
	c.used(path)
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() != size {
		return false
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return false
	}
	return [sha256.Size]byte(h.Sum(nil)) == sum
}
