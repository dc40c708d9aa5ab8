package layer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An image may pair its own blob with the diffID of a layer that is cached. The pair is refused with and without
// a cache, and so is a size that is not the blob's.
func TestStoreCacheDoesNotVouchForOtherBlobs(t *testing.T) {
	ctx, benign := context.Background(), sample(t)
	malicious := newArchive(t).file("etc/a.txt", "evil").bytes()
	liars := map[string]func() *blob{
		"another blob": func() *blob {
			l := newBlob(gzipPack(t, malicious), malicious)
			l.diffID = digestOf(benign)
			return l
		},
		"another size": func() *blob {
			l := newBlob(gzipPack(t, benign), benign)
			l.size++
			return l
		},
	}
	for name, liar := range liars {
		t.Run(name, func(t *testing.T) {
			dir, opts := t.TempDir(), StoreOptions{Keep: KeepAll, KeepID: "all"}
			for _, cache := range []string{"cold", "warm", "warm in memory"} {
				s := openStore(t, dir, opts)
				if cache == "warm in memory" {
					if _, err := s.Index(ctx, newBlob(gzipPack(t, benign), benign)); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := s.Index(ctx, liar()); !errors.Is(err, ErrDigest) {
					t.Errorf("%s cache: %v, want a DigestError", cache, err)
				}
				if _, err := s.Index(ctx, newBlob(gzipPack(t, benign), benign)); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestStoreIsClosedToOthers(t *testing.T) {
	parent := t.TempDir()
	own := filepath.Join(parent, "cache", "layers")
	openStore(t, mkdir(t, filepath.Join(parent, "there"), 0o700), StoreOptions{})
	s, err := OpenStore(own, StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, d := range []string{own, s.dir, s.run} {
		if info, err := os.Stat(d); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", d, info.Mode(), err)
		}
	}
	link := filepath.Join(parent, "link")
	if err := os.Symlink(own, link); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct{ dir, want string }{
		"group may write":  {mkdir(t, filepath.Join(parent, "group"), 0o770), "run chmod go-w " + filepath.Join(parent, "group")},
		"others may write": {mkdir(t, filepath.Join(parent, "all"), 0o777|os.ModeSticky), "run chmod go-w"},
		"a symbolic link":  {link, "not a directory"},
	}
	inside := filepath.Join(parent, "inside")
	mkdir(t, filepath.Join(inside, "index"), 0o770)
	tests["its index"] = struct{ dir, want string }{inside, "run chmod go-w " + filepath.Join(inside, "index")}
	if os.Geteuid() == 0 {
		stolen := mkdir(t, filepath.Join(parent, "stolen"), 0o700)
		if err := os.Chown(stolen, 12345, 12345); err != nil {
			t.Fatal(err)
		}
		tests["another's"] = struct{ dir, want string }{stolen, "another user, 12345"}
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := OpenStore(tt.dir, StoreOptions{})
			if err == nil {
				s.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

func mkdir(t *testing.T, dir string, mode os.FileMode) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, mode); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A frame that is not a single segment has its window in one byte, as a power of two and eighths of it (RFC 8878,
// section 3.1.1.1.2); a single segment's is its content size.
func TestZstdWindow(t *testing.T) {
	lastBlock := "\x19\x00\x00abc" // raw, three bytes
	tests := map[string]struct {
		frame string
		ok    bool
	}{
		"8 MiB":              {"\x00\x68" + lastBlock, true},
		"64 MiB":             {"\x00\x80" + lastBlock, true},
		"72 MiB":             {"\x00\x81" + lastBlock, false},
		"128 MiB":            {"\x00\x88" + lastBlock, false},
		"a segment of 1 GiB": {"\xa0\x00\x00\x00\x40" + lastBlock, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			in, err := newInflater(strings.NewReader("\x28\xb5\x2f\xfd" + tt.frame))
			if err != nil {
				t.Fatal(err)
			}
			defer in.end()
			b, err := io.ReadAll(in)
			if tt.ok && (err != nil || string(b) != "abc") {
				t.Errorf("%q, %v", b, err)
			}
			var p formatProblem
			if !tt.ok && (!errors.As(err, &p) || !strings.Contains(err.Error(), "window of more than 64 MiB")) {
				t.Errorf("%v, want a format problem about the window", err)
			}
		})
	}
}

// The name of an archive's first file may look like the start of a compressed stream.
func TestIndexTarDoesNotInflate(t *testing.T) {
	for _, magic := range []string{"\x1f\x8b", "\x28\xb5\x2f\xfd"} {
		plain := header(magic+"name", '0', 0, nil)
		x, err := openStore(t, t.TempDir(), StoreOptions{}).IndexTar(context.Background(), "key", func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(plain)), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(x.Entries) != 1 || x.Entries[0].Path != magic+"name" {
			t.Errorf("entries %q", paths(x))
		}
	}
}

// A small layer that inflates to more than the limit is given up, however it is read.
func TestStoreLimitsTheSize(t *testing.T) {
	ctx := context.Background()
	plain := newArchive(t).file("zeros", strings.Repeat("\x00", 1<<20)).file("x", "y").bytes()
	l := newBlob(gzipPack(t, plain), plain)
	s := openStore(t, t.TempDir(), StoreOptions{Limits: Limits{Size: 1 << 19}})
	if _, err := s.Index(ctx, l); !isFormatError(err) {
		t.Errorf("Index: %v", err)
	}
	if _, _, err := s.Rewrite(ctx, l, mustScan(t, plain), Edits{"x": nil}); !isFormatError(err) {
		t.Errorf("Rewrite: %v", err)
	}
	_, err := s.IndexTar(ctx, "key", func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(plain)), nil })
	if f := (*FormatError)(nil); !errors.As(err, &f) {
		t.Errorf("IndexTar: %v", err)
	}
}

func TestIndexTarHasItsOwnLimits(t *testing.T) {
	s := &Store{}
	if l := s.tarLimits(); l.Kept != maxTarKept || l.Size != 2*maxTarKept {
		t.Errorf("%+v", l)
	}
	s.opts.Limits = Limits{Kept: 5, Size: 6}
	if l := s.tarLimits(); l.Kept != 5 || l.Size != 6 {
		t.Errorf("%+v", l)
	}
}
