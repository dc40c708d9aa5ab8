package layer

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// The property: a rewritten layer is what Apply says, entry by entry; a runtime unpacks every path that was
// not edited to what it was, and every edited one to what the edit says; what is kept is kept byte by byte.
func TestRewriteIsWhatApplySays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src := drawArchive(t)
		x, err := Scan(context.Background(), bytes.NewReader(src), ScanOptions{Keep: KeepAll})
		if err != nil {
			t.Fatal(err)
		}
		edits := drawEdits(t, x)
		checkRewrite(t, src, x, edits)
	})
}

type tester interface {
	Helper()
	Fatalf(format string, args ...any)
}

func checkRewrite(t tester, src []byte, x *Index, edits Edits) {
	t.Helper()
	want, applyErr := x.Apply(edits)
	var buf bytes.Buffer
	err := Rewrite(context.Background(), x, bytes.NewReader(src), &buf, edits)
	if fmt.Sprint(err) != fmt.Sprint(applyErr) {
		t.Fatalf("Rewrite: %v, Apply: %v", err, applyErr)
	}
	if err != nil {
		return
	}
	out := buf.Bytes()
	got, err := Scan(context.Background(), bytes.NewReader(out), ScanOptions{Keep: KeepAll})
	if err != nil {
		t.Fatalf("scanning the rewritten archive: %v", err)
	}
	if d := diffIndex(want, got); d != "" {
		t.Fatalf("Apply and Scan of Rewrite differ (-Apply +Rewrite):\n%s", d)
	}
	checkKept(t, src, out, x, edits)
}

// checkKept compares the bytes of entries that stay, and the bytes behind the archive.
func checkKept(t tester, src, out []byte, x *Index, edits Edits) {
	t.Helper()
	sc, err := x.plan(edits)
	if err != nil {
		t.Fatalf("planning again: %v", err)
	}
	y := sc.index()
	for i, o := range sc.ops {
		if o.raw != nil {
			continue
		}
		a, b := &x.Entries[o.slot], &y.Entries[i]
		was, is := src[a.offset:min(a.offset+a.span(), int64(len(src)))], out[b.offset:b.offset+b.span()]
		if !bytes.HasPrefix(is, was) {
			t.Fatalf("bytes of unedited %s changed", a.Path)
		}
	}
	if !bytes.Equal(src[x.end:], out[y.end:]) {
		t.Fatalf("bytes behind the archive changed")
	}
}

func TestRewriteUnpacksAsEdited(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src := drawArchive(t)
		x, err := Scan(context.Background(), bytes.NewReader(src), ScanOptions{Keep: KeepAll})
		if err != nil {
			t.Fatal(err)
		}
		edits := drawEdits(t, x)
		var out bytes.Buffer
		if Rewrite(context.Background(), x, bytes.NewReader(src), &out, edits) != nil {
			return // the other property holds the error to that of Apply
		}
		before, err := unpack(src)
		if err != nil {
			t.Fatal(err)
		}
		after, err := unpack(out.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		checkUnedited(t, before, after, edits)
		checkEdited(t, x, before, after, edits)
	})
}

func checkUnedited(t *rapid.T, before, after map[string]*inode, edits Edits) {
	now := map[*inode]*inode{}
	for p, was := range before {
		if _, ok := edits[p]; ok || was.broken {
			continue
		}
		is, ok := after[p]
		if !ok {
			t.Fatalf("%s was not edited and is gone", p)
		}
		if d := cmp.Diff(was, is, cmpopts.IgnoreUnexported(inode{})); d != "" {
			t.Fatalf("%s was not edited and changed:\n%s", p, d)
		}
		if other, ok := now[was]; ok && other != is {
			t.Fatalf("%s is no longer hard-linked to what it was", p)
		}
		now[was] = is
	}
	for p := range after {
		if _, ok := edits[p]; !ok && before[p] == nil {
			t.Fatalf("%s was not edited and is new", p)
		}
	}
}

func checkEdited(t *rapid.T, x *Index, before, after map[string]*inode, edits Edits) {
	for p, e := range edits {
		is := after[p]
		switch {
		case e == nil && is != nil:
			t.Fatalf("%s was removed and is there", p)
		case e == nil:
		case is == nil:
			t.Fatalf("%s was put and is not there", p)
		case e.Type == tar.TypeLink:
			if is != after[e.Linkname] {
				t.Fatalf("%s is not hard-linked to %s", p, e.Linkname)
			}
		default:
			checkFile(t, x, e, is)
			if old, have := x.Lookup(p); have && e.same(old) {
				continue // no edit at all
			}
			for q, other := range after {
				if _, ok := edits[q]; !ok && other == is && !before[q].broken {
					t.Fatalf("%s, not edited, is hard-linked to the new %s", q, p)
				}
			}
		}
	}
}

func checkFile(t *rapid.T, x *Index, e *Entry, is *inode) {
	want := &inode{Type: e.Type, Mode: e.Mode, UID: e.UID, GID: e.GID, Time: e.ModTime, Xattrs: e.PAX["SCHILY.xattr.user.k"]}
	if e.Type == tar.TypeSymlink {
		want.Target = e.Linkname
	}
	if e.IsRegular() {
		c := e.content
		if c == nil { // keeps the bytes of the layer
			old, _ := x.Lookup(e.Path)
			c = old.content
		}
		f, err := c.Open()
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if _, err := f.(memoryFile).WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		want.Content = b.String()
	}
	if d := cmp.Diff(want, is, cmpopts.IgnoreUnexported(inode{})); d != "" {
		t.Fatalf("%s is not what was put there:\n%s", e.Path, d)
	}
}

var (
	dirNames  = []string{"d", "d/e", "d-x", "g", "ü", strings.Repeat("long", 30)}
	fileNames = []string{"a", "b", "c", ".wh.z", "\xff\xfe", "日", strings.Repeat("n", 120)}
)

func drawPath(t *rapid.T) string {
	p := rapid.SampledFrom(fileNames).Draw(t, "name")
	if rapid.IntRange(0, 3).Draw(t, "depth") == 0 {
		return p
	}
	return rapid.SampledFrom(dirNames).Draw(t, "dir") + "/" + p
}

func drawTime(t *rapid.T, ns bool) time.Time {
	s := rapid.SampledFrom([]int64{0, 1, 1700000000, 1 << 34}).Draw(t, "mtime")
	if ns && rapid.Bool().Draw(t, "nanoseconds") {
		return time.Unix(s, 123456789).UTC()
	}
	return time.Unix(s, 0).UTC()
}

// drawArchive makes archives of few names, so that entries meet: duplicates, links to links, to what comes
// later and to nothing.
func drawArchive(t *rapid.T) []byte {
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	for range rapid.IntRange(0, 14).Draw(t, "entries") {
		h := drawHeader(t)
		content := ""
		if h.Typeflag == tar.TypeReg {
			content = strings.Repeat("x", rapid.SampledFrom([]int{0, 1, 511, 512, 700}).Draw(t, "size")) + rapid.StringN(0, 5, -1).Draw(t, "content")
			h.Size = int64(len(content))
		}
		if err := tw.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Flush(); err != nil {
		t.Fatal(err)
	}
	switch rapid.IntRange(0, 3).Draw(t, "tail") {
	case 0:
	case 1:
		buf.Write(make([]byte, 1024))
	default:
		buf.Write(make([]byte, 1536))
		buf.WriteString("trailing")
	}
	return buf.Bytes()
}

func drawHeader(t *rapid.T) *tar.Header {
	h := &tar.Header{Format: tar.FormatGNU, Mode: int64(rapid.SampledFrom([]int{0o644, 0o4755}).Draw(t, "mode"))}
	if rapid.Bool().Draw(t, "pax") {
		h.Format = tar.FormatPAX
		if rapid.Bool().Draw(t, "xattr") {
			h.PAXRecords = map[string]string{"SCHILY.xattr.user.k": "v\x00w"}
		}
	}
	h.ModTime = drawTime(t, h.Format == tar.FormatPAX)
	h.Uid = rapid.SampledFrom([]int{0, 1000, 1 << 22}).Draw(t, "uid")
	h.Name = rapid.SampledFrom([]string{"", "./", "/"}).Draw(t, "prefix") + drawPath(t)
	switch rapid.IntRange(0, 9).Draw(t, "type") {
	case 0:
		h.Typeflag, h.Name = tar.TypeDir, rapid.SampledFrom(dirNames).Draw(t, "directory")+"/"
	case 1:
		h.Typeflag, h.Linkname = tar.TypeSymlink, "../somewhere"
	case 2, 3, 4:
		h.Typeflag, h.Linkname = tar.TypeLink, drawPath(t)
	case 5:
		return &tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": strings.Repeat("c", rapid.IntRange(0, 600).Draw(t, "comment"))}}
	case 6:
		h.Typeflag, h.Devmajor, h.Devminor = tar.TypeChar, 5, 1
	default:
		h.Typeflag = tar.TypeReg
	}
	return h
}

func drawEdits(t *rapid.T, x *Index) Edits {
	edits := Edits{}
	for range rapid.IntRange(0, 6).Draw(t, "edits") {
		p := drawPath(t)
		if len(x.Entries) > 0 && rapid.Bool().Draw(t, "existing") {
			p = x.Entries[rapid.IntRange(0, len(x.Entries)-1).Draw(t, "which")].Path
		}
		e := &Entry{
			Path: p, Type: tar.TypeReg, Mode: 0o755, ModTime: drawTime(t, true), PAX: map[string]string{"SCHILY.xattr.user.k": "v", "path": "stale"},
			UID: rapid.SampledFrom([]int{0, 1 << 22}).Draw(t, "owner"),
		}
		switch rapid.IntRange(0, 7).Draw(t, "edit") {
		case 0, 1:
			e = nil
		case 2:
			e.Type, e.Linkname = tar.TypeSymlink, "target"
		case 3, 4:
			e.Type, e.Linkname = tar.TypeLink, drawPath(t)
		case 5:
			if old, ok := x.Lookup(p); ok {
				c := *old
				c.Mode, c.content = 0o600, nil
				e = &c
				break
			}
			fallthrough
		default:
			var err error
			if e, err = NewFile(*e, Bytes([]byte(rapid.StringN(0, 600, -1).Draw(t, "new content")))); err != nil {
				t.Fatal(err)
			}
		}
		edits[p] = e
	}
	return edits
}
