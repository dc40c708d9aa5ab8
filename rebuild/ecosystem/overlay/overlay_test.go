package overlay_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/overlay"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

var key = ecosystem.Key{Name: "demo", Arch: "amd64"}

func file(t *testing.T, path, text string) layer.Entry {
	t.Helper()
	e, err := layer.NewFile(layer.Entry{Path: path, Mode: 0o644}, layer.Bytes([]byte(text)))
	if err != nil {
		t.Fatal(err)
	}
	return *e
}

func tree(t *testing.T, entries ...layer.Entry) *overlay.Tree {
	t.Helper()
	s, err := rootfs.New([]*layer.Index{{Entries: entries}})
	if err != nil {
		t.Fatal(err)
	}
	return overlay.New(s.Top())
}

func hardLink(path, target string) *layer.Entry {
	return &layer.Entry{Path: path, Type: tar.TypeLink, Linkname: target, Mode: 0o644}
}

func paths(t *overlay.Tree) []string {
	var all []string
	for _, c := range t.Changes() {
		sign := "+"
		if c.Entry == nil {
			sign = "-"
		}
		all = append(all, sign+c.Path)
	}
	return all
}

// TestHardLinkChain ends where links lead in a circle.
func TestHardLinkChain(t *testing.T) {
	tr := tree(t, file(t, "etc/passwd", "root"))
	for from, to := range map[string]string{"a": "b", "b": "c", "c": "a", "self": "self", "lost": "nowhere", "good": "etc/passwd"} {
		tr.Set(hardLink(from, to), key, false)
	}
	for name, want := range map[string]bool{"a": false, "self": false, "lost": false, "good": true} {
		if f, ok := tr.Lookup(name); !ok || (f.Regular() != nil) != want {
			t.Errorf("%s: %v %v", name, f, ok)
		}
	}
	f, _ := tr.Lookup("good")
	r, err := tr.Open(f)
	if err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(r); err != nil || string(data) != "root" {
		t.Errorf("good has %q, %v", data, err)
	}
	if !tr.Linked(script.File{Entry: f.Inode, Inode: f.Inode}) {
		t.Error("etc/passwd has another name")
	}
}

// TestHardLinksChangeTogether is about three names of one file of which one is new.
func TestHardLinksChangeTogether(t *testing.T) {
	was := file(t, "a", "1")
	for range 20 { // in any order
		tr := tree(t, was, *hardLink("b", "a"), *hardLink("c", "a"))
		same := was
		tr.Set(&same, key, false)
		tr.Set(hardLink("b", "a"), key, false)
		tr.Set(hardLink("c", "a"), key, false)
		if got := paths(tr); len(got) > 0 {
			t.Fatalf("nothing changes, but %q", got)
		}
		tr.Set(hardLink("d", "a"), key, false)
		if got := paths(tr); !slices.Equal(got, []string{"+a", "+b", "+c", "+d"}) {
			t.Fatalf("changes are %q", got)
		}
	}
}

// TestNames is about directories that come, go, and come again.
func TestNames(t *testing.T) {
	tr := tree(t, file(t, "usr/bin/ls", "ls"), layer.Entry{Path: "bin", Type: tar.TypeSymlink, Linkname: "usr/bin"})
	if got := tr.Place("bin/cat"); got != "usr/bin/cat" {
		t.Errorf("bin/cat is %s", got)
	}
	cat := file(t, "usr/bin/cat", "cat")
	tr.Set(&cat, key, false)
	if got := tr.Names("usr/bin"); !slices.Equal(got, []string{"cat", "ls"}) {
		t.Errorf("usr/bin has %q", got)
	}
	tr.RemoveAll("usr/bin", key)
	tr.Set(&layer.Entry{Path: "usr/bin", Type: tar.TypeDir, Mode: 0o755}, key, false)
	if got := tr.Names("usr/bin"); len(got) > 0 {
		t.Errorf("usr/bin has %q", got)
	}
	tr.Remove("bin", key, false)
	if got := tr.Place("bin/cat"); got != "bin/cat" {
		t.Errorf("bin/cat is %s", got)
	}
	if got := paths(tr); !slices.Equal(got, []string{"-bin", "-usr/bin/ls"}) {
		t.Errorf("changes are %q", got)
	}
}

func TestReadFile(t *testing.T) {
	tr := tree(t, file(t, "etc/a", "text"), layer.Entry{Path: "link", Type: tar.TypeSymlink, Linkname: "/etc/a"})
	if data, err := tr.ReadFile("link", 10); err != nil || string(data) != "text" {
		t.Errorf("%q, %v", data, err)
	}
	if data, err := tr.ReadFile("none", 10); err != nil || data != nil {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := tr.ReadFile("etc/a", 3); !errors.Is(err, overlay.ErrTooLarge) {
		t.Errorf("%v", err)
	}
}

// TestAdopt takes over what a script did, of a file whose bytes the index did not keep as well.
func TestAdopt(t *testing.T) {
	x, err := layer.Scan(t.Context(), bytes.NewReader(archive(t, map[string]string{"usr/bin/tool": "tool", "etc/conf": "old"})), layer.ScanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := rootfs.New([]*layer.Index{x})
	if err != nil {
		t.Fatal(err)
	}
	s = s.WithContent(func(int, *layer.Entry) (layer.File, error) { return layer.Bytes([]byte("tool")).Open() })
	tr := overlay.New(s.Top())
	edited := script.NewTree(tr, time.Unix(1, 0))
	for _, err := range []error{
		edited.Chmod("/usr/bin/tool", 0o4755), edited.Remove("/etc/conf", false), edited.WriteFile("/etc/new", []byte("new"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	changes, err := edited.Changes()
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.Adopt(changes, key, func(p string) bool { return p == "etc/new" }); err != nil {
		t.Fatal(err)
	}
	if got := paths(tr); !slices.Equal(got, []string{"-etc/conf", "+etc/new", "+usr/bin/tool"}) {
		t.Errorf("changes are %q", got)
	}
	tool, _ := tr.Edited("usr/bin/tool")
	if tool.Entry.Mode != 0o4755 || !tool.Entry.HasContent() || tool.Package != key || tool.Database {
		t.Errorf("the tool is %+v", tool)
	}
	if c, _ := tr.Edited("etc/new"); !c.Database {
		t.Error("etc/new is the database's")
	}
}

func archive(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(files[name]))}); err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(w, files[name])
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
