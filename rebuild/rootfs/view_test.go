package rootfs

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/nanopatch/nanopatch/rebuild/layer"
)

func debianLike(t testing.TB) *View {
	return newStack(t,
		[]string{
			"usr/", "usr/bin/", "usr/bin/dash=dash", "usr/bin/sh->dash", "bin->usr/bin", "etc/", "etc/os-release->../usr/lib/os-release",
			"usr/lib/os-release=ID=debian", "etc/alternatives/", "etc/alternatives/awk->/usr/bin/mawk", "usr/bin/awk->/etc/alternatives/awk",
			"usr/bin/mawk=mawk", "var/run->/run", "run/", "loop->loop", "a->b", "b->a/x", "up->../../../etc", "empty=",
		},
		[]string{"usr/bin/tool=tool", "usr/bin/tool2=>usr/bin/tool", "usr/bin/.wh.dash", "usr/bin/dash=new", "dangling->nothing/here"},
	).Top()
}

func TestFS(t *testing.T) {
	v := newStack(t,
		[]string{"etc/", "etc/passwd=root", "etc/motd=hi", "usr/bin/sh=sh", "bin->usr/bin", "usr/bin/rsh=>usr/bin/sh"},
		[]string{"etc/.wh.motd", "usr/bin/ls=ls", "usr/lib->/usr/bin"}).Top()
	if err := fstest.TestFS(v, "etc/passwd", "usr/bin/sh", "usr/bin/rsh", "bin", "usr/lib"); err != nil {
		t.Error(err)
	}
}

func TestResolve(t *testing.T) {
	v := debianLike(t)
	for _, c := range []struct {
		path, resolved, dir string
		err                 error
	}{
		{path: ".", resolved: ".", dir: "."},
		{path: "", resolved: ".", dir: "."},
		{path: "/", resolved: ".", dir: "."},
		{path: "/usr//bin/./sh", resolved: "usr/bin/dash", dir: "usr/bin/sh"},
		{path: "bin", resolved: "usr/bin", dir: "bin"},
		{path: "bin/", resolved: "usr/bin", dir: "bin"},
		{path: "bin/sh", resolved: "usr/bin/dash", dir: "usr/bin/sh"},
		{path: "bin/awk", resolved: "usr/bin/mawk", dir: "usr/bin/awk"},
		{path: "bin/../lib/os-release", resolved: "usr/lib/os-release", dir: "usr/lib/os-release"},
		{path: "etc/os-release", resolved: "usr/lib/os-release", dir: "etc/os-release"},
		{path: "up/os-release", resolved: "usr/lib/os-release", dir: "etc/os-release"},
		{path: "../../etc", resolved: "etc", dir: "etc"},
		{path: "var/run/x/y", dir: "run/x/y", err: fs.ErrNotExist},
		{path: "bin/none/../../x", dir: "usr/bin/x", err: fs.ErrNotExist},
		{path: "dangling", dir: "dangling", err: fs.ErrNotExist},
		{path: "dangling/x", dir: "nothing/here/x", err: fs.ErrNotExist},
		{path: "usr/bin/tool/x", dir: "usr/bin/tool/x", err: fs.ErrNotExist},
		{path: "bin/tool/x", dir: "usr/bin/tool/x", err: fs.ErrNotExist},
		{path: "loop", dir: "loop", err: ErrLoop},
	} {
		got, err := v.Resolve(c.path)
		if got != c.resolved || !errors.Is(err, c.err) {
			t.Errorf("Resolve(%q): got %q, %v, want %q, %v", c.path, got, err, c.resolved, c.err)
		}
		if got, err := v.ResolveDir(c.path); got != c.dir || err != nil {
			t.Errorf("ResolveDir(%q): got %q, %v, want %q", c.path, got, err, c.dir)
		}
	}
	for _, path := range []string{"loop/x", "a/y"} {
		if got, err := v.ResolveDir(path); !errors.Is(err, ErrLoop) {
			t.Errorf("ResolveDir(%q): got %q, %v, want ErrLoop", path, got, err)
		}
	}
}

func TestSymlinkDepth(t *testing.T) {
	lines := []string{"l0=end"}
	for i := range maxLinks + 1 {
		lines = append(lines, fmt.Sprintf("l%d->l%d", i+1, i))
	}
	v := newStack(t, lines).Top()
	if got, err := v.Resolve(fmt.Sprintf("l%d", maxLinks)); got != "l0" || err != nil {
		t.Errorf("%d links: got %q, %v", maxLinks, got, err)
	}
	if _, err := v.Resolve(fmt.Sprintf("l%d", maxLinks+1)); !errors.Is(err, ErrLoop) {
		t.Errorf("%d links: got %v, want ErrLoop", maxLinks+1, err)
	}
}

func TestLookupFollowsNothing(t *testing.T) {
	v := debianLike(t)
	for _, path := range []string{"bin/sh", "usr/bin/tool/x", "none", "usr/none/x", "./usr", "/usr", "usr/", "", "usr//bin", "usr/.", ".."} {
		if n, ok := v.Lookup(path); ok {
			t.Errorf("Lookup(%q) found %s", path, n.Path)
		}
		if path != "" && v.Children(path) != nil {
			t.Errorf("Children(%q): got %d", path, len(v.Children(path)))
		}
	}
	for _, path := range []string{".", "bin", "usr/bin/dash", "loop", "dangling", "usr/lib"} {
		if n, ok := v.Lookup(path); !ok || n.Path != path {
			t.Errorf("Lookup(%q): got %v, %v", path, n.Entry, ok)
		}
	}
}

func TestReadThroughFS(t *testing.T) {
	v := debianLike(t)
	for name, want := range map[string]string{
		"bin/sh": "new", "etc/os-release": "ID=debian", "usr/bin/awk": "mawk", "bin/tool2": "tool", "empty": "",
	} {
		if got, err := v.ReadFile(name); string(got) != want || err != nil {
			t.Errorf("ReadFile(%q): got %q, %v, want %q", name, got, err, want)
		}
	}
	for name, want := range map[string]error{
		"/etc/os-release": fs.ErrInvalid, "bin/../bin/sh": fs.ErrInvalid, "a\xff": fs.ErrInvalid, "usr": fs.ErrInvalid,
		"none": fs.ErrNotExist, "dangling": fs.ErrNotExist, "empty/x": fs.ErrNotExist, "loop": ErrLoop, "a/b": ErrLoop,
	} {
		var pe *fs.PathError
		if _, err := v.ReadFile(name); !errors.Is(err, want) || !errors.As(err, &pe) {
			t.Errorf("ReadFile(%q): got %v, want a PathError of %v", name, err, want)
		}
	}
	if _, err := v.ReadDir("empty"); !errors.Is(err, errNotDir) {
		t.Errorf("ReadDir of a file: got %v", err)
	}
	i, err := v.Stat("bin")
	if err != nil || !i.IsDir() || i.Name() != "bin" {
		t.Errorf("Stat(bin): got %v, %v", i, err)
	}
	if i, err = v.Lstat("bin"); err != nil || i.Mode().Type() != fs.ModeSymlink || i.Size() != int64(len("usr/bin")) {
		t.Errorf("Lstat(bin): got %v, %v", i, err)
	}
}

func TestNamesAreBytes(t *testing.T) {
	v := newStack(t, []string{"d/caf\xe9=latin", "d/l->caf\xe9"}).Top()
	if n, ok := v.Lookup("d/caf\xe9"); !ok || spell(v, n) != "d/caf\xe9=latin@0" {
		t.Errorf("Lookup: got %v, %v", n.Entry, ok)
	}
	if got, err := v.Resolve("/d/l"); got != "d/caf\xe9" || err != nil {
		t.Errorf("Resolve: got %q, %v", got, err)
	}
	if b, err := v.ReadFile("d/l"); string(b) != "latin" || err != nil {
		t.Errorf("ReadFile through a link: got %q, %v", b, err)
	}
}

func TestModesAndSpecialFiles(t *testing.T) {
	x := &layer.Index{Entries: []layer.Entry{
		{Path: "null", Type: tar.TypeChar, Mode: 0o666},
		{Path: "sda", Type: tar.TypeBlock, Mode: 0o660},
		{Path: "pipe", Type: tar.TypeFifo, Mode: 0o600},
		{Path: "tmp", Type: tar.TypeDir, Mode: 0o1777},
		{Path: "su", Type: tar.TypeReg, Mode: 0o6755},
		{Path: "big", Type: tar.TypeReg, Mode: 0o644, Size: 7},
	}}
	s, err := New([]*layer.Index{x})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"null": "Dcrw-rw-rw-", "sda": "Drw-rw----", "pipe": "prw-------", "tmp": "dtrwxrwxrwx", "su": "ugrwxr-xr-x",
		"big": "-rw-r--r--", ".": "drwxr-xr-x",
	} {
		if i, err := s.Top().Stat(name); err != nil || i.Mode().String() != want {
			t.Errorf("mode of %s: got %v, %v, want %s", name, i, err, want)
		}
	}
	if b, err := fs.ReadFile(struct{ fs.FS }{s.Top()}, "null"); len(b) != 0 || err != nil {
		t.Errorf("reading a device: got %q, %v", b, err)
	}
	if _, err := s.Top().ReadFile("big"); !errors.Is(err, layer.ErrNotKept) {
		t.Errorf("content that the index did not keep: got %v, want ErrNotKept", err)
	}
	later := s.WithContent(func(i int, e *layer.Entry) (layer.File, error) {
		return layer.Bytes([]byte(fmt.Sprint(i, " ", e.Path))).Open()
	})
	if b, err := later.Top().ReadFile("big"); string(b) != "0 big" || err != nil {
		t.Errorf("content by WithContent: got %q, %v", b, err)
	}
}

func TestWalkSkips(t *testing.T) {
	v := newStack(t, []string{"a/1=", "a/2=", "b/1=", "b/2=", "b/3=", "c="}).Top()
	walk := func(at string, result error) string {
		var seen []string
		err := v.Walk(func(n Node) error {
			seen = append(seen, n.Path)
			if n.Path == at {
				return result
			}
			return nil
		})
		return fmt.Sprint(strings.Join(seen, " "), " ", err)
	}
	boom := errors.New("boom")
	for _, c := range []struct {
		at     string
		result error
		want   string
	}{
		{"a", fs.SkipDir, ". a b b/1 b/2 b/3 c <nil>"},
		{"b/1", fs.SkipDir, ". a a/1 a/2 b b/1 c <nil>"},
		{"b/1", fs.SkipAll, ". a a/1 a/2 b b/1 <nil>"},
		{".", fs.SkipDir, ". <nil>"},
		{"a/1", boom, ". a a/1 boom"},
	} {
		if got := walk(c.at, c.result); got != c.want {
			t.Errorf("%v at %s: got %s, want %s", c.result, c.at, got, c.want)
		}
	}
}

func TestReadDirInSteps(t *testing.T) {
	f, err := newStack(t, []string{"a=", "b=", "c="}).Top().Open(".")
	if err != nil {
		t.Fatal(err)
	}
	d := f.(fs.ReadDirFile)
	var sizes []int
	for {
		es, err := d.ReadDir(2)
		sizes = append(sizes, len(es))
		if errors.Is(err, io.EOF) {
			break
		}
	}
	if !slices.Equal(sizes, []int{2, 1, 0}) {
		t.Errorf("got steps of %v entries", sizes)
	}
}

func TestRefused(t *testing.T) {
	for name, line := range map[string]string{
		"absolute":               "/etc/passwd=",
		"climbing":               "../etc/passwd=",
		"climbing in the middle": "a/../b=",
		"not clean":              "./a=",
		"empty":                  "=",
		"parent":                 "..=",
		"root as a file":         ".=text",
		"whiteout of nothing":    "a/.wh.",
		"whiteout of itself":     "a/.wh..",
		"whiteout of the parent": "a/.wh...",
		"too long":               strings.Repeat("a/", maxPath/2) + "b=",
	} {
		var pe *PathError
		if _, err := New([]*layer.Index{index("ok="), index(line)}); !errors.As(err, &pe) || pe.Layer != 1 {
			t.Errorf("%s: got %v, want a PathError in layer 1", name, err)
		}
	}
	if _, err := New([]*layer.Index{index("l->l"), index("l/x=")}); !errors.Is(err, ErrLoop) {
		t.Errorf("an entry below a link loop: got %v, want ErrLoop", err)
	}
	if _, err := New([]*layer.Index{nil}); err == nil {
		t.Error("no index: no error")
	}
}

// A few hundred kilobytes of archive that name a gigabyte's worth of directories.
func TestDirectoryBomb(t *testing.T) {
	deep := strings.Repeat("a/", 2000)
	x := &layer.Index{}
	for i := range 1000 {
		x.Entries = append(x.Entries, layer.Entry{Path: fmt.Sprintf("%d/%sf", i, deep), Type: tar.TypeReg})
	}
	if _, err := New([]*layer.Index{x}); !errors.Is(err, errTooMany) {
		t.Errorf("got %v, want %v", err, errTooMany)
	}
}

func TestViewBounds(t *testing.T) {
	s := newStack(t, []string{"a="})
	for _, n := range []int{-1, 2} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("View(%d) of one layer did not panic", n)
				}
			}()
			s.View(n)
		}()
	}
}
