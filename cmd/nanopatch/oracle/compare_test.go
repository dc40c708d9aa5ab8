//go:build e2e

package oracle

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// comparison is the outcome of comparing two trees.
type comparison struct {
	equal, allowed int
	// differing lists the paths that may not differ, with both sides.
	differing []string
	// reasons counts the paths that may, by the reason.
	reasons map[string]int
}

// compare compares nanopatch's tree with apt's. Times count for the paths that are timed.
func compare(ours, apts snapshot, timed map[string]bool, a *author) comparison {
	c := comparison{reasons: make(map[string]int)}
	all := maps.Clone(ours)
	maps.Copy(all, apts)
	for _, p := range slices.Sorted(maps.Keys(all)) {
		our, here := ours[p]
		apt, there := apts[p]
		if here == there && our.same(apt, timed[p]) {
			c.equal++
			continue
		}
		reason := allowed(p)
		if !a.untouched(p, our, here) {
			reason = "" // what may differ is what nanopatch leaves alone
		}
		if reason = cmp.Or(reason, a.except(p, our, apt, here)); reason != "" {
			c.allowed++
			c.reasons[reason]++
			continue
		}
		c.differing = append(c.differing, fmt.Sprintf("%s\n\tnanopatch %s\n\tapt       %s", p, describe(our, here), describe(apt, there)))
	}
	return c
}

func describe(e entry, exists bool) string {
	if !exists {
		return "has it not"
	}
	return e.String()
}

// shipped tells of files whether one of the packages ships them; directories do not count.
func shipped(t *testing.T, root string, s snapshot, packages []string) map[string]bool {
	t.Helper()
	files := make(map[string]bool)
	for _, name := range packages {
		for _, p := range contents(t, root, s, name) {
			if e, ok := s[p]; ok && !e.mode.IsDir() {
				files[p] = true
			}
		}
	}
	return files
}

// resolve follows the top directory of a path where that is a symbolic link, as in a merged /usr.
func resolve(s snapshot, p string) string {
	top, rest, ok := strings.Cut(p, "/")
	if !ok || s[top].link == "" {
		return p
	}
	return path.Join(strings.TrimPrefix(s[top].link, "/"), rest)
}

// checkBytecode fails the test for compiled Python that does not belong to its source, which Python would run if it
// were compiled with hashes unchecked, or else compile again at every start. What is as it was in the image before,
// source and bytecode, is its author's.
func checkBytecode(t *testing.T, root string, s, before snapshot) {
	t.Helper()
	checked := 0
	for p := range s {
		dir := path.Dir(p)
		if path.Ext(p) != ".pyc" || path.Base(dir) != "__pycache__" {
			continue
		}
		module, _, _ := strings.Cut(path.Base(p), ".cpython-")
		source := path.Join(path.Dir(dir), module+".py")
		if s[p].same(before[p], true) && s[source].same(before[source], true) {
			continue
		}
		if err := agrees(filepath.Join(root, p), s.follow(source)); err != nil {
			t.Errorf("%s: %v", p, err)
		}
		checked++
	}
	if checked > 0 {
		t.Logf("bytecode: %d files were touched and agree with their source", checked)
	}
}

// follow returns what is at a path after symbolic links at its end.
func (s snapshot) follow(p string) entry {
	for range 10 {
		e := s[p]
		if e.link == "" {
			return e
		}
		if !path.IsAbs(e.link) {
			e.link = path.Join("/", path.Dir(p), e.link)
		}
		p = resolve(s, strings.TrimPrefix(path.Clean(e.link), "/"))
	}
	return entry{}
}

// agrees tells whether bytecode was made from a source file. Its header is a magic number, flags, and for flags 0 the
// time and size of the source, 4 bytes each, little-endian (PEP 552).
func agrees(file string, source entry) error {
	if source.sum == "" {
		return fmt.Errorf("it has no source")
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if len(data) < 16 {
		return fmt.Errorf("it has %d bytes", len(data))
	}
	if flags := binary.LittleEndian.Uint32(data[4:]); flags != 0 {
		return nil // by hash, which does not depend on the time
	}
	mtime, size := binary.LittleEndian.Uint32(data[8:]), binary.LittleEndian.Uint32(data[12:])
	if int64(mtime) != source.mtime.Unix() || int64(size) != source.size {
		return fmt.Errorf("made from a source of %d bytes and time %d, but that has %d and %d", size, mtime, source.size, source.mtime.Unix())
	}
	return nil
}
