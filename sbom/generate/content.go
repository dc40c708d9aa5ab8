package generate

import (
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"sync"
)

// maxText bounds what is opened of the files that catalogers read whole into memory: lists, metadata, license texts. The
// largest in common images are databases of a few MB.
const maxText = 64 << 20

// streamed are the extensions and names of files that catalogers read piece by piece, through a file of their own or only
// in part, at any size: archives, databases, models. Executables are the rest of them.
var streamed = []string{
	".jar", ".war", ".ear", ".par", ".sar", ".nar", ".kar", ".jpi", ".hpi", ".far", ".rar", ".zip", ".zap", ".lpkg",
	".gguf", ".safetensors", "Packages", "Packages.db", "rpmdb.sqlite", "db.sqlite",
}

// mayRead tells whether a file is small enough for the way in which it will be read.
func mayRead(p string, size int64, head []byte) bool {
	return size <= maxText || looksExecutable(head) ||
		slices.Contains(streamed, strings.ToLower(path.Ext(p))) || slices.Contains(streamed, path.Base(p))
}

// failure keeps the first error of a tree. Catalogers take a file that they cannot read for one that has nothing to say,
// and a document that lacks packages because a disk or a network failed must not come out at all.
type failure struct {
	mu  sync.Mutex
	err error
}

func (f *failure) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
}

func (f *failure) get() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

var errTooLarge = errors.New("too large to be read into memory")

// watch guards what a tree's open returned for a node: errors of the tree are kept, and a file must be small enough for the way
// in which it will be read.
func (f *failure) watch(e *entry, opened File, err error) (io.ReadCloser, error) {
	if err != nil {
		err = fmt.Errorf("opening %s: %w", e.Path, err)
		f.set(err)
		return nil, err
	}
	watched := watchedFile{File: opened, path: e.Path, failed: f}
	if e.Size <= maxText {
		return watched, nil
	}
	var head [magicSize]byte
	n, err := watched.ReadAt(head[:], 0)
	if err != nil && !errors.Is(err, io.EOF) || !mayRead(e.Path, e.Size, head[:n]) {
		opened.Close()
		return nil, errTooLarge
	}
	return watched, nil
}

// watchedFile reports the errors of reading a file, whatever the reader makes of them.
type watchedFile struct {
	File
	path   string
	failed *failure
}

func (w watchedFile) Read(p []byte) (int, error) {
	n, err := w.File.Read(p)
	return n, w.watch(err)
}

func (w watchedFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := w.File.ReadAt(p, off)
	if off < 0 {
		return n, err // the reader's own mistake
	}
	return n, w.watch(err)
}

func (w watchedFile) watch(err error) error {
	if err != nil && !errors.Is(err, io.EOF) {
		w.failed.set(fmt.Errorf("reading %s: %w", w.path, err))
	}
	return err
}
