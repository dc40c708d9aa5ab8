//go:build e2e

package oracle

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// entry is everything about a path that an image carries.
type entry struct {
	mode     fs.FileMode
	uid, gid uint32
	size     int64
	sum      string // of a regular file, SHA-256 in hexadecimal
	link     string // of a symbolic link
	device   uint64
	xattrs   string
	// names are those of the inode, where it has several, the first in order naming it.
	names string
	mtime time.Time
}

// same compares two paths; the time only where it is asked for.
func (e entry) same(o entry, withTime bool) bool {
	if !withTime {
		e.mtime, o.mtime = time.Time{}, time.Time{}
	}
	return e == o
}

func (e entry) String() string {
	s := fmt.Sprintf("%v %d:%d %s", e.mode, e.uid, e.gid, e.mtime.UTC().Format(time.RFC3339))
	switch {
	case e.sum != "":
		s += fmt.Sprintf(" %d bytes %.12s", e.size, e.sum)
	case e.link != "":
		s += " → " + e.link
	case e.device != 0:
		s += fmt.Sprintf(" device %x", e.device)
	}
	return s + e.xattrs + e.names
}

// snapshot is a tree by its paths, which are relative and clean.
type snapshot map[string]entry

// take reads a tree.
func take(t *testing.T, root string) snapshot {
	t.Helper()
	s := make(snapshot)
	inodes := make(map[uint64][]string)
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == root {
			return err
		}
		name, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		e, st, err := read(p)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if st.Nlink > 1 && !d.IsDir() {
			inodes[st.Ino] = append(inodes[st.Ino], name)
		}
		s[name] = e
		return nil
	})
	if err != nil {
		t.Fatalf("reading the tree: %v", err)
	}
	for _, names := range inodes { // each in the order of the walk
		for _, name := range names {
			e := s[name]
			e.names = " = " + strings.Join(names, " = ")
			s[name] = e
		}
	}
	return s
}

func read(p string) (entry, *syscall.Stat_t, error) {
	info, err := os.Lstat(p)
	if err != nil {
		return entry{}, nil, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return entry{}, nil, errors.ErrUnsupported
	}
	e := entry{mode: info.Mode(), uid: st.Uid, gid: st.Gid, mtime: info.ModTime().Truncate(time.Second)}
	switch {
	case e.mode.IsRegular():
		e.size = info.Size()
		e.sum, err = digest(p)
		if err == nil && strings.HasSuffix(p, unordered) {
			e.sum, err = sortedDigest(p)
		}
	case e.mode&fs.ModeSymlink != 0:
		e.link, err = os.Readlink(p)
	case e.mode&fs.ModeDevice != 0:
		e.device = st.Rdev
	}
	if err != nil {
		return entry{}, nil, err
	}
	e.xattrs, err = xattrs(p)
	return e, st, err
}

func digest(p string) (string, error) {
	f, err := os.Open(p)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// unordered is a list whose order has no meaning (deb-triggers(5) names none): dpkg moves the lines of a package that it upgrades
// to the end, nanopatch leaves lines of which nothing changes where they are.
const unordered = "/var/lib/dpkg/triggers/File"

// sortedDigest is that of a file's lines, sorted.
func sortedDigest(p string) (string, error) {
	text, err := os.ReadFile(p)
	if err != nil {
		return "", err
	}
	lines := slices.Sorted(strings.Lines(string(text)))
	sum := sha256.Sum256([]byte(strings.Join(lines, "")))
	return hex.EncodeToString(sum[:]), nil
}

// xattrs lists the extended attributes of a path by their names: the file system has no order for them.
func xattrs(p string) (string, error) {
	buf := make([]byte, 1<<16)
	n, err := unix.Llistxattr(p, buf)
	if errors.Is(err, unix.ENOTSUP) || n == 0 {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var b strings.Builder
	value := make([]byte, 1<<16)
	for _, name := range slices.Sorted(strings.SplitSeq(strings.TrimRight(string(buf[:n]), "\x00"), "\x00")) {
		m, err := unix.Lgetxattr(p, name, value)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, " %s=%x", name, value[:m])
	}
	return b.String(), nil
}
