package layer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func TestStoreRejects(t *testing.T) {
	ctx, plain := context.Background(), sample(t)
	packed := gzipPack(t, plain)
	flipped := bytes.Clone(packed)
	flipped[len(flipped)/2] ^= 1
	serve := func(b []byte) func(*blob) {
		return func(l *blob) { l.open = func() io.ReadCloser { return io.NopCloser(bytes.NewReader(b)) } }
	}
	broken := errors.New("connection reset")
	badTar := bytes.Clone(plain)
	badTar[600] ^= 1 // the second header's checksum is wrong
	tests := map[string]struct {
		lie  func(*blob)
		want func(error) bool
	}{
		"other bytes":     {serve(gzipPack(t, badTar)), func(err error) bool { return errors.Is(err, ErrDigest) }},
		"a flipped bit":   {serve(flipped), func(err error) bool { return errors.Is(err, ErrDigest) }},
		"cut off":         {serve(packed[:len(packed)-9]), func(err error) bool { return errors.Is(err, ErrDigest) }},
		"too long":        {serve(append(bytes.Clone(packed), 0)), func(err error) bool { return errors.Is(err, ErrDigest) }},
		"wrong diffID":    {func(l *blob) { l.diffID = digestOf(nil) }, func(err error) bool { return errors.Is(err, ErrDigest) }},
		"wrong size":      {func(l *blob) { l.size++ }, func(err error) bool { return errors.Is(err, ErrDigest) }},
		"a reading error": {func(l *blob) { l.open = func() io.ReadCloser { return io.NopCloser(&failing{packed[:50], broken}) } }, func(err error) bool { return errors.Is(err, broken) }},
		"corrupt gzip":    {func(l *blob) { *l = *newBlob(flipped, plain) }, isFormatError},
		"corrupt zstd":    {func(l *blob) { z := zstdPack(t, plain); *l = *newBlob(z[:len(z)-5], plain) }, isFormatError},
		"corrupt tar":     {func(l *blob) { *l = *newBlob(gzipPack(t, badTar), badTar) }, isFormatError},
		"cut tar":         {func(l *blob) { *l = *newBlob(plain[:1600], plain[:1600]) }, isFormatError},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := openStore(t, dir, StoreOptions{Keep: KeepAll, KeepBlobs: true})
			l := newBlob(packed, plain)
			tt.lie(l)
			if _, err := s.Index(ctx, l); err == nil || !tt.want(err) {
				t.Errorf("Index: %v", err)
			}
			x := mustScan(t, plain)
			x.DiffID = l.diffID
			if _, _, err := s.Rewrite(ctx, l, x, Edits{"etc/a.txt": nil}); err == nil || !tt.want(err) {
				t.Errorf("Rewrite: %v", err)
			}
			checkNoFiles(t, dir)
		})
	}
}

func isFormatError(err error) bool {
	var f *FormatError
	return errors.As(err, &f) && f.Layer != v1.Hash{}
}

type failing struct {
	b   []byte
	err error
}

func (f *failing) Read(p []byte) (int, error) {
	if len(f.b) == 0 {
		return 0, f.err
	}
	n := copy(p, f.b)
	f.b = f.b[n:]
	return n, nil
}

// checkNoFiles makes sure that a store has neither made cache files nor left temporary ones. A blob that is
// what its digest says may stay, whatever it holds.
func checkNoFiles(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != "lock" && !strings.HasPrefix(d.Name(), "blob-") {
			t.Errorf("left behind: %s", p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// testdata/pack-1 is a pack as an earlier version of nanopatch wrote it, before format 2.
func TestOldPacksAreNotRead(t *testing.T) {
	if _, err := loadPack(filepath.Join("testdata", "pack-1")); !errors.Is(err, errCorruptPack) {
		t.Errorf("error %v", err)
	}
	b, err := os.ReadFile(filepath.Join("testdata", "pack-1"))
	if err != nil || !bytes.HasPrefix(b, []byte("nanopatch layer index 1\n")) || packMagic == "nanopatch layer index 1\n" {
		t.Errorf("the format is %q; error %v", packMagic, err)
	}
}

func TestStoreRebuildsWhatIsCorrupt(t *testing.T) {
	ctx, plain := context.Background(), sample(t)
	l := newBlob(gzipPack(t, plain), plain)
	damages := map[string]func(b []byte) []byte{
		"empty":         func([]byte) []byte { return nil },
		"cut":           func(b []byte) []byte { return b[:len(b)-1] },
		"content":       func(b []byte) []byte { b[len(packMagic)+1] ^= 1; return b },
		"index":         func(b []byte) []byte { b[len(b)-footerSize-1] ^= 1; return b },
		"footer":        func(b []byte) []byte { b[len(b)-footerSize] ^= 0x80; return b },
		"other version": func(b []byte) []byte { b[len(packMagic)-2]++; return b },
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := openStore(t, dir, StoreOptions{Keep: KeepAll}).Index(ctx, l); err != nil {
				t.Fatal(err)
			}
			files, err := filepath.Glob(filepath.Join(dir, "index", "*"))
			if err != nil || len(files) != 1 {
				t.Fatalf("cache files: %v, %v", files, err)
			}
			b, err := os.ReadFile(files[0])
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(files[0], damage(b), 0o600); err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			s := openStore(t, dir, StoreOptions{Keep: KeepAll, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
			x, err := s.Index(ctx, l)
			if err != nil {
				t.Fatal(err)
			}
			if d := diffIndex(mustScan(t, plain), x); d != "" {
				t.Error(d)
			}
			if !strings.Contains(log.String(), "making a cached layer index anew") {
				t.Errorf("no word in the log: %s", log.String())
			}
		})
	}
}

// full is a file on a full disk.
type full struct {
	file
	room int
}

func (f *full) Write(p []byte) (int, error) {
	if len(p) > f.room {
		return 0, &fs.PathError{Op: "write", Path: f.Name(), Err: syscall.ENOSPC}
	}
	f.room -= len(p)
	return f.file.Write(p)
}

func TestStoreOnAFullDisk(t *testing.T) {
	ctx := context.Background()
	noise := make([]byte, 3<<20)
	for i, x := 0, uint32(1); i < len(noise); i++ {
		x = x*1664525 + 1013904223
		noise[i] = byte(x >> 24)
	}
	plain := newArchive(t).file("a.txt", string(noise)).bytes()
	l := newBlob(gzipPack(t, plain), plain)
	for _, keepBlobs := range []bool{true, false} {
		dir := t.TempDir()
		s := openStore(t, dir, StoreOptions{Keep: KeepAll, KeepBlobs: keepBlobs})
		create := s.create
		s.create = func(dir, pattern string) (file, error) {
			f, err := create(dir, pattern)
			return &full{f, 1 << 20}, err
		}
		if _, err := s.Index(ctx, l); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Index: %v", err)
		}
		if _, _, err := s.Rewrite(ctx, l, mustScan(t, plain), Edits{"b": newFile(t, "b", "b")}); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Rewrite: %v", err)
		}
		checkNoFiles(t, dir)
	}
}

// hanging is a stream that stops in the middle until it is closed.
type hanging struct {
	r      io.Reader
	closed chan struct{}
	once   sync.Once
	reach  func()
}

func (h *hanging) Read(p []byte) (int, error) {
	n, err := h.r.Read(p)
	if err == nil {
		return n, nil
	}
	h.reach()
	<-h.closed
	return 0, os.ErrClosed
}

func (h *hanging) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

func TestStoreStopsWithItsContext(t *testing.T) {
	plain := sample(t)
	for _, p := range packers {
		t.Run(p.name, func(t *testing.T) {
			packed := p.pack(t, plain)
			before := runtime.NumGoroutine()
			dir := t.TempDir()
			s := openStore(t, dir, StoreOptions{Keep: KeepAll, KeepBlobs: true})
			x := mustScan(t, plain)
			calls := map[string]func(context.Context, v1.Layer) error{
				"Index": func(ctx context.Context, l v1.Layer) error { _, err := s.Index(ctx, l); return err },
				"Rewrite": func(ctx context.Context, l v1.Layer) error {
					_, _, err := s.Rewrite(ctx, l, x, Edits{"etc/a.txt": nil})
					return err
				},
			}
			for name, call := range calls {
				ctx, cancel := context.WithCancel(context.Background())
				l := newBlob(packed, plain)
				l.open = func() io.ReadCloser {
					return &hanging{r: bytes.NewReader(packed[:len(packed)-20]), closed: make(chan struct{}), reach: cancel}
				}
				if err := call(ctx, l); !errors.Is(err, context.Canceled) {
					t.Errorf("%s: %v", name, err)
				}
				cancel()
			}
			checkNoFiles(t, dir)
			for range 100 {
				if runtime.NumGoroutine() <= before {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
			t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		})
	}
}

func TestStoresShareADirectory(t *testing.T) {
	ctx, plain, dir := context.Background(), sample(t), t.TempDir()
	want := mustScan(t, plain)
	var wg sync.WaitGroup
	for range 4 {
		s := openStore(t, dir, StoreOptions{Keep: KeepAll})
		for range 4 {
			wg.Go(func() {
				x, err := s.Index(ctx, newBlob(gzipPack(t, plain), plain))
				if err != nil {
					t.Error(err)
					return
				}
				if d := diffIndex(want, x); d != "" {
					t.Error(d)
				}
			})
		}
	}
	wg.Wait()
}

func TestStoreRemovesWhatOthersLeft(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "job[1]*") // a name, not a pattern
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	killed, err := OpenStore(dir, StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	alive := openStore(t, dir, StoreOptions{})
	if err := killed.lock.Close(); err != nil { // as when its process ends
		t.Fatal(err)
	}
	openStore(t, dir, StoreOptions{})
	if _, err := os.Stat(killed.run); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("files of a dead run are still there: %v", err)
	}
	if _, err := os.Stat(alive.run); err != nil {
		t.Errorf("files of a living run are gone: %v", err)
	}
}
