package gunzip

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	kgzip "github.com/klauspost/compress/gzip"
	"pgregory.net/rapid"
)

// inflate reads all, size bytes at a time.
func inflate(src io.Reader, size int) ([]byte, error) {
	var out bytes.Buffer
	_, err := io.CopyBuffer(struct{ io.Writer }{&out}, struct{ io.Reader }{NewReader(src)}, make([]byte, size))
	return out.Bytes(), err
}

// kind is an error as both this package and Go's own readers have it.
func kind(err error) string {
	var corrupt flate.CorruptInputError
	switch {
	case err == nil:
		return "none"
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return "unexpected end"
	case errors.Is(err, ErrHeader), errors.Is(err, gzip.ErrHeader):
		return "header"
	case errors.Is(err, ErrChecksum), errors.Is(err, gzip.ErrChecksum):
		return "checksum"
	case errors.Is(err, ErrCorrupt), errors.As(err, &corrupt):
		return "corrupt"
	}
	return err.Error()
}

// standard is what compress/gzip makes of a stream.
func standard(b []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		if errors.Is(err, io.EOF) && len(b) == 0 {
			return nil, nil
		}
		return nil, err
	}
	return io.ReadAll(z)
}

// sameAsStandard holds what is made of a stream against what Go's own reader makes of it.
func sameAsStandard(t interface {
	Helper()
	Fatalf(format string, args ...any)
}, stream []byte, size int,
) {
	t.Helper()
	want, wantErr := standard(stream)
	got, err := inflate(bytes.NewReader(stream), size)
	if kind(err) != kind(wantErr) || err == nil && !bytes.Equal(got, want) {
		t.Fatalf("%d bytes, error %v; of compress/gzip %d bytes, error %v; stream %x", len(got), err, len(want), wantErr, stream)
	}
	// Nothing is made of what is not there; how far the others get before an error is up to them.
	if err != nil && !bytes.HasPrefix(want, got) && (kind(err) == "unexpected end" || !bytes.HasPrefix(got, want)) {
		t.Fatalf("what comes before the error %v is not what compress/gzip has there", err)
	}
}

// sizes are those of reads.
var sizes = rapid.SampledFrom([]int{1, 7, 4096, 256 << 10, 1 << 20})

// Streams with any blocks, whole and damaged, are taken and refused as compress/gzip does.
func TestAnyStream(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var stream []byte
		for range rapid.IntRange(1, 3).Draw(t, "members") {
			w, out := &bitWriter{}, []byte(nil)
			blocks := rapid.IntRange(1, 5).Draw(t, "blocks")
			for i := range blocks {
				out = w.block(t, out, i == blocks-1)
			}
			stream = append(stream, member(w.b, out)...)
		}
		switch rapid.SampledFrom([]string{"", "cut", "flip", "flip", "behind"}).Draw(t, "damage") {
		case "cut":
			stream = stream[:rapid.IntRange(0, len(stream)).Draw(t, "length")]
		case "flip":
			for range rapid.IntRange(1, 3).Draw(t, "flips") {
				bit := rapid.IntRange(0, 8*len(stream)-1).Draw(t, "bit")
				stream[bit/8] ^= 1 << (bit % 8)
			}
		case "behind":
			stream = append(stream, rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "behind")...)
		}
		sameAsStandard(t, stream, sizes.Draw(t, "size"))
	})
}

// content is as compressible as files are: text, runs, noise and repetitions near and far.
func content(r *rand.Rand, n int) []byte {
	var b []byte
	for len(b) < n {
		switch r.IntN(4) {
		case 0:
			for range r.IntN(2000) {
				b = append(b, "etaoin shrdlu\n"[r.IntN(14)])
			}
		case 1:
			b = append(b, bytes.Repeat([]byte{byte(r.IntN(4))}, r.IntN(5000))...)
		case 2:
			for range r.IntN(3000) {
				b = append(b, byte(r.Uint32()))
			}
		default:
			if len(b) > 0 {
				from := len(b) - 1 - r.IntN(min(len(b), 40_000))
				b = append(b, b[from:min(len(b), from+r.IntN(3000))]...)
			}
		}
	}
	return b[:n]
}

// What compressors write comes out as it went in, however it is read.
func TestCompressors(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	sources := map[string]func(io.Reader) io.Reader{
		"whole": func(r io.Reader) io.Reader { return r }, "bytes": iotest.OneByteReader, "halves": iotest.HalfReader,
		"data with its error": iotest.DataErrReader,
	}
	for _, n := range []int{0, 1, 100, window, window + 1, outSize - window, outSize, 1 << 20, 1<<20 + 17} {
		plain := content(r, n)
		packed := map[string][]byte{}
		for level := gzip.HuffmanOnly; level <= gzip.BestCompression; level++ {
			var std, klauspost bytes.Buffer
			z, err := gzip.NewWriterLevel(&std, level)
			k, kerr := kgzip.NewWriterLevel(&klauspost, level)
			if err := errors.Join(err, kerr); err != nil {
				t.Fatal(err)
			}
			for _, w := range []io.WriteCloser{z, k} {
				if _, err := w.Write(plain); err != nil {
					t.Fatal(err)
				}
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
			}
			packed[fmt.Sprint("compress/gzip ", level)], packed[fmt.Sprint("klauspost ", level)] = std.Bytes(), klauspost.Bytes()
		}
		for name, b := range packed {
			for how, source := range sources {
				got, err := inflate(source(bytes.NewReader(b)), 1+r.IntN(1<<18))
				if err != nil || !bytes.Equal(got, plain) {
					t.Errorf("%d bytes by %s, read as %s: %d bytes, error %v", n, name, how, len(got), err)
				}
			}
			for range 3 {
				cut := r.IntN(len(b))
				if _, err := inflate(bytes.NewReader(b[:cut]), 4096); cut > 0 && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("%d bytes by %s, %d of %d left: error %v", n, name, cut, len(b), err)
				}
			}
		}
	}
}

// Headers are taken and refused as by compress/gzip.
func TestHeaders(t *testing.T) {
	data := []byte{1, 0, 0, 255, 255} // a final stored block of nothing
	head := func(flags byte, more ...string) []byte {
		return append([]byte{0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 255}, strings.Join(more, "")...)
	}
	checked := func(b []byte) []byte {
		return binary.LittleEndian.AppendUint16(b, uint16(crc32.ChecksumIEEE(b)))
	}
	long := strings.Repeat("x", 511)
	for name, b := range map[string][]byte{
		"plain":                head(0),
		"text":                 head(1),
		"extra":                head(4, "\x03\x00abc"),
		"name and comment":     head(8|16, "name\x00", "comment\x00"),
		"longest name":         head(8, long, "\x00"),
		"name too long":        head(8, long, "x\x00"),
		"comment too long":     head(16, long, "x\x00"),
		"checked":              checked(head(2|4|8|16, "\x01\x00a", "n\x00", "c\x00")),
		"checked wrongly":      append(head(2), 1, 2),
		"reserved":             head(32),
		"other method":         {0x1f, 0x8b, 7, 0, 0, 0, 0, 0, 0, 0},
		"no gzip":              []byte("BZh9 and so on"),
		"cut in the magic":     {0x1f},
		"cut in an extra size": head(4, "\x03")[:11],
	} {
		stream := append(append([]byte(nil), b...), member(data, nil)[10:]...)
		for cut := range stream {
			sameAsStandard(t, stream[:cut], 100)
		}
		sameAsStandard(t, stream, 100)
		sameAsStandard(t, append(member(data, nil), stream...), 100)
		if _, err := inflate(bytes.NewReader(stream), 100); name == "plain" && err != nil {
			t.Error(err)
		}
	}
}

// Errors of the reader below come as they are, also where a stream could end, and again with each later read.
func TestSourceErrors(t *testing.T) {
	whole := member([]byte{1, 0, 0, 255, 255}, nil)
	for _, want := range []error{errors.New("reset"), io.ErrUnexpectedEOF, fmt.Errorf("wrapped: %w", io.EOF)} {
		for n := range len(whole) + 1 {
			r := NewReader(io.MultiReader(bytes.NewReader(whole[:n]), iotest.ErrReader(want)))
			for range 2 {
				if _, err := r.Read(make([]byte, 10)); !errors.Is(err, want) {
					t.Errorf("%v behind %d bytes: %v", want, n, err)
				}
			}
		}
	}
	if _, err := NewReader(silent{}).Read(make([]byte, 1)); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a reader that gives nothing: %v", err)
	}
	if _, err := inflate(&hesitant{src: iotest.OneByteReader(bytes.NewReader(whole))}, 10); err != nil {
		t.Errorf("a reader that gives little: %v", err)
	}
	if n, err := NewReader(bytes.NewReader(whole)).Read(nil); n != 0 || err != nil {
		t.Errorf("reading nothing: %d, %v", n, err)
	}
}

// hesitant gives nothing most times.
type hesitant struct {
	src   io.Reader
	times int
}

func (h *hesitant) Read(p []byte) (int, error) {
	if h.times++; h.times%60 != 0 {
		return 0, nil
	}
	return h.src.Read(p)
}

type silent struct{}

func (silent) Read([]byte) (int, error) { return 0, nil }

// The size of a stream costs no memory.
func TestAllocations(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(make([]byte, 64<<20)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	stream := packed.Bytes()
	buf := make([]byte, 4096)
	allocations := testing.AllocsPerRun(1, func() {
		r := NewReader(bytes.NewReader(stream))
		for {
			if _, err := r.Read(buf); errors.Is(err, io.EOF) {
				return
			} else if err != nil {
				t.Fatal(err)
			}
		}
	})
	if allocations > 10 {
		t.Errorf("%v allocations", allocations)
	}
}

// No code needs more of the tables than they have: the deepest ones of the most symbols.
func TestTablesAreLargeEnough(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMeanings()
		for _, c := range []struct {
			size, symbols int
			primary       uint
			meaning       []uint32
		}{
			{literalSize, literals, literalBits, m.literals[:]},
			{distSize, distances, distanceBits, m.distances[:]},
		} {
			lengths := drawLengths(t, drawSymbols(t, c.symbols, c.symbols/2), c.symbols, maxCodeBits)
			if !build(make([]uint32, c.size), c.primary, c.meaning, lengths) {
				t.Fatalf("a complete code is refused: %v", lengths)
			}
		}
	})
}
