package rootfs

import (
	"archive/tar"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/layer"
)

// The tests write layers down as lists of entries, a line each:
//
//	dir/            a directory
//	dir/file=text   a regular file
//	link->target    a symbolic link
//	link=>target    a hard link
//	dir/.wh.name    a whiteout, or an opaque one (an empty regular file)
var testTime = time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)

func entry(line string) layer.Entry {
	header := layer.Entry{Mode: 0o644, ModTime: testTime}
	if path, target, ok := strings.Cut(line, "->"); ok {
		header.Path, header.Type, header.Linkname = path, tar.TypeSymlink, target
		return header
	}
	if path, target, ok := strings.Cut(line, "=>"); ok {
		header.Path, header.Type, header.Linkname = path, tar.TypeLink, target
		return header
	}
	if path, ok := strings.CutSuffix(line, "/"); ok {
		header.Path, header.Type, header.Mode = path, tar.TypeDir, 0o750
		return header
	}
	path, text, _ := strings.Cut(line, "=")
	header.Path = path
	e, err := layer.NewFile(header, layer.Bytes([]byte(text)))
	if err != nil {
		panic(err)
	}
	return *e
}

func index(lines ...string) *layer.Index {
	x := &layer.Index{}
	for _, l := range lines {
		x.Entries = append(x.Entries, entry(l))
	}
	return x
}

func newStack(t testing.TB, layers ...[]string) *Stack {
	t.Helper()
	var all []*layer.Index
	for _, l := range layers {
		all = append(all, index(l...))
	}
	s, err := New(all)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// spell writes a node down as "path@layer", with what it is: "/", "->target", "=text", "!" (unreadable).
func spell(v *View, n Node) string {
	s := n.Path
	switch {
	case n.Implicit:
		s += "/?"
	case n.IsDir():
		s += "/"
	case n.Inode() != nil && n.Inode().Type == tar.TypeSymlink:
		s += "->" + n.Inode().Linkname
	default:
		f, err := v.OpenNode(n)
		if err != nil {
			s += "!"
			break
		}
		b := make([]byte, 64)
		k, _ := f.Read(b)
		s += "=" + string(b[:k])
	}
	return fmt.Sprintf("%s@%d", s, n.Layer)
}

// list spells a whole tree, the root excepted.
func list(t testing.TB, v *View) string {
	t.Helper()
	var all []string
	err := v.Walk(func(n Node) error {
		if n.Path != "." {
			all = append(all, spell(v, n))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " ")
}
