package layer

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestScan(t *testing.T) {
	long := strings.Repeat("long/", 40) + "name"
	b := newArchive(t).
		add(tar.Header{Name: "/etc/", Typeflag: tar.TypeDir, Mode: 0o40755, Uname: "root", Gname: "root"}, "").
		file("./etc//passwd", "root:x:0:0").
		add(tar.Header{Name: long, Typeflag: tar.TypeReg, Format: tar.FormatGNU, Uid: 1 << 30}, "gnu").
		add(tar.Header{Name: long, Typeflag: tar.TypeReg, Format: tar.FormatPAX, ModTime: epoch.Add(5), PAXRecords: map[string]string{"SCHILY.xattr.security.capability": "\x01\x00"}}, "pax").
		link("bin/hard", "/etc/passwd").
		symlink("bin/sym", "/etc/../etc/passwd").
		add(tar.Header{Name: "dev/null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3, Mode: 0o666}, "").
		add(tar.Header{Name: "run/fifo", Typeflag: tar.TypeFifo}, "").
		add(tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "ignored"}}, "").
		add(tar.Header{Name: "seven", Typeflag: tar.TypeCont}, "contiguous").
		file("\xff\xfe", "no text").
		dir(".").
		bytes()
	x := mustScan(t, append(b, "behind the end"...))
	file := func(p, content string) Entry {
		return Entry{
			Path: p, Type: tar.TypeReg, Mode: 0o644, ModTime: epoch, Size: int64(len(content)),
			SHA256: sha256.Sum256([]byte(content)),
		}
	}
	with := func(e Entry, change func(e *Entry)) Entry { change(&e); return e }
	want := []Entry{
		{Path: "etc", Type: tar.TypeDir, Mode: 0o755, ModTime: epoch, Uname: "root", Gname: "root"},
		file("etc/passwd", "root:x:0:0"),
		with(file(long, "gnu"), func(e *Entry) { e.UID = 1 << 30 }),
		with(file(long, "pax"), func(e *Entry) {
			e.ModTime = epoch.Add(5)
			e.PAX = map[string]string{"path": long, "mtime": "1700000000.000000005", "SCHILY.xattr.security.capability": "\x01\x00"}
		}),
		{Path: "bin/hard", Type: tar.TypeLink, Linkname: "etc/passwd", Mode: 0o644, ModTime: epoch},
		{Path: "bin/sym", Type: tar.TypeSymlink, Linkname: "/etc/../etc/passwd", Mode: 0o777, ModTime: epoch},
		{Path: "dev/null", Type: tar.TypeChar, Devmajor: 1, Devminor: 3, Mode: 0o666, ModTime: epoch},
		{Path: "run/fifo", Type: tar.TypeFifo, Mode: 0o644, ModTime: epoch},
		file("seven", "contiguous"),
		with(file("\xff\xfe", "no text"), func(e *Entry) { e.PAX = map[string]string{"path": "\xff\xfe"} }),
		{Path: ".", Type: tar.TypeDir, Mode: 0o755, ModTime: epoch},
	}
	if d := cmp.Diff(want, x.Entries, cmpopts.IgnoreUnexported(Entry{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if x.Size != int64(len(b))+14 {
		t.Errorf("Size %d, want %d", x.Size, len(b)+14)
	}
	for p, want := range map[string]string{"bin/hard": "root:x:0:0", long: "pax"} {
		e, ok := x.Lookup(p)
		if !ok {
			t.Fatalf("no %s", p)
		}
		f, err := x.Open(e)
		if got := readAll(t, f, err); got != want {
			t.Errorf("content of %s: %q, want %q", p, got, want)
		}
	}
	f, err := x.Open(&x.Entries[2]) // not the effective one
	if got := readAll(t, f, err); got != "gnu" {
		t.Errorf("content of the overridden entry: %q", got)
	}
}

// The MD5 of a file is the same whether its content was kept or not.
func TestMD5(t *testing.T) {
	contents := map[string]string{"etc": "", "a.bin": "content", "a.txt": "kept", "empty": "", "large.txt": strings.Repeat("x", 1<<20), "sym": ""}
	b := newArchive(t).dir("etc").file("a.bin", contents["a.bin"]).file("a.txt", contents["a.txt"]).file("empty", "").
		file("large.txt", contents["large.txt"]).symlink("sym", "a.txt").bytes()
	for name, keep := range map[string]Keep{"nothing": nil, "some": keepTxt, "all": KeepAll} {
		x, err := Scan(context.Background(), bytes.NewReader(b), ScanOptions{Keep: keep})
		if err != nil {
			t.Fatal(err)
		}
		for i := range x.Entries {
			e := &x.Entries[i]
			var want [md5.Size]byte
			if e.IsRegular() {
				want = md5.Sum([]byte(contents[e.Path]))
			}
			if got, err := e.MD5(); got != want || err != nil {
				t.Errorf("%s kept: MD5 of %s is %x, want %x; %v", name, e.Path, got, want, err)
			}
		}
	}
	if _, err := (&Entry{Path: "a", Type: tar.TypeReg, Size: 7, SHA256: sha256.Sum256([]byte("content"))}).MD5(); !errors.Is(err, ErrNotKept) {
		t.Errorf("the MD5 of an entry without content: %v", err)
	}
	broken := Entry{Path: "a", Type: tar.TypeReg, Size: 7, content: &section{p: &pack{path: filepath.Join(t.TempDir(), "gone")}, n: 7}}
	if _, err := broken.MD5(); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "content of a") {
		t.Errorf("the MD5 of content that cannot be read: %v", err)
	}
}

func TestHardLinksMeanWhatTheyMeantWhenUnpacked(t *testing.T) {
	x := mustScan(t, newArchive(t).
		link("early", "a").file("a", "old").link("b", "a").link("c", "b").file("a", "new").link("d", "a").bytes())
	for i, want := range []string{1: "old", 2: "old", 3: "old", 4: "new", 5: "new"} {
		f, err := x.Open(&x.Entries[i])
		if i == 0 {
			if !errors.Is(err, ErrLinkTarget) {
				t.Errorf("a hard link before its target: %v", err)
			}
			continue
		}
		if got := readAll(t, f, err); got != want {
			t.Errorf("entry %d: %q, want %q", i, got, want)
		}
	}
}

// header makes one raw header block.
func header(name string, typ byte, size int64, change func(b []byte)) []byte {
	b := make([]byte, blockSize)
	copy(b, name)
	copy(b[100:], "0000644\x000000000\x000000000\x00")
	copy(b[124:], fmt.Sprintf("%011o\x00%011o\x00", size, 0))
	b[156] = typ
	copy(b[257:], "ustar\x0000")
	if change != nil {
		change(b)
	}
	sum(b)
	return b
}

// sum writes the checksum of a header block.
func sum(b []byte) {
	copy(b[148:], "        ")
	n := 0
	for _, c := range b {
		n += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", n))
}

func padded(s string) []byte {
	b := make([]byte, aligned(int64(len(s))))
	copy(b, s)
	return b
}

func record(k, v string) string {
	n := len(k) + len(v) + 3
	for len(fmt.Sprint(n))+len(k)+len(v)+3 != n {
		n = len(fmt.Sprint(n)) + len(k) + len(v) + 3
	}
	return fmt.Sprintf("%d %s=%s\n", n, k, v)
}

func TestScanOldTypes(t *testing.T) {
	b := bytes.Join([][]byte{
		header("file", tar.TypeRegA, 2, nil), padded("hi"), //nolint:staticcheck // the type is what is tested
		header("dir/", tar.TypeRegA, 0, func(b []byte) { clear(b[257:265]) }), //nolint:staticcheck // see above
		header("link-with-size", tar.TypeSymlink, 999, func(b []byte) { copy(b[157:], "file") }),
		header("huge-uid", tar.TypeReg, 0, func(b []byte) { clear(b[108:116]); b[108] = 0x80; binary.BigEndian.PutUint32(b[112:], 1<<31) }),
	}, nil)
	x := mustScan(t, b)
	var got []string
	for _, e := range x.Entries {
		got = append(got, fmt.Sprintf("%s %c %d %d", e.Path, e.Type, e.Size, e.UID))
	}
	if d := cmp.Diff([]string{"file 0 2 0", "dir 5 0 0", "link-with-size 2 0 0", "huge-uid 0 0 2147483648"}, got); d != "" {
		t.Error(d)
	}
}

// sparseArchives are files of 10 GiB of which 512 bytes are data, in every format there is, and a file behind.
func sparseArchives() map[string][]byte {
	const size = 10 << 30
	data := bytes.Repeat([]byte("d"), 512)
	behind := append(header("behind", tar.TypeReg, 2, nil), padded("hi")...)
	pax := func(records ...string) []byte {
		s := strings.Join(records, "")
		return append(header("x", tar.TypeXHeader, int64(len(s)), nil), padded(s)...)
	}
	gnu := func(extended byte) []byte {
		return header("sparse", tar.TypeGNUSparse, 512, func(b []byte) {
			copy(b[257:], "ustar  \x00")
			copy(b[386:], fmt.Sprintf("%011o\x00%011o\x00", size-512, 512))
			b[482] = extended
			binary.BigEndian.PutUint64(b[487:], size)
			b[483] = 0x80
		})
	}
	version := func(major, minor string) string {
		return record("GNU.sparse.major", major) + record("GNU.sparse.minor", minor) + record("GNU.sparse.name", "sparse")
	}
	return map[string][]byte{
		"gnu":          bytes.Join([][]byte{gnu(0), data, behind}, nil),
		"gnu extended": bytes.Join([][]byte{gnu(1), make([]byte, blockSize), data, behind}, nil),
		"gnu, long name": bytes.Join([][]byte{
			header("././@LongLink", tar.TypeGNULongName, 7, func(b []byte) { copy(b[257:], "ustar  \x00") }), padded("sparse\x00"), gnu(0), data, behind,
		}, nil),
		"pax 0.0": bytes.Join([][]byte{
			pax(record("path", "sparse"), record("GNU.sparse.size", fmt.Sprint(size)), record("GNU.sparse.numblocks", "1"),
				record("GNU.sparse.offset", fmt.Sprint(size-512)), record("GNU.sparse.numbytes", "512")),
			header("x", tar.TypeReg, 512, nil), data, behind,
		}, nil),
		"pax 0.1": bytes.Join([][]byte{
			pax(record("GNU.sparse.name", "sparse"), record("GNU.sparse.size", fmt.Sprint(size)), record("GNU.sparse.numblocks", "1"),
				record("GNU.sparse.map", fmt.Sprintf("%d,512", size-512))),
			header("x", tar.TypeReg, 512, nil), data, behind,
		}, nil),
		"pax 1.0": bytes.Join([][]byte{
			pax(version("1", "0"), record("GNU.sparse.realsize", fmt.Sprint(size)), record("size", "1024")),
			header("x", tar.TypeReg, 0, nil), padded(fmt.Sprintf("1\n%d\n512\n", size-512)), data, behind,
		}, nil),
	}
}

func TestNumeric(t *testing.T) {
	for _, tt := range []struct {
		field string
		want  int64
	}{
		{"00000000017\x00", 15},
		{"       17 \x00\x00", 15},
		{strings.Repeat("\x00", 12), 0},
		{"\x80" + strings.Repeat("\x00", 5) + "\x02\x80\x00\x00\x00\x00", 0x28000000000},
		{"\x80" + strings.Repeat("\x00", 2) + "\x01" + strings.Repeat("\x00", 8), -1}, // 2^64
		{"\xff" + strings.Repeat("\xff", 11), -1},                                     // negative
		{"0000000009\x00\x00", -1},
	} {
		got, err := numeric([]byte(tt.field))
		if err != nil {
			got = -1
		}
		if got != tt.want {
			t.Errorf("%q: %d, %v, want %d", tt.field, got, err, tt.want)
		}
	}
}

func TestScanSparse(t *testing.T) {
	for name, b := range sparseArchives() {
		t.Run(name, func(t *testing.T) {
			soon, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			defer cancel()
			x, err := Scan(soon, bytes.NewReader(b), ScanOptions{Keep: KeepAll})
			if err != nil {
				t.Fatal(err) // late: the holes were expanded
			}
			if len(x.Entries) != 2 {
				t.Fatalf("entries %q", paths(x))
			}
			e := x.Entries[0]
			if e.Path != "sparse" || !e.Sparse || !e.IsRegular() || e.Size != 10<<30 || e.SHA256 != [32]byte{} {
				t.Errorf("%s %c, sparse %t, size %d, digest %x", e.Path, e.Type, e.Sparse, e.Size, e.SHA256)
			}
			if _, err := x.Open(&e); !errors.Is(err, ErrNotKept) {
				t.Errorf("opening it: %v", err)
			}
			kept, _ := mustRewrite(t, b, Edits{"new": newFile(t, "new", "new")})
			if !bytes.Contains(kept, b[:e.span()]) {
				t.Error("a sparse file that stays is not copied byte by byte")
			}
			_, y := mustRewrite(t, b, Edits{"sparse": newFile(t, "sparse", "dense")})
			if d := cmp.Diff([]string{"sparse", "behind"}, paths(y)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestScanRejects(t *testing.T) {
	one := func(name string) []byte { return header(name, tar.TypeReg, 0, nil) }
	small := Limits{Size: 20 << 10, Entries: 2, Path: 50, Header: 2048, Names: 100, Kept: 600}
	long := strings.Repeat("n", 60)
	tests := map[string]struct {
		b    []byte
		want string
	}{
		"climbs out":           {one("a/../../b"), `".."`},
		"climbs within":        {one("a/../b"), `".."`},
		"is the parent":        {one(".."), `".."`},
		"link climbs out":      {header("l", tar.TypeLink, 0, func(b []byte) { copy(b[157:], "../x") }), `".."`},
		"a file as root":       {one("./"), "root"},
		"hides nothing":        {one("d/.wh."), "whiteout"},
		"hides its directory":  {one("d/.wh.."), "whiteout"},
		"hides its parent":     {one("d/.wh..."), "whiteout"},
		"unknown type":         {header("v", 'V', 0, nil), "type"},
		"negative uid":         {header("n", tar.TypeReg, 0, func(b []byte) { copy(b[108:], "\xff\xff\xff\xff\xff\xff\xff\xfe") }), "out of range"},
		"too many entries":     {bytes.Join([][]byte{one("a"), one("b"), one("c")}, nil), "more than 2 entries"},
		"a long path":          {one(long), "longer than 50"},
		"a long symlink":       {header("s", tar.TypeSymlink, 0, func(b []byte) { copy(b[157:], long) }), "longer than 50"},
		"long headers":         {append(header("x", tar.TypeXHeader, 4096, nil), make([]byte, 4096)...), "longer than 2048"},
		"endless headers":      {bytes.Repeat(append(header("x", tar.TypeXHeader, 512, nil), padded(record("k", strings.Repeat("v", 505)))...), 9), "longer than 2048"},
		"many names":           {bytes.Join([][]byte{one(long[:49]), header("s", tar.TypeSymlink, 0, func(b []byte) { copy(b[157:], long[:50]) }), one("c")}, nil), "more than 100 bytes"},
		"much content":         {append(header("big", tar.TypeReg, 1024, nil), make([]byte, 1024)...), "more than 600 bytes"},
		"a huge file":          {header("huge", tar.TypeReg, 1<<30, nil), "more than 20480 bytes"},
		"a long end":           {append(one("a"), make([]byte, 20<<10)...), "more than 20480 bytes"},
		"a wrong checksum":     {bytes.Replace(one("a"), []byte("0000644"), []byte("0000645"), 1), "invalid tar header"},
		"a cut header":         {one("a")[:300], "cut off"},
		"cut content":          {append(header("a", tar.TypeReg, 1024, nil), 1, 2, 3), "cut off"},
		"a cut PAX header":     {header("x", tar.TypeXHeader, 100, nil), "cut off"},
		"one zero block":       {bytes.Join([][]byte{one("a"), make([]byte, 512), one("b")}, nil), "invalid tar header"},
		"a bad PAX record":     {append(header("x", tar.TypeXHeader, 4, nil), padded("9 a=")...), "invalid tar header"},
		"sparse data too long": {bytes.Replace(sparseArchives()["pax 1.0"], []byte("size=1024"), []byte("size=0001"), 1), "cut off"},
		"no tar at all":        {bytes.Repeat([]byte("text "), 200), "invalid tar header"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			l := digestOf(nil)
			_, err := Scan(context.Background(), bytes.NewReader(tt.b), ScanOptions{Keep: KeepAll, Limits: small, Layer: l})
			var f *FormatError
			if !errors.As(err, &f) || !strings.Contains(err.Error(), tt.want) || f.Layer != l {
				t.Errorf("error %v, want a FormatError about %q", err, tt.want)
			}
		})
	}
}

func TestScanPassesErrorsOn(t *testing.T) {
	b := sample(t)
	boom := errors.New("boom")
	for n := 0; n < len(b); n += 100 {
		_, err := Scan(context.Background(), &failing{b[:n], boom}, ScanOptions{})
		if f := (*FormatError)(nil); !errors.Is(err, boom) || errors.As(err, &f) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Scan(ctx, bytes.NewReader(b), ScanOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("after its context's end: %v", err)
	}
}

func TestScanMissingPadding(t *testing.T) {
	b := append(header("a", tar.TypeReg, 3, nil), "abc"...) // archive/tar takes this for complete
	if _, err := io.Copy(io.Discard, tar.NewReader(bytes.NewReader(b))); err != nil {
		t.Fatal(err)
	}
	x := mustScan(t, b)
	if len(x.Entries) != 1 || x.Size != 515 {
		t.Errorf("%d entries, Size %d", len(x.Entries), x.Size)
	}
	_, y := mustRewrite(t, b, Edits{"b": newFile(t, "b", "b")})
	if d := cmp.Diff([]string{"a", "b"}, paths(y)); d != "" {
		t.Error(d)
	}
}

func TestKeepSeesTheHead(t *testing.T) {
	content := strings.Repeat("x", 1000)
	heads := map[string]int{}
	_, err := Scan(context.Background(), bytes.NewReader(newArchive(t).dir("d").file("d/long", content).file("short", "abc").file("empty", "").link("l", "short").bytes()),
		ScanOptions{Keep: func(e *Entry, head []byte) bool { heads[e.Path] = len(head); return false }})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]int{"d/long": 512, "short": 3, "empty": 0}, heads); d != "" {
		t.Error(d)
	}
}

func TestWhiteout(t *testing.T) {
	tests := []struct {
		path, hidden string
		opaque, ok   bool
	}{
		{"a/.wh.b", "a/b", false, true},
		{".wh.b", "b", false, true},
		{"a/.wh..wh..opq", "a", true, true},
		{".wh..wh..opq", ".", true, true},
		{".wh..wh.plnk", "", false, false},
		{"a/wh.b", "", false, false},
	}
	for _, tt := range tests {
		hidden, opaque, ok := (&Entry{Path: tt.path}).Whiteout()
		if hidden != tt.hidden || opaque != tt.opaque || ok != tt.ok {
			t.Errorf("%s: %q, %t, %t", tt.path, hidden, opaque, ok)
		}
		if ok && !opaque && WhiteoutPath(hidden) != tt.path {
			t.Errorf("WhiteoutPath(%q) = %q", hidden, WhiteoutPath(hidden))
		}
	}
}
