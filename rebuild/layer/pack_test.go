package layer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"
)

var errDisk = errors.New("the disk fails")

// failingAt reads b until a place at which it fails, if that is in b.
type failingAt struct {
	b    []byte
	at   int64
	asks int
}

func (f *failingAt) ReadAt(p []byte, off int64) (int, error) {
	f.asks++
	end := min(off+int64(len(p)), int64(len(f.b)))
	switch {
	case off >= f.at:
		return 0, errDisk
	case end > f.at:
		return copy(p, f.b[off:f.at]), errDisk
	}
	return bytes.NewReader(f.b).ReadAt(p, off)
}

// Reading in pages gives the same bytes and errors as reading what was asked for, also again after it was released.
func TestPaged(t *testing.T) {
	content := make([]byte, 3*pageSize+100)
	for i := range content {
		content[i] = byte(i) ^ byte(i>>8)
	}
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(0, len(content)).Draw(t, "size")
		plain := failingAt{b: content[:size], at: rapid.Int64Range(0, 5*pageSize).Draw(t, "fails at")}
		below := plain
		read := &paged{r: &below}
		for range rapid.IntRange(1, 20).Draw(t, "reads") {
			off := rapid.Int64Range(0, int64(size)+10).Draw(t, "offset")
			n := rapid.OneOf(rapid.IntRange(1, 64), rapid.IntRange(1, 2*pageSize)).Draw(t, "length")
			want, got := make([]byte, n), make([]byte, n)
			wantN, wantErr := plain.ReadAt(want, off)
			gotN, gotErr := read.ReadAt(got, off)
			if gotN != wantN || !errors.Is(gotErr, wantErr) || !bytes.Equal(got[:gotN], want[:wantN]) {
				t.Fatalf("%d bytes at %d: %d, %v; want %d, %v", n, off, gotN, gotErr, wantN, wantErr)
			}
			if rapid.IntRange(0, 9).Draw(t, "release") == 0 {
				read.release()
			}
		}
	})
}

// Several may read at once (io.ReaderAt).
func TestPagedConcurrency(t *testing.T) {
	content := make([]byte, 4*pageSize)
	for i := range content {
		content[i] = byte(i / 64)
	}
	read := &paged{r: bytes.NewReader(content)}
	var group errgroup.Group
	for g := range 4 {
		group.Go(func() error {
			b := make([]byte, 64)
			for i := range len(content) / 64 {
				off := (i*7 + g*64) * 64 % len(content)
				if n, err := read.ReadAt(b, int64(off)); n != 64 || err != nil || !bytes.Equal(b, content[off:off+64]) {
					return fmt.Errorf("%d bytes at %d: %x, %w", n, off, b, err)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}

// A page that was given back is no longer read into.
func TestPagedRelease(t *testing.T) {
	content := bytes.Repeat([]byte{'a'}, 2*pageSize)
	copy(content[pageSize:], bytes.Repeat([]byte{'b'}, pageSize))
	one, other := &paged{r: bytes.NewReader(content)}, &paged{r: bytes.NewReader(content)}
	var b [1]byte
	for _, read := range []struct {
		from *paged
		off  int64
		want byte
	}{{one, 0, 'a'}, {other, 0, 'a'}, {one, pageSize, 'b'}, {other, 0, 'a'}} {
		if n, err := read.from.ReadAt(b[:], read.off); n != 1 || err != nil || b[0] != read.want {
			t.Fatalf("%d bytes at %d: %q, %v", n, read.off, b, err)
		}
		if read.from == one {
			one.release()
		}
	}
}

// A file of a pack is read in pages, and gives its page back once.
func TestSectionsOfPages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pack")
	if err := os.WriteFile(path, []byte("some content"), 0o600); err != nil {
		t.Fatal(err)
	}
	opened, err := (&section{&pack{path: path}, 5, 7}).Open()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 3)
	f := opened.(*sectionFile)
	if _, err := f.ReadAt(b, 0); err != nil || string(b) != "con" || f.read.page == nil {
		t.Errorf("%q, %v; in a page: %v", b, err, f.read.page != nil)
	}
	for range 2 {
		if err := f.Close(); err != nil || f.read.page != nil {
			t.Errorf("closed: %v; its page is kept: %v", err, f.read.page != nil)
		}
	}
}

// Headers that stand together cost one read.
func TestPagedReadsAhead(t *testing.T) {
	below := failingAt{b: make([]byte, 4*pageSize), at: 4 * pageSize}
	read := &paged{r: &below}
	headers := io.NewSectionReader(read, pageSize/2, pageSize)
	for range pageSize / 64 {
		if _, err := io.ReadFull(headers, make([]byte, 64)); err != nil {
			t.Fatal(err)
		}
	}
	if below.asks != 1 {
		t.Errorf("%d reads of a page", below.asks)
	}
}
