package layer

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
)

// blob is a layer in memory. Its digests may be made to lie.
type blob struct {
	digest, diffID v1.Hash
	size           int64
	media          types.MediaType
	open           func() io.ReadCloser
	opened         atomic.Int32
}

func (b *blob) Digest() (v1.Hash, error)             { return b.digest, nil }
func (b *blob) DiffID() (v1.Hash, error)             { return b.diffID, nil }
func (b *blob) Size() (int64, error)                 { return b.size, nil }
func (b *blob) MediaType() (types.MediaType, error)  { return b.media, nil }
func (b *blob) Uncompressed() (io.ReadCloser, error) { return nil, errors.New("nobody asks for this") }

func (b *blob) Compressed() (io.ReadCloser, error) {
	b.opened.Add(1)
	return b.open(), nil
}

func digestOf(b []byte) v1.Hash {
	h := sha256.New()
	h.Write(b)
	return hashOf(h)
}

func newBlob(packed, plain []byte) *blob {
	return &blob{
		digest: digestOf(packed), diffID: digestOf(plain), size: int64(len(packed)), media: types.DockerLayer,
		open: func() io.ReadCloser { return io.NopCloser(bytes.NewReader(packed)) },
	}
}

// pack compresses; the slice holds every way that layers come in.
var packers = []struct {
	name string
	kind compression
	pack func(t testing.TB, b []byte) []byte
}{
	{"tar", uncompressed, func(_ testing.TB, b []byte) []byte { return b }},
	{"gzip", gzipped, gzipPack},
	{"gzip of two members", gzipped, func(t testing.TB, b []byte) []byte {
		return append(gzipPack(t, b[:700]), gzipPack(t, b[700:])...)
	}},
	{"zstd", zstandard, zstdPack},
	{"zstd behind a skippable frame", zstandard, func(t testing.TB, b []byte) []byte {
		return append([]byte("\x50\x2a\x4d\x18\x03\x00\x00\x00abc"), zstdPack(t, b)...)
	}},
}

func gzipPack(t testing.TB, b []byte) []byte {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func zstdPack(t testing.TB, b []byte) []byte {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(b, nil)
}

func openStore(t testing.TB, dir string, opts StoreOptions) *Store {
	t.Helper()
	if err := os.Chmod(dir, 0o700); err != nil { // whatever the umask
		t.Fatal(err)
	}
	s, err := OpenStore(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// keepTxt keeps files named *.txt.
func keepTxt(e *Entry, _ []byte) bool { return strings.HasSuffix(e.Path, ".txt") }

func sample(t testing.TB) []byte {
	return newArchive(t).dir("etc").file("etc/a.txt", "kept").file("etc/big.bin", strings.Repeat("0123456789", 1000)).
		link("etc/hard.bin", "etc/big.bin").symlink("etc/sym", "a.txt").file("etc/empty", "").bytes()
}

func readAll(t testing.TB, f File, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestStoreIndex(t *testing.T) {
	ctx, plain := context.Background(), sample(t)
	for _, p := range packers {
		t.Run(p.name, func(t *testing.T) {
			dir, l := t.TempDir(), newBlob(p.pack(t, plain), plain)
			opts := StoreOptions{Keep: keepTxt, KeepID: "txt"}
			x, err := openStore(t, dir, opts).Index(ctx, l)
			if err != nil {
				t.Fatal(err)
			}
			if x.DiffID != l.diffID || x.Size != int64(len(plain)) {
				t.Errorf("DiffID %s, Size %d, want %s, %d", x.DiffID, x.Size, l.diffID, len(plain))
			}
			want, err := Scan(ctx, bytes.NewReader(plain), ScanOptions{Keep: keepTxt})
			if err != nil {
				t.Fatal(err)
			}
			if d := diffIndex(want, x); d != "" {
				t.Errorf("index of the first pass (-Scan +Index):\n%s", d)
			}
			again, err := openStore(t, dir, opts).Index(ctx, l)
			if err != nil {
				t.Fatal(err)
			}
			if d := diffIndex(want, again); d != "" || again.DiffID != x.DiffID {
				t.Errorf("cached index (-Scan +Index):\n%s", d)
			}
			if n := l.opened.Load(); n != 1 {
				t.Errorf("layer opened %d times, want once", n)
			}
			e, _ := again.Lookup("etc/big.bin")
			if _, err := again.Open(e); !errors.Is(err, ErrNotKept) {
				t.Errorf("opening what was not kept: %v", err)
			}
			if _, err := openStore(t, dir, StoreOptions{KeepID: "none"}).Index(ctx, l); err != nil || l.opened.Load() != 2 {
				t.Errorf("another KeepID: %v, opened %d times, want 2", err, l.opened.Load())
			}
		})
	}
}

// local is a blob on this machine.
type local struct {
	*blob
	unchecked int
}

func (l *local) CompressedUnchecked() (io.ReadCloser, error) {
	l.unchecked++
	return l.open(), nil
}

func (l *local) Damaged(cause error) error { return fmt.Errorf("damaged here: %w", cause) }

func TestStoreOfLocalLayers(t *testing.T) {
	ctx, plain := context.Background(), sample(t)
	s := openStore(t, t.TempDir(), StoreOptions{KeepBlobs: true})
	l := &local{blob: newBlob(gzipPack(t, plain), plain)}
	x, err := s.Index(ctx, l)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Rewrite(ctx, l, x, Edits{"etc/sym": nil}); err != nil || l.unchecked != 2 || l.opened.Load() != 0 {
		t.Errorf("rewriting: %v; opened %d and %d times, want 2 and none", err, l.unchecked, l.opened.Load())
	}
	if copies, err := filepath.Glob(filepath.Join(s.run, "blob-*")); len(copies) > 0 || err != nil {
		t.Errorf("copies %v, error %v", copies, err)
	}
	for name, change := range map[string]func(l *local){
		"digest": func(l *local) { l.digest = digestOf(nil) },
		"size":   func(l *local) { l.size-- },
	} {
		wrong := &local{blob: newBlob(gzipPack(t, plain), plain)}
		change(wrong)
		if _, err := s.Index(ctx, wrong); !errors.Is(err, ErrDigest) || !strings.Contains(err.Error(), "damaged here") {
			t.Errorf("wrong %s: %v", name, err)
		}
	}
}

func TestStoreOpen(t *testing.T) {
	ctx, plain := context.Background(), sample(t)
	l := newBlob(gzipPack(t, plain), plain)
	s := openStore(t, t.TempDir(), StoreOptions{Keep: keepTxt, KeepID: "txt"})
	x, err := s.Index(ctx, l)
	if err != nil {
		t.Fatal(err)
	}
	for p, want := range map[string]string{
		"etc/a.txt": "kept", "etc/empty": "", "etc/big.bin": strings.Repeat("0123456789", 1000),
		"etc/hard.bin": strings.Repeat("0123456789", 1000),
	} {
		e, _ := x.Lookup(p)
		f, err := s.Open(ctx, l, e)
		if got := readAll(t, f, err); got != want {
			t.Errorf("%s: %d bytes, want %d", p, len(got), len(want))
		}
	}
	if n := l.opened.Load(); n != 2 {
		t.Errorf("layer opened %d times, want 2: for the index, and once for the content", n)
	}
	e, _ := x.Lookup("etc/sym")
	if _, err := s.Open(ctx, l, e); err == nil {
		t.Error("opened a symbolic link")
	}
	edited, err := x.Apply(Edits{"a": newFile(t, "a", "first"), "etc/a.txt": nil})
	if err != nil {
		t.Fatal(err)
	}
	e, _ = edited.Lookup("etc/big.bin") // lies elsewhere in the edited layer
	f, err := s.Open(ctx, l, e)
	if got := readAll(t, f, err); len(got) != 10000 {
		t.Errorf("content of an entry of an edited index: %d bytes", len(got))
	}
}

func TestStoreIndexTar(t *testing.T) {
	ctx, plain := context.Background(), sample(t)
	dir, opened := t.TempDir(), 0
	opener := func() (io.ReadCloser, error) {
		opened++
		return io.NopCloser(bytes.NewReader(plain)), nil
	}
	for range 2 {
		s := openStore(t, dir, StoreOptions{})
		x, err := s.IndexTar(ctx, "key", opener)
		if err != nil {
			t.Fatal(err)
		}
		if d := diffIndex(mustScan(t, plain), x); d != "" {
			t.Errorf("(-Scan +IndexTar):\n%s", d)
		}
	}
	if opened != 1 {
		t.Errorf("archive opened %d times, want once", opened)
	}
	s := openStore(t, dir, StoreOptions{})
	boom := errors.New("boom")
	if _, err := s.IndexTar(ctx, "other", func() (io.ReadCloser, error) { return nil, boom }); !errors.Is(err, boom) {
		t.Errorf("error of the opener: %v", err)
	}
	_, err := s.IndexTar(ctx, "corrupt", func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(plain[:700])), nil })
	if f := (*FormatError)(nil); !errors.As(err, &f) {
		t.Errorf("a cut archive: %v", err)
	}
}

func TestStoreRewrite(t *testing.T) {
	ctx, plain := context.Background(), sample(t)
	edits := Edits{
		"etc/big.bin": newFile(t, "etc/big.bin", "new"), "etc/hard.bin": newLink("etc/hard.bin", "etc/big.bin"),
		"etc/new.txt": newFile(t, "etc/new.txt", "new, and kept"), "etc/sym": nil,
	}
	for _, p := range packers {
		t.Run(p.name, func(t *testing.T) {
			dir, l := t.TempDir(), newBlob(p.pack(t, plain), plain)
			s := openStore(t, dir, StoreOptions{Keep: keepTxt, KeepID: "txt", KeepBlobs: true})
			x, err := s.Index(ctx, l)
			if err != nil {
				t.Fatal(err)
			}
			m, y, err := s.Rewrite(ctx, l, x, edits)
			if err != nil {
				t.Fatal(err)
			}
			if n := l.opened.Load(); n != 1 {
				t.Errorf("layer opened %d times, want once: its blob is kept", n)
			}
			checkLayer(t, m, p.kind, plain, edits)
			rescan := openStore(t, t.TempDir(), StoreOptions{Keep: keepTxt, KeepID: "txt"})
			want, err := rescan.Index(ctx, m)
			if err != nil {
				t.Fatal(err)
			}
			if y.DiffID != want.DiffID {
				t.Errorf("DiffID %s, want %s", y.DiffID, want.DiffID)
			}
			other := openStore(t, dir, StoreOptions{Keep: keepTxt, KeepID: "txt"})
			id, err := identify(m)
			if err != nil {
				t.Fatal(err)
			}
			cached, err := other.Index(ctx, &blob{digest: id.digest, diffID: id.diffID, size: id.size, open: func() io.ReadCloser {
				t.Error("not cached")
				return io.NopCloser(strings.NewReader(""))
			}})
			if err != nil {
				t.Fatal(err)
			}
			if d := diffIndex(want, cached); d != "" {
				t.Errorf("cached index of the rewritten layer (-indexed anew +cached):\n%s", d)
			}
			if _, err := rewriteAgain(ctx, rescan, m, want, edits); err != nil {
				t.Errorf("the same edits again: %v", err)
			}
		})
	}
}

// A hard link that takes over content which was not kept may be wanted under its own name: the cache does
// not pretend to know.
func TestStoreRewriteOfWhatWasNotKept(t *testing.T) {
	ctx := context.Background()
	plain := newArchive(t).file("a.bin", "content").link("a.txt", "a.bin").bytes()
	l, dir, opts := newBlob(gzipPack(t, plain), plain), t.TempDir(), StoreOptions{Keep: keepTxt, KeepID: "txt"}
	s := openStore(t, dir, opts)
	x, err := s.Index(ctx, l)
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := s.Rewrite(ctx, l, x, Edits{"a.bin": nil})
	if err != nil {
		t.Fatal(err)
	}
	y, err := openStore(t, dir, opts).Index(ctx, m)
	if err != nil {
		t.Fatal(err)
	}
	e, _ := y.Lookup("a.txt")
	f, err := y.Open(e)
	if got := readAll(t, f, err); got != "content" {
		t.Errorf("content %q", got)
	}
}

// A hard link that takes over content which was kept may not be wanted under its own name: its MD5 stays known.
func TestStoreRewriteOfWhatIsNoLongerKept(t *testing.T) {
	ctx := context.Background()
	plain := newArchive(t).file("a.txt", strings.Repeat("content", 1000)).link("a.bin", "a.txt").bytes()
	l, dir, opts := newBlob(gzipPack(t, plain), plain), t.TempDir(), StoreOptions{Keep: keepTxt, KeepID: "txt"}
	s := openStore(t, dir, opts)
	x, err := s.Index(ctx, l)
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := s.Rewrite(ctx, l, x, Edits{"a.txt": nil})
	if err != nil {
		t.Fatal(err)
	}
	cached, err := openStore(t, dir, opts).Index(ctx, m)
	if err != nil {
		t.Fatal(err)
	}
	anew, err := openStore(t, t.TempDir(), opts).Index(ctx, m)
	if err != nil {
		t.Fatal(err)
	}
	if d := diffIndex(anew, cached); d != "" {
		t.Errorf("cached index of the rewritten layer (-indexed anew +cached):\n%s", d)
	}
	e, _ := cached.Lookup("a.bin")
	if sum, err := e.MD5(); e.HasContent() || sum != md5.Sum([]byte(strings.Repeat("content", 1000))) || err != nil {
		t.Errorf("MD5 %x, content at hand: %v, error %v", sum, e.HasContent(), err)
	}
}

// rewriteAgain rewrites a layer that is as the edits want it already.
func rewriteAgain(ctx context.Context, s *Store, l v1.Layer, x *Index, edits Edits) (v1.Layer, error) {
	m, y, err := s.Rewrite(ctx, l, x, edits)
	if err == nil && (m != l || y != x) {
		err = errors.New("a layer without change was rewritten")
	}
	return m, err
}

func checkLayer(t *testing.T, m v1.Layer, kind compression, plain []byte, edits Edits) {
	t.Helper()
	want, _ := mustRewrite(t, plain, edits)
	rc, err := m.Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	got, err := io.ReadAll(rc)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the layer is not what Rewrite makes of the archive: %d bytes, want %d", len(got), len(want))
	}
	packed, err := m.Compressed()
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	b, err := io.ReadAll(packed)
	if err != nil {
		t.Fatal(err)
	}
	in, err := newInflater(bytes.NewReader(b))
	if err != nil || in.kind != kind {
		t.Errorf("compression %d, want %d (%v)", in.kind, kind, err)
	}
	digest, _ := m.Digest()
	diffID, _ := m.DiffID()
	size, _ := m.Size()
	media, _ := m.MediaType()
	if digest != digestOf(b) || diffID != digestOf(want) || size != int64(len(b)) || media != types.DockerLayer {
		t.Errorf("digest %s, diffID %s, size %d, media type %s", digest, diffID, size, media)
	}
}

func TestCompressionIsTheSameOnEveryMachine(t *testing.T) {
	plain := make([]byte, 3<<20+12345)
	for i := range plain {
		plain[i] = byte(i * i >> 9)
	}
	pack := func(k compression, procs, write int) []byte {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
		var buf bytes.Buffer
		z, err := k.compress(&buf)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyBuffer(onlyWriter{z}, io.LimitReader(bytes.NewReader(plain), int64(len(plain))), make([]byte, write)); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return buf.Bytes()
	}
	for _, k := range []compression{gzipped, zstandard} {
		want := pack(k, 1, 1<<20)
		for _, procs := range []int{1, 7} {
			for _, write := range []int{777, 2 << 20} {
				if !bytes.Equal(pack(k, procs, write), want) {
					t.Errorf("compression %d differs with GOMAXPROCS=%d and writes of %d bytes", k, procs, write)
				}
			}
		}
	}
	if head := pack(gzipped, 1, 1<<20)[:10]; !bytes.Equal(head, []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}) {
		t.Errorf("gzip header % x holds more than it must", head)
	}
}
