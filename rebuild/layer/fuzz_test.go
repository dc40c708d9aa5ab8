package layer

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzScan feeds anything to Scan. What it takes has to be what archive/tar reads in it, and has to survive
// edits: the rewritten archive is what Apply says.
func FuzzScan(f *testing.F) {
	f.Add(sample(f), uint64(1))
	f.Add(append(sample(f), "trailing"...), uint64(2))
	for _, b := range sparseArchives() {
		f.Add(b, uint64(3))
	}
	f.Add(newArchive(f).
		add(tar.Header{Name: strings.Repeat("long/", 40), Typeflag: tar.TypeDir, Format: tar.FormatGNU}, "").
		add(tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "c"}}, "").
		add(tar.Header{Name: "x", Typeflag: tar.TypeReg, Format: tar.FormatPAX, ModTime: epoch.Add(1), PAXRecords: map[string]string{"SCHILY.xattr.a": "b"}}, "c").
		link("l", "x").link("k", "l").file("x", "again").link("m", "x").bytes(), uint64(4))
	f.Add([]byte{}, uint64(5))
	limits := Limits{Entries: 1000, Names: 1 << 20, Kept: 1 << 20}
	f.Fuzz(func(t *testing.T, src []byte, seed uint64) {
		if seed%2 == 1 {
			src = repair(src)
		}
		x, err := Scan(context.Background(), bytes.NewReader(src), ScanOptions{Keep: KeepAll, Limits: limits})
		if err != nil {
			if e := (*FormatError)(nil); !errors.As(err, &e) {
				t.Fatalf("an error that is no FormatError: %v", err)
			}
			return
		}
		checkFrames(t, src, x)
		checkRewrite(t, src, x, randomEdits(t, rand.New(rand.NewPCG(seed, 0)), x))
	})
}

// repair gives every block that looks like a header its checksum, so that more of what is mutated is read.
func repair(src []byte) []byte {
	src = bytes.Clone(src)
	for b := src; len(b) >= blockSize; b = b[blockSize:] {
		if bytes.HasPrefix(b[257:], []byte("ustar")) {
			sum(b[:blockSize])
		}
	}
	return src
}

// checkFrames reads the archive with archive/tar alone, from header to header.
func checkFrames(t *testing.T, src []byte, x *Index) {
	t.Helper()
	tr := tar.NewReader(bytes.NewReader(src))
	var want, got []string
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("archive/tar does not read what Scan took: %v", err)
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		p, err := cleanPath(h.Name, maxPath)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, p)
	}
	for i := range x.Entries {
		got = append(got, x.Entries[i].Path)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("entries (-archive/tar +Scan):\n%s", d)
	}
}

func randomEdits(t *testing.T, rnd *rand.Rand, x *Index) Edits {
	pick := func() string {
		if len(x.Entries) == 0 || rnd.IntN(4) == 0 {
			return []string{"new", "a/new", "d/e/new"}[rnd.IntN(3)]
		}
		return x.Entries[rnd.IntN(len(x.Entries))].Path
	}
	edits := Edits{}
	for range rnd.IntN(5) {
		p := pick()
		switch rnd.IntN(4) {
		case 0:
			edits[p] = nil
		case 1:
			edits[p] = newLink(p, pick())
		case 2:
			edits[p] = &Entry{Path: p, Type: tar.TypeDir, Mode: 0o755, ModTime: epoch}
		default:
			edits[p] = newFile(t, p, strings.Repeat("n", rnd.IntN(600)))
		}
	}
	return edits
}
