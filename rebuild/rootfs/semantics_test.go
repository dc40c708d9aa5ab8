package rootfs

import (
	"strings"
	"testing"
)

// Each case is an image and the tree that each prefix of its layers shows (OCI image spec, layer.md).
func TestMergedTree(t *testing.T) {
	for name, c := range map[string]struct {
		layers [][]string
		want   []string
	}{
		"a later layer replaces a file and keeps its neighbours": {
			[][]string{{"etc/", "etc/a=1", "etc/b=1"}, {"etc/a=2"}},
			[]string{"etc/@0 etc/a=1@0 etc/b=1@0", "etc/@0 etc/a=2@1 etc/b=1@0"},
		},
		"a directory repeated keeps its children and takes the new header": {
			[][]string{{"etc/", "etc/a=1"}, {"etc/"}},
			[]string{"etc/@0 etc/a=1@0", "etc/@1 etc/a=1@0"},
		},
		"a whiteout removes a file": {
			[][]string{{"etc/", "etc/a=1", "etc/b=1"}, {"etc/.wh.a"}},
			[]string{"etc/@0 etc/a=1@0 etc/b=1@0", "etc/@0 etc/b=1@0"},
		},
		"a whiteout removes a directory with all below it": {
			[][]string{{"a/", "a/b/", "a/b/c=1"}, {".wh.a"}, {"a/", "a/d=3"}},
			[]string{"a/@0 a/b/@0 a/b/c=1@0", "", "a/@2 a/d=3@2"},
		},
		"a whiteout spares its own layer, before it and after it": {
			[][]string{{"a/", "a/x=1"}, {"a/", "a/y=2", ".wh.a", "a/z=2"}},
			[]string{"a/@0 a/x=1@0", "a/@1 a/y=2@1 a/z=2@1"},
		},
		"a file removed and made again in one layer": {
			[][]string{{"a=1"}, {"a=2", ".wh.a"}},
			[]string{"a=1@0", "a=2@1"},
		},
		"an opaque whiteout hides the lower content only": {
			[][]string{{"a/", "a/x/", "a/x/1=1", "a/y=1"}, {"a/", "a/z=2", "a/.wh..wh..opq"}},
			[]string{"a/@0 a/x/@0 a/x/1=1@0 a/y=1@0", "a/@1 a/z=2@1"},
		},
		"an opaque whiteout without an entry keeps the directory's header": {
			[][]string{{"a/", "a/x=1"}, {"a/.wh..wh..opq"}},
			[]string{"a/@0 a/x=1@0", "a/@0"},
		},
		"a directory below an opaque one has to be made anew": {
			[][]string{{"a/", "a/x/", "a/x/1=1"}, {"a/x/2=2", "a/.wh..wh..opq"}},
			[]string{"a/@0 a/x/@0 a/x/1=1@0", "a/@0 a/x/?@1 a/x/2=2@1"},
		},
		"an opaque root": {
			[][]string{{"a/", "b=1"}, {".wh..wh..opq", "c=2"}},
			[]string{"a/@0 b=1@0", "c=2@1"},
		},
		"a directory replaced by a file, and back": {
			[][]string{{"a/", "a/x=1"}, {"a=2"}, {"a/", "a/y=3"}},
			[]string{"a/@0 a/x=1@0", "a=2@1", "a/@2 a/y=3@2"},
		},
		"a directory replaced by a link": {
			[][]string{{"a/", "a/x=1", "b/"}, {"a->b"}},
			[]string{"a/@0 a/x=1@0 b/@0", "a->b@1 b/@0"},
		},
		"a file replaced by a directory that no entry describes": {
			[][]string{{"a=1"}, {"a/x=2"}},
			[]string{"a=1@0", "a/?@1 a/x=2@1"},
		},
		"parents that no entry describes": {
			[][]string{{"a/b/c=1"}, {"a/b/d=2"}, {"a/"}},
			[]string{"a/?@0 a/b/?@0 a/b/c=1@0", "a/?@0 a/b/?@0 a/b/c=1@0 a/b/d=2@1", "a/@2 a/b/?@0 a/b/c=1@0 a/b/d=2@1"},
		},
		"the last of several entries counts": {
			[][]string{{"a=1", "b=1", "a=2"}, {"c/x=1", "c=2", "c/", "c/y=3"}},
			[]string{"a=2@0 b=1@0", "a=2@0 b=1@0 c/@1 c/y=3@1"},
		},
		"an entry below a link to a directory lands where it leads": {
			[][]string{{"usr/", "usr/bin/", "usr/bin/ls=1", "bin->usr/bin"}, {"bin/ls=2", "bin/tool=2"}, {"bin/.wh.ls"}},
			[]string{
				"bin->usr/bin@0 usr/@0 usr/bin/@0 usr/bin/ls=1@0",
				"bin->usr/bin@0 usr/@0 usr/bin/@0 usr/bin/ls=2@1 usr/bin/tool=2@1",
				"bin->usr/bin@0 usr/@0 usr/bin/@0 usr/bin/tool=2@1",
			},
		},
		"a directory entry takes the place of a link": {
			[][]string{{"usr/bin/ls=1", "bin->usr/bin"}, {"bin/", "bin/tool=2"}},
			[]string{
				"bin->usr/bin@0 usr/?@0 usr/bin/?@0 usr/bin/ls=1@0",
				"bin/@1 bin/tool=2@1 usr/?@0 usr/bin/?@0 usr/bin/ls=1@0",
			},
		},
		"a link that the same layer removes leads nowhere from then on": {
			[][]string{{"usr/bin/", "bin->usr/bin"}, {"bin/a=1", ".wh.bin", "bin/b=1"}},
			[]string{"bin->usr/bin@0 usr/?@0 usr/bin/@0", "bin/?@1 bin/b=1@1 usr/?@0 usr/bin/@0 usr/bin/a=1@1"},
		},
		"a link that the same layer replaces leads nowhere from then on": {
			[][]string{{"usr/bin/", "bin->usr/bin"}, {"bin/a=1", "bin/", "bin/b=1"}},
			[]string{"bin->usr/bin@0 usr/?@0 usr/bin/@0", "bin/@1 bin/b=1@1 usr/?@0 usr/bin/@0 usr/bin/a=1@1"},
		},
		"a link to nowhere becomes a way when an entry takes it": {
			[][]string{{"run->/var/run"}, {"run/pid=2"}},
			[]string{"run->/var/run@0", "run->/var/run@0 var/?@1 var/run/?@1 var/run/pid=2@1"},
		},
		"a hard link keeps the file that its target was": {
			[][]string{{"a=1", "b=>a", "a=2"}, {"a=3", "c=>b"}, {".wh.a", ".wh.b"}},
			[]string{"a=2@0 b=1@0", "a=3@1 b=1@0 c=1@1", "c=1@1"},
		},
		"a hard link before its target, and one to nowhere": {
			[][]string{{"a=>b", "b=>c", "c=1", "x=>y", "z=>z"}},
			[]string{"a=1@0 b=1@0 c=1@0 x!@0 z!@0"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t, c.layers...)
			if got := list(t, s.View(0)); got != "" {
				t.Errorf("no layers show %s", got)
			}
			for i, want := range c.want {
				if got := list(t, s.View(i+1)); got != want {
					t.Errorf("layers 0 to %d:\n got %s\nwant %s", i, got, want)
				}
			}
		})
	}
}

func TestHistory(t *testing.T) {
	s := newStack(t,
		[]string{"a/", "a/x=1"},
		[]string{".wh.a", "a/", "a/x=2", "a/x=3"},
		[]string{"a/.wh.x", "a/.wh..wh..opq"},
		[]string{"b/y=1"})
	for path, want := range map[string]string{
		"a":    "a@0 .wh.a@1 a@1 a/.wh..wh..opq@2",
		"a/x":  "a/x@0 a/x@1 a/.wh.x@2",
		"b":    "",
		"b/y":  "b/y@3",
		"none": "",
		"b/z":  "",
	} {
		var got []string
		for _, n := range s.History(path) {
			got = append(got, n.Path+"@"+string(rune('0'+n.Layer)))
		}
		if g := strings.Join(got, " "); g != want {
			t.Errorf("history of %s: got %q, want %q", path, g, want)
		}
	}
}

func TestNodeKnowsItsArchiveNameAndInode(t *testing.T) {
	s := newStack(t, []string{"usr/bin/", "bin->usr/bin", "l->x", "m=>l"}, []string{"bin/a=1", "bin/b=>bin/a"})
	v := s.Top()
	a, _ := v.Lookup("usr/bin/a")
	if a.Archived().Path != "bin/a" || a.Path != "usr/bin/a" || a.Inode() != a.Entry {
		t.Errorf("usr/bin/a: archived as %s, inode %v", a.Archived().Path, a.Inode())
	}
	b, _ := v.Lookup("usr/bin/b")
	if b.Inode() != a.Archived() {
		t.Errorf("usr/bin/b: inode %v, want that of usr/bin/a", b.Inode())
	}
	if f, err := v.OpenNode(Node{Entry: b.Archived(), Layer: 1}); err != nil {
		t.Errorf("a node made by hand: %v", err)
	} else if err := f.Close(); err != nil {
		t.Error(err)
	}
	if d, _ := v.Lookup("usr"); !d.Implicit || d.Archived() != nil || d.Mode != 0o755 || d.ModTime.Unix() != 0 {
		t.Errorf("usr: got %+v, want an implicit directory", d)
	}
	// A hard link to a symbolic link is that link.
	if got, err := v.ReadLink("m"); got != "x" || err != nil {
		t.Errorf("readlink m: got %q, %v", got, err)
	}
}

func TestReplace(t *testing.T) {
	s := newStack(t, []string{"a=1", "b=1"}, []string{"c=2"})
	r, err := s.Replace(0, index("a=9"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := list(t, r.Top()), "a=9@0 c=2@1"; got != want {
		t.Errorf("replaced: got %s, want %s", got, want)
	}
	if got, want := list(t, s.Top()), "a=1@0 b=1@0 c=2@1"; got != want {
		t.Errorf("the original changed: got %s, want %s", got, want)
	}
}
