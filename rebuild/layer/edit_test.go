package layer

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPlaces(t *testing.T) {
	src := newArchive(t).
		dir("bin").file("bin/a", "a").dir("etc").dir("etc/d").file("etc/d/x", "x").file("etc/z", "z").file("top", "t").
		file("usr/lib/deep/file", "f").bytes()
	tests := map[string]struct {
		edits []*Entry
		gone  []string
		want  []string
	}{
		"replaced in place": {
			edits: []*Entry{newFile(t, "etc/d/x", "new"), newFile(t, "top", "new")},
			want:  []string{"bin", "bin/a", "etc", "etc/d", "etc/d/x", "etc/z", "top", "usr/lib/deep/file"},
		},
		"behind the directory": {
			edits: []*Entry{newFile(t, "bin/c", ""), newFile(t, "bin/b", ""), newFile(t, "etc/d/y", "")},
			want:  []string{"bin", "bin/a", "bin/b", "bin/c", "etc", "etc/d", "etc/d/x", "etc/d/y", "etc/z", "top", "usr/lib/deep/file"},
		},
		"behind the subtree": {
			edits: []*Entry{newFile(t, "etc/a", "")},
			want:  []string{"bin", "bin/a", "etc", "etc/d", "etc/d/x", "etc/z", "etc/a", "top", "usr/lib/deep/file"},
		},
		"behind the nearest ancestor": {
			edits: []*Entry{newFile(t, "bin/new/deep/file", ""), {Path: "bin/new", Type: tar.TypeDir, Mode: 0o755}, newFile(t, "usr/lib/other", "")},
			want:  []string{"bin", "bin/a", "bin/new", "bin/new/deep/file", "etc", "etc/d", "etc/d/x", "etc/z", "top", "usr/lib/deep/file", "usr/lib/other"},
		},
		"at the end": {
			edits: []*Entry{newFile(t, "var/b", ""), newFile(t, "a", "")},
			want:  []string{"bin", "bin/a", "etc", "etc/d", "etc/d/x", "etc/z", "top", "usr/lib/deep/file", "a", "var/b"},
		},
		"behind what goes": {
			edits: []*Entry{newFile(t, "bin/b", "")}, gone: []string{"bin/a", "etc/z", "no/such/path"},
			want: []string{"bin", "bin/b", "etc", "etc/d", "etc/d/x", "top", "usr/lib/deep/file"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			edits := Edits{}
			for _, e := range tt.edits {
				edits[e.Path] = e
			}
			for _, p := range tt.gone {
				edits[p] = nil
			}
			_, y := mustRewrite(t, src, edits)
			if d := cmp.Diff(tt.want, paths(y)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestEmptyArchive(t *testing.T) {
	for name, src := range map[string][]byte{"no bytes": nil, "end marker": make([]byte, 1024), "global header": newArchive(t).
		add(tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"k": "v"}}, "").bytes()} {
		out, y := mustRewrite(t, src, Edits{"b/c": newFile(t, "b/c", "1"), "a": newFile(t, "a", "2")})
		if d := cmp.Diff([]string{"a", "b/c"}, paths(y)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if len(out) != len(src)+2048 {
			t.Errorf("%s: %d bytes from %d", name, len(out), len(src))
		}
	}
}

func TestDuplicates(t *testing.T) {
	src := newArchive(t).file("a", "1").file("b", "b").file("a", "2").file("c", "c").bytes()
	_, y := mustRewrite(t, src, Edits{"a": newFile(t, "a", "3")})
	if d := cmp.Diff([]string{"b", "a", "c"}, paths(y)); d != "" {
		t.Errorf("replaced: %s", d)
	}
	_, y = mustRewrite(t, src, Edits{"a": nil})
	if d := cmp.Diff([]string{"b", "c"}, paths(y)); d != "" {
		t.Errorf("removed: %s", d)
	}
}

// linkTest is an edit among hard links: the resulting order, and the content of paths, links followed.
type linkTest struct {
	src      *archive
	edits    Edits
	want     []string
	contents map[string]string
}

func (tt linkTest) run(t *testing.T) {
	_, y := mustRewrite(t, tt.src.bytes(), tt.edits)
	if d := cmp.Diff(tt.want, paths(y)); d != "" {
		t.Error(d)
	}
	for p, want := range tt.contents {
		e, ok := y.Lookup(p)
		if !ok {
			t.Errorf("no %s", p)
			continue
		}
		f, err := y.Open(e)
		if got := readAll(t, f, err); got != want {
			t.Errorf("content of %s: %q, want %q", p, got, want)
		}
	}
}

type tree = map[string]string

func TestNewHardLinks(t *testing.T) {
	file := func(p string) *Entry { return newFile(t, p, "new") }
	for name, tt := range map[string]linkTest{
		"a new link behind its new target": {
			newArchive(t).file("z", "z"),
			Edits{"a": file("a"), "b": newLink("b", "a")},
			[]string{"z", "a", "b -> a"},
			tree{"b": "new"},
		},
		"a new link before its new target takes the content": {
			newArchive(t).file("z", "z"),
			Edits{"b": file("b"), "a": newLink("a", "b"), "c": newLink("c", "b")},
			[]string{"z", "a", "b -> a", "c -> a"},
			tree{"a": "new", "b": "new", "c": "new"},
		},
		"a link in place before its replaced target takes the content": {
			newArchive(t).file("l", "l").file("m", "m").file("f", "f"),
			Edits{"l": newLink("l", "f"), "f": file("f")},
			[]string{"l", "m", "f -> l"},
			tree{"l": "new", "f": "new"},
		},
		"a link to a link": {
			newArchive(t),
			Edits{"c": file("c"), "b": newLink("b", "c"), "a": newLink("a", "b")},
			[]string{"a", "b -> a", "c -> a"},
			tree{"a": "new", "b": "new", "c": "new"},
		},
		"both replaced stay linked": {
			newArchive(t).file("f", "old").link("l", "f"),
			Edits{"f": file("f"), "l": newLink("l", "f")},
			[]string{"f", "l -> f"},
			tree{"l": "new"},
		},
		"a link to what stays later moves behind it": {
			newArchive(t).file("l", "l").file("m", "m").file("f", "f"),
			Edits{"l": newLink("l", "f")},
			[]string{"m", "f", "l -> f"},
			tree{"l": "f", "f": "f"},
		},
	} {
		t.Run(name, tt.run)
	}
}

func TestHeirs(t *testing.T) {
	file := func(p string) *Entry { return newFile(t, p, "new") }
	for name, tt := range map[string]linkTest{
		"a replaced target leaves its content to its link": {
			newArchive(t).file("f", "old").file("m", "m").link("l", "f"),
			Edits{"f": file("f")},
			[]string{"l", "f", "m"},
			tree{"l": "old", "f": "new"},
		},
		"a removed target leaves its content to the first, the others follow": {
			newArchive(t).file("f", "old").link("l", "f").file("m", "m").link("k", "f"),
			Edits{"f": nil},
			[]string{"l", "m", "k -> l"},
			tree{"l": "old", "k": "old"},
		},
		"an edited link is no heir": {
			newArchive(t).file("f", "old").link("l", "f").link("k", "f"),
			Edits{"f": nil, "l": file("l")},
			[]string{"k", "l"},
			tree{"l": "new", "k": "old"},
		},
		"roles swapped by the caller": {
			newArchive(t).file("f", "old").link("l", "f"),
			Edits{"f": newLink("f", "l")},
			[]string{"l", "f -> l"},
			tree{"l": "old", "f": "old"},
		},
		"a symbolic link has heirs as well": {
			newArchive(t).symlink("f", "target").link("l", "f"),
			Edits{"f": nil},
			[]string{"l"},
			nil,
		},
		"a link over a removed link": {
			newArchive(t).file("f", "old").link("k", "f").link("l", "k"),
			Edits{"k": nil},
			[]string{"f", "l -> f"},
			tree{"l": "old"},
		},
		"an heir's overridden namesake goes": {
			newArchive(t).file("f", "old").file("l", "before").link("k", "l").link("l", "f"),
			Edits{"f": nil},
			[]string{"l", "k"},
			tree{"l": "old", "k": "before"},
		},
		"a link in a directory that would be another": {
			newArchive(t).file("f", "old").dir("d").symlink("s", "d").link("s/l", "f").link("m", "f"),
			Edits{"f": nil},
			[]string{"m", "d", "s", "s/l -> m"},
			tree{"m": "old", "s/l": "old"},
		},
	} {
		t.Run(name, tt.run)
	}
}

func TestHeirKeepsAttributes(t *testing.T) {
	src := newArchive(t).add(tar.Header{
		Name: "f", Typeflag: tar.TypeReg, Mode: 0o4755, Uid: 5, Format: tar.FormatPAX, ModTime: epoch.Add(time.Millisecond),
		PAXRecords: map[string]string{"SCHILY.xattr.security.capability": "\x00\x01"},
	}, "old").link("l", "f").bytes()
	_, y := mustRewrite(t, src, Edits{"f": nil})
	e := y.Entries[0]
	if e.Path != "l" || e.Mode != 0o4755 || e.UID != 5 || !e.ModTime.Equal(epoch.Add(time.Millisecond)) ||
		e.PAX["SCHILY.xattr.security.capability"] != "\x00\x01" {
		t.Errorf("%+v", e)
	}
}

func TestEditsThatChangeNothing(t *testing.T) {
	src := newArchive(t).dir("d").file("d/f", "f").link("d/l", "d/f").symlink("s", "d").bytes()
	x := mustScan(t, src)
	edits := Edits{"no/such": nil}
	for i := range x.Entries {
		e := x.Entries[i]
		e.Uname = "root" // a name in a package's archive; the layer has none
		edits[e.Path] = &e
	}
	out, _ := mustRewrite(t, src, edits)
	if !bytes.Equal(out, src) {
		t.Error("the archive changed")
	}
	e := newFile(t, "d/f", "f")
	e.Mode = 0o600
	out, _ = mustRewrite(t, src, Edits{"d/f": e, "d/l": newLink("d/l", "d/f")})
	if bytes.Equal(out, src) {
		t.Error("another mode is a change")
	}
}

func TestNewHeaders(t *testing.T) {
	mode := func(e *Entry, change func(*Entry)) *Entry { change(e); return e }
	for name, tt := range map[string]struct {
		e      *Entry
		blocks int64
		pax    map[string]string
	}{
		"ustar":      {newFile(t, "usr/bin/a", "12"), 1, nil},
		"directory":  {&Entry{Path: "d", Type: tar.TypeDir, Mode: 0o755, ModTime: epoch}, 1, nil},
		"device":     {&Entry{Path: "d", Type: tar.TypeBlock, Devmajor: 8, Devminor: 1, ModTime: epoch}, 1, nil},
		"nanosecond": {mode(newFile(t, "a", ""), func(e *Entry) { e.ModTime = epoch.Add(7) }), 3, map[string]string{"mtime": "1700000000.000000007"}},
		"large uid":  {mode(newFile(t, "a", ""), func(e *Entry) { e.UID = 1 << 21 }), 3, map[string]string{"uid": "2097152"}},
		"not ASCII":  {newFile(t, "ü", ""), 3, map[string]string{"path": "ü"}},
		"stale records": {mode(newFile(t, "a", ""), func(e *Entry) {
			e.PAX = map[string]string{"path": "other", "mtime": "5", "atime": "5", "GNU.sparse.name": "x", "size": "9", "SCHILY.xattr.user.a": "b"}
		}), 3, map[string]string{"SCHILY.xattr.user.a": "b"}},
	} {
		raw, seen, err := encode(tt.e)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if int64(len(raw)) != tt.blocks*blockSize || seen.head != int64(len(raw)) {
			t.Errorf("%s: %d bytes of headers, want %d blocks", name, len(raw), tt.blocks)
		}
		if d := cmp.Diff(tt.pax, seen.PAX); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		h, err := tar.NewReader(bytes.NewReader(raw)).Next()
		if err != nil || h.Uname != "" || h.Gname != "" || !h.ModTime.Equal(tt.e.ModTime) {
			t.Errorf("%s: %+v, %v", name, h, err)
		}
	}
}

func TestEditsThatCannotBe(t *testing.T) {
	src := newArchive(t).dir("d").file("d/f", "f").file("e/f", "f").file("a", "a").link("l", "a").bytes()
	at := func(e *Entry, p string) *Entry { e.Path = p; return e }
	none := newFile(t, "a", "a")
	none.content, none.Mode = nil, 0o600
	tests := map[string]struct {
		edits Edits
		want  error
	}{
		"not clean":                     {Edits{"d//f": newFile(t, "d//f", "")}, errNotClean},
		"absolute":                      {Edits{"/d/f": newFile(t, "/d/f", "")}, errNotClean},
		"removing what is not clean":    {Edits{"d/": nil}, errNotClean},
		"another path than its key":     {Edits{"d/g": newFile(t, "d/f", "")}, errNotClean},
		"a link not clean":              {Edits{"d//l": newLink("d//l", "a")}, errNotClean},
		"a file without content":        {Edits{"b": {Path: "b", Type: tar.TypeReg}}, errNoContent},
		"other content, none given":     {Edits{"a": {Path: "a", Type: tar.TypeReg, Size: 1}}, errNoContent},
		"shared content, none given":    {Edits{"a": none}, errSharedBody},
		"a sparse file":                 {Edits{"b": {Path: "b", Type: tar.TypeReg, Sparse: true}}, errSparse},
		"a link to nothing":             {Edits{"b": newLink("b", "c")}, ErrLinkTarget},
		"a link to what goes":           {Edits{"b": newLink("b", "d/f"), "d/f": nil}, ErrLinkTarget},
		"a link to a directory":         {Edits{"b": newLink("b", "d")}, errLinkToDir},
		"a link to a new directory":     {Edits{"b": newLink("b", "c"), "c": {Path: "c", Type: tar.TypeDir}}, errLinkToDir},
		"a link to itself":              {Edits{"b": newLink("b", "b")}, errLinkCycle},
		"links in a circle":             {Edits{"b": newLink("b", "c"), "c": newLink("c", "b")}, errLinkCycle},
		"a file for a full directory":   {Edits{"d": newFile(t, "d", "")}, errNotEmpty},
		"a file for an implied one":     {Edits{"e": newFile(t, "e", "")}, errNotEmpty},
		"a file above a new file":       {Edits{"n": newFile(t, "n", ""), "n/f": newFile(t, "n/f", "")}, errNotEmpty},
		"a file as root":                {Edits{".": at(newFile(t, ".", ""), ".")}, nil},
		"an owner that cannot be":       {Edits{"b": {Path: "b", Type: tar.TypeDir, UID: -1}}, nil},
		"a type that cannot be":         {Edits{"b": {Path: "b", Type: 'V'}}, nil},
		"a whiteout that hides nothing": {Edits{".wh.": newFile(t, ".wh.", "")}, errNotClean},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			x := mustScan(t, src)
			_, err := x.Apply(tt.edits)
			var edit *EditError
			if !errors.As(err, &edit) || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("Apply: %v, want an EditError: %v", err, tt.want)
			}
			if err := Rewrite(context.Background(), x, bytes.NewReader(src), io.Discard, tt.edits); !errors.As(err, &edit) {
				t.Errorf("Rewrite: %v", err)
			}
		})
	}
}

func TestEditsOfEntangledLinks(t *testing.T) {
	sparse := append(sparseArchives()["gnu"][:1024:1024], newArchive(t).link("l", "sparse").bytes()...)
	if _, err := mustScan(t, sparse).Apply(Edits{"sparse": nil}); !errors.Is(err, errSparseLinks) {
		t.Errorf("a sparse file with hard links: %v", err)
	}
	x := mustScan(t, newArchive(t).file("f", "old").symlink("s", "d").link("s/l", "f").bytes())
	if _, err := x.Apply(Edits{"f": nil}); !errors.Is(err, errEntangled) {
		t.Errorf("no heir can move: %v", err)
	}
	x = mustScan(t, newArchive(t).file("f", "old").link("l", "f").file("l", "over").link("k", "f").bytes())
	if _, err := x.Apply(Edits{"f": nil}); !errors.Is(err, errEntangled) {
		t.Errorf("the heir is overridden: %v", err)
	}
}

func TestAttributesAlone(t *testing.T) {
	src := newArchive(t).file("f", "content").file("g", "").bytes()
	x, err := Scan(context.Background(), bytes.NewReader(src), ScanOptions{}) // keeps no content
	if err != nil {
		t.Fatal(err)
	}
	e := x.Entries[0]
	e.Mode = 0o600
	var out bytes.Buffer
	if err := Rewrite(context.Background(), x, bytes.NewReader(src), &out, Edits{"f": &e, "b": newLink("b", "f")}); err != nil {
		t.Fatal(err)
	}
	y := mustScan(t, out.Bytes())
	f, err := y.Open(&y.Entries[0])
	if got := readAll(t, f, err); got != "content" || y.Entries[0].Mode != 0o600 {
		t.Errorf("mode %o, content %q", y.Entries[0].Mode, got)
	}
}

// An index that keeps no content knows MD5s, and so do those that are made of it, in memory and in the cache.
func TestMD5OfWhatIsNotKept(t *testing.T) {
	plain := newArchive(t).file("a", "content").link("b", "a").file("c", "more").bytes()
	s, l := openStore(t, t.TempDir(), StoreOptions{}), newBlob(gzipPack(t, plain), plain)
	if _, err := s.Index(context.Background(), l); err != nil {
		t.Fatal(err)
	}
	s.loaded = map[string]*Index{}
	x, err := s.Index(context.Background(), l)
	if err != nil || l.opened.Load() != 1 {
		t.Fatalf("not out of the cache: %v", err)
	}
	a, _ := x.Lookup("a")
	c, _ := x.Lookup("c")
	moded := *c
	moded.Mode = 0o600
	edited := moded.WithContent(c)
	if sum, err := edited.MD5(); sum != md5.Sum([]byte("more")) || err != nil {
		t.Errorf("MD5 of an edited entry: %x, %v", sum, err)
	}
	y, err := x.Apply(Edits{"a": nil, "c": edited}) // b takes over what a had
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range []*Index{x, y} {
		for j := range x.Entries {
			e := &x.Entries[j]
			target, err := x.Target(e)
			if err != nil {
				t.Fatal(err)
			}
			want := md5.Sum([]byte(map[string]string{"a": "content", "b": "content", "c": "more"}[target.Path]))
			if got, err := target.MD5(); got != want || err != nil || target.HasContent() {
				t.Errorf("index %d, %s: MD5 %x, want %x, error %v", i, e.Path, got, want, err)
			}
		}
	}
	link := *a
	w := &edit{entry: &link}
	w.link("c")
	if sum, err := w.entry.MD5(); sum != [md5.Size]byte{} || err != nil {
		t.Errorf("MD5 of a hard link: %x, %v", sum, err)
	}
}

func TestWithContent(t *testing.T) {
	header := Entry{Path: "a", Type: tar.TypeLink, Linkname: "x", Mode: 0o600, UID: 7, PAX: map[string]string{"k": "v"}}
	from := newFile(t, "b", "content")
	e := header.WithContent(from)
	want := Entry{Path: "a", Type: tar.TypeReg, Mode: 0o600, UID: 7, PAX: map[string]string{"k": "v"}, Size: 7, SHA256: from.SHA256}
	if d := cmp.Diff(want, *e, cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".content" }, cmp.Ignore()), cmp.AllowUnexported(Entry{})); d != "" {
		t.Error(d)
	}
	if !e.HasContent() || header.HasContent() {
		t.Error("HasContent")
	}
}

// lying is content that is not what its entry says.
type lying struct{ Content }

func (lying) Open() (File, error) { return Bytes([]byte("other")).Open() }

func TestRewriteChecksContent(t *testing.T) {
	src := newArchive(t).file("a", "a").bytes()
	e := newFile(t, "b", "right")
	e.content = lying{}
	x := mustScan(t, src)
	if err := Rewrite(context.Background(), x, bytes.NewReader(src), io.Discard, Edits{"b": e}); !errors.Is(err, errChanged) {
		t.Errorf("content that changed: %v", err)
	}
	other := newArchive(t).file("a", "aa").bytes()
	if err := Rewrite(context.Background(), x, bytes.NewReader(other), io.Discard, Edits{"a": nil}); !errors.Is(err, errMismatch) {
		t.Errorf("another archive: %v", err)
	}
	for _, other := range [][]byte{nil, newArchive(t).file("a", "a").file("b", "").bytes()} {
		if err := Rewrite(context.Background(), x, bytes.NewReader(other), io.Discard, Edits{"a": nil}); !errors.Is(err, errMismatch) {
			t.Errorf("an archive of another length: %v", err)
		}
	}
}

// Edits of an edited layer, planned before either is written, are the same as edits of the written one.
func TestApplyTwice(t *testing.T) {
	src := newArchive(t).dir("d").file("d/f", "f").link("d/l", "d/f").file("z", "z").bytes()
	first, second := Edits{"d/f": newFile(t, "d/f", "new"), "d/n": newFile(t, "d/n", "n")}, Edits{"d/l": nil, "d/o": newFile(t, "d/o", "o")}
	mid, _ := mustRewrite(t, src, first)
	_, want := mustRewrite(t, mid, second)
	x := mustScan(t, src)
	for _, edits := range []Edits{first, second} {
		var err error
		if x, err = x.Apply(edits); err != nil {
			t.Fatal(err)
		}
	}
	if d := diffIndex(want, x); d != "" {
		t.Error(d)
	}
}
