package layer

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

// epoch is the time of test entries.
var epoch = time.Unix(1700000000, 0).UTC()

// archive writes a tar archive. Entries without format are written as archive/tar likes; content fills Size.
type archive struct {
	t   testing.TB
	buf bytes.Buffer
	tw  *tar.Writer
}

func newArchive(t testing.TB) *archive {
	a := &archive{t: t}
	a.tw = tar.NewWriter(&a.buf)
	return a
}

func (a *archive) add(h tar.Header, content string) *archive {
	a.t.Helper()
	h.Size = int64(len(content))
	if h.Typeflag != tar.TypeXGlobalHeader {
		h.Mode = cmp.Or(h.Mode, 0o644)
		h.ModTime = cmp.Or(h.ModTime, epoch)
	}
	if err := a.tw.WriteHeader(&h); err != nil {
		a.t.Fatal(err)
	}
	if _, err := io.WriteString(a.tw, content); err != nil {
		a.t.Fatal(err)
	}
	return a
}

func (a *archive) file(name, content string) *archive {
	return a.add(tar.Header{Name: name, Typeflag: tar.TypeReg}, content)
}

func (a *archive) dir(name string) *archive {
	return a.add(tar.Header{Name: name + "/", Typeflag: tar.TypeDir, Mode: 0o755}, "")
}

func (a *archive) link(name, target string) *archive {
	return a.add(tar.Header{Name: name, Typeflag: tar.TypeLink, Linkname: target}, "")
}

func (a *archive) symlink(name, target string) *archive {
	return a.add(tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: target, Mode: 0o777}, "")
}

func (a *archive) bytes() []byte {
	a.t.Helper()
	if err := a.tw.Close(); err != nil {
		a.t.Fatal(err)
	}
	return a.buf.Bytes()
}

func mustScan(t testing.TB, b []byte) *Index {
	t.Helper()
	x, err := Scan(context.Background(), bytes.NewReader(b), ScanOptions{Keep: KeepAll})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// newFile is a regular file to put into a layer.
func newFile(t testing.TB, p, content string) *Entry {
	t.Helper()
	e, err := NewFile(Entry{Path: p, Mode: 0o644, ModTime: epoch}, Bytes([]byte(content)))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func newLink(p, target string) *Entry {
	return &Entry{Path: p, Type: tar.TypeLink, Linkname: target, Mode: 0o644, ModTime: epoch}
}

// rewritten applies edits to an archive and checks the result against Apply before it returns it.
func mustRewrite(t testing.TB, src []byte, edits Edits) ([]byte, *Index) {
	t.Helper()
	x := mustScan(t, src)
	want, err := x.Apply(edits)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Rewrite(context.Background(), x, bytes.NewReader(src), &out, edits); err != nil {
		t.Fatal(err)
	}
	got := mustScan(t, out.Bytes())
	if d := diffIndex(want, got); d != "" {
		t.Fatalf("Apply and Scan of Rewrite differ (-Apply +Rewrite):\n%s", d)
	}
	return out.Bytes(), got
}

// diffIndex compares all that two indexes know, content at hand included.
func diffIndex(want, got *Index) string {
	type sizes struct{ Size, End int64 }
	if d := gocmp.Diff(sizes{want.Size, want.end}, sizes{got.Size, got.end}); d != "" {
		return d
	}
	if len(want.Entries) != len(got.Entries) {
		return fmt.Sprintf("%d entries, %d entries\n%s", len(want.Entries), len(got.Entries), gocmp.Diff(paths(want), paths(got)))
	}
	for i := range want.Entries {
		if d := diffEntry(&want.Entries[i], &got.Entries[i]); d != "" {
			return fmt.Sprintf("entry %d, %s:\n%s", i, want.Entries[i].Path, d)
		}
	}
	return ""
}

func diffEntry(want, got *Entry) string {
	content := func(e *Entry) string {
		if e.content == nil {
			return ""
		}
		f, err := e.content.Open()
		if err != nil {
			return err.Error()
		}
		defer f.Close()
		b, err := io.ReadAll(f)
		if err != nil {
			return err.Error()
		}
		return string(b)
	}
	a, b := *want, *got
	a.content, b.content = nil, nil
	if d := gocmp.Diff(a, b, gocmp.AllowUnexported(Entry{})); d != "" {
		return d
	}
	return gocmp.Diff(content(want), content(got))
}

func paths(x *Index) []string {
	s := make([]string, len(x.Entries))
	for i := range x.Entries {
		if s[i] = x.Entries[i].Path; x.Entries[i].Type == tar.TypeLink {
			s[i] += " -> " + x.Entries[i].Linkname
		}
	}
	return s
}

// inode is a file as a runtime unpacks it.
type inode struct {
	Type     byte
	Mode     int64
	UID, GID int
	Time     time.Time
	Content  string
	Target   string // of a symbolic link
	Xattrs   string
	broken   bool // a hard link to nothing
}

// unpack is a small model of how runtimes unpack a layer. It reads with archive/tar alone.
func unpack(b []byte) (map[string]*inode, error) {
	tree := map[string]*inode{}
	tr := tar.NewReader(bytes.NewReader(b))
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return tree, nil
		}
		if err != nil {
			return nil, err
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
		if h.Typeflag == tar.TypeLink {
			t, ok := tree[strings.TrimPrefix(path.Clean("/"+h.Linkname), "/")]
			if !ok {
				t = &inode{Type: tar.TypeLink, broken: true}
			}
			tree[name] = t
			continue
		}
		content, err := io.ReadAll(tr)
		if err != nil {
			return nil, err
		}
		n := &inode{Type: h.Typeflag, Mode: h.Mode, UID: h.Uid, GID: h.Gid, Time: h.ModTime.UTC(), Content: string(content)}
		if h.Typeflag == tar.TypeSymlink {
			n.Target = h.Linkname
		}
		n.Xattrs = h.PAXRecords["SCHILY.xattr.user.k"]
		tree[name] = n
	}
}
