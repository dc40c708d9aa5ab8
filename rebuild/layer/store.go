package layer

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/gofrs/flock"
)

// StoreOptions tune a Store. The zero value keeps no content.
type StoreOptions struct {
	// Keep says which regular files' content the indexes of layers keep. KeepID names that rule: whoever
	// changes the rule changes its name, for indexes are cached by it.
	Keep   Keep
	KeepID string
	// KeepBlobs holds on to the compressed bytes of every layer that is indexed, until Close, so that a
	// later Rewrite does not fetch them again, but for those of a [Local] layer.
	KeepBlobs bool
	// Limits bound what a layer may ask for.
	Limits Limits
	// Used is told of a file below [CacheDirs] before it is taken, so that a cleaner can leave it; nil is nobody.
	Used func(file string)
	// Logger is told of cache misses, at debug level. Nil is silence.
	Logger *slog.Logger
}

// Store keeps the indexes of layers in a directory, and the rewritten layers of one run. Several stores, in
// one process or in many, may share a directory: files appear in it whole or not at all.
type Store struct {
	opts   StoreOptions
	dir    string // of the pack files
	run    string // of this store's temporary files
	lock   *flock.Flock
	chunks sync.Pool
	create func(dir, pattern string) (file, error) // os.CreateTemp but for tests

	mu      sync.Mutex
	loading map[string]chan struct{} // by pack file: holds one token while someone makes it
	loaded  map[string]*Index
}

// file is what the store needs of a temporary file.
type file interface {
	io.WriteCloser
	Name() string
}

// indexDir holds the pack files.
const indexDir = "index"

// CacheDirs are the directories below a store's own whose files are made anew where they are missing: they may be removed
// while no store of StoreOptions.Used has taken or made them.
func CacheDirs(dir string) []string { return []string{filepath.Join(dir, indexDir)} }

// OpenStore opens the store in dir and makes the directory if there is none, closed to other users. One in
// which others may write is an error, for the store believes what it finds there. Temporary files that a
// killed process left behind are removed.
func OpenStore(dir string, opts StoreOptions) (*Store, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Used == nil {
		opts.Used = func(string) {}
	}
	s := &Store{
		opts: opts, dir: filepath.Join(dir, indexDir),
		chunks:  sync.Pool{New: func() any { b := make([]byte, chunkSize); return &b }},
		create:  func(dir, pattern string) (file, error) { return os.CreateTemp(dir, pattern) },
		loading: map[string]chan struct{}{}, loaded: map[string]*Index{},
	}
	runs := filepath.Join(dir, "run")
	for _, d := range []string{dir, s.dir, runs} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("opening the layer cache: %w", err)
		}
		if err := CheckPrivate(d); err != nil {
			return nil, fmt.Errorf("opening the layer cache: %w", err)
		}
	}
	if err := s.enter(runs); err != nil {
		return nil, fmt.Errorf("opening the layer cache: %w", err)
	}
	return s, nil
}

// enter makes this run's directory and removes those whose owners are gone. A run holds a lock on a file in
// its directory; one more lock keeps others from finding the directory before that one is held.
func (s *Store) enter(runs string) error {
	gate := flock.New(filepath.Join(runs, "lock"))
	if err := gate.Lock(); err != nil {
		return err
	}
	defer gate.Close()
	others, err := os.ReadDir(runs)
	if err != nil {
		return err
	}
	for _, other := range others {
		dir := filepath.Join(runs, other.Name())
		if !other.IsDir() { // the gate
			continue
		}
		if _, err := os.Lstat(filepath.Join(dir, "lock")); err != nil {
			continue
		}
		l := flock.New(filepath.Join(dir, "lock"))
		if ok, err := l.TryLock(); err != nil || !ok {
			continue
		}
		if err := os.RemoveAll(dir); err != nil {
			s.opts.Logger.Debug("leaving temporary files of another run", "dir", dir, "error", err)
		}
		_ = l.Close()
	}
	if s.run, err = os.MkdirTemp(runs, "*"); err != nil {
		return err
	}
	s.lock = flock.New(filepath.Join(s.run, "lock"))
	return s.lock.Lock()
}

// Close removes this run's temporary files: rewritten layers can no longer be read. Cached indexes stay.
func (s *Store) Close() error {
	gate := flock.New(filepath.Join(filepath.Dir(s.run), "lock"))
	err := gate.Lock()
	return errors.Join(err, os.RemoveAll(s.run), s.lock.Close(), gate.Close())
}

// tarKeepID stands for "all content" in the names of pack files.
const tarKeepID = "tar"

// packPath names the pack file of an archive under a rule of what to keep.
func (s *Store) packPath(key, keepID string) string {
	sum := sha256.Sum256([]byte(key + "\x00" + keepID))
	return filepath.Join(s.dir, hex.EncodeToString(sum[:]))
}

// temp is a file that is either moved into place whole or removed.
type temp struct {
	file
	done bool
}

func (s *Store) temp() (*temp, error) {
	f, err := s.create(s.run, "tmp-*")
	if err != nil {
		return nil, err
	}
	return &temp{file: f}, nil
}

// commit closes the file and gives it its name.
func (t *temp) commit(path string) error {
	t.done = true
	err := t.Close()
	if err == nil {
		err = os.Rename(t.Name(), path)
	}
	if err != nil {
		_ = os.Remove(t.Name())
	}
	return err
}

// discard removes the file unless it was committed. Of nil it removes nothing.
func (t *temp) discard() {
	if t != nil && !t.done {
		t.done = true
		_ = t.Close()
		_ = os.Remove(t.Name())
	}
}

// load returns the index of a pack file, or nil if there is none that is whole.
func (s *Store) load(path string) *Index {
	s.mu.Lock()
	x := s.loaded[path]
	s.mu.Unlock()
	if x != nil {
		return x
	}
	s.opts.Used(path)
	x, err := loadPack(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		s.opts.Logger.Debug("making a cached layer index anew", "file", path, "error", err)
		return nil
	}
	s.remember(path, x)
	return x
}

func (s *Store) remember(path string, x *Index) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loaded[path] = x
}
