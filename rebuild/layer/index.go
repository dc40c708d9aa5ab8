package layer

import (
	"archive/tar"
	"fmt"
	"io"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Opener opens a stream that can be read from its start as often as needed.
type Opener func() (io.ReadCloser, error)

// Index is what one layer holds: every header, and the content of the files that were asked for.
// It is immutable once made and safe for concurrent use.
type Index struct {
	// DiffID is the digest of the uncompressed archive; zero for the result of Apply.
	DiffID v1.Hash
	// Size is the length of the uncompressed archive in bytes.
	Size int64
	// Entries are in archive order, entries that a later one of the same path overrides included.
	Entries []Entry

	// end is the offset of the end-of-archive marker, behind the last header.
	end int64

	once   sync.Once
	byPath map[string]int // the last entry of each path
	// By entry: the one that a hard link names, the one at the end of such a chain, with which it shares its
	// content, and the one of the same path before it; -1 for none.
	named, targets, before []int
}

// Lookup returns the entry of a clean path. Of several the last counts, as for a runtime that unpacks the layer.
func (x *Index) Lookup(path string) (*Entry, bool) {
	x.once.Do(x.link)
	i, ok := x.byPath[path]
	if !ok {
		return nil, false
	}
	return &x.Entries[i], true
}

// Open opens the content of a regular file, or of the file that a hard link of this layer names.
// It returns ErrNotKept where the index has no content, and an error for all other kinds of entry.
func (x *Index) Open(e *Entry) (File, error) {
	t, err := x.Target(e)
	if err != nil {
		return nil, err
	}
	if t.content == nil {
		return nil, fmt.Errorf("opening %s: %w", e.Path, ErrNotKept)
	}
	f, err := t.content.Open()
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", e.Path, err)
	}
	return f, nil
}

// Target returns the regular file that holds the content of e: e itself, or what a hard link of this layer
// leads to. It returns ErrLinkTarget for a hard link out of the layer.
func (x *Index) Target(e *Entry) (*Entry, error) {
	t := e
	if e.Type == tar.TypeLink {
		x.once.Do(x.link)
		i := x.position(e)
		if i >= 0 {
			i = x.targets[i]
		}
		if i < 0 {
			return nil, fmt.Errorf("opening %s, a hard link to %s: %w", e.Path, e.Linkname, ErrLinkTarget)
		}
		t = &x.Entries[i]
	}
	if !t.IsRegular() {
		return nil, fmt.Errorf("opening %s: not a regular file", e.Path)
	}
	return t, nil
}

// position finds an entry of the index, or for a copy of one the effective entry of its path.
func (x *Index) position(e *Entry) int {
	last, ok := x.byPath[e.Path]
	if !ok {
		return -1
	}
	if &x.Entries[last] == e {
		return last
	}
	for i := range x.Entries {
		if &x.Entries[i] == e {
			return i
		}
	}
	return last
}

// link fills the fields that once guards. A runtime resolves a hard link while it unpacks, so a link shares its
// content with what its target path was at that moment: with the last entry of that path before the link.
func (x *Index) link() {
	n := len(x.Entries)
	x.byPath = make(map[string]int, n)
	x.named, x.targets, x.before = make([]int, n), make([]int, n), make([]int, n)
	for i := range x.Entries {
		e := &x.Entries[i]
		x.named[i], x.targets[i], x.before[i] = -1, -1, -1
		if e.Type == tar.TypeLink {
			if t, ok := x.byPath[e.Linkname]; ok {
				x.named[i], x.targets[i] = t, t
				if x.Entries[t].Type == tar.TypeLink {
					x.targets[i] = x.targets[t]
				}
			}
		}
		if b, ok := x.byPath[e.Path]; ok {
			x.before[i] = b
		}
		x.byPath[e.Path] = i
	}
}

// between tells whether an entry of that path lies in the archive after entry from and before entry to.
func (x *Index) between(path string, from, to int, match func(i int) bool) bool {
	i, ok := x.byPath[path]
	for ; ok && i > from; i = x.before[i] {
		if i < to && match(i) {
			return true
		}
	}
	return false
}
