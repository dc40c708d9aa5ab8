package gunzip

import (
	"bytes"
	"compress/flate"
	"io"
	"testing"
)

// FuzzDeflate holds what is made of any deflated bytes against compress/flate, and of any stream against compress/gzip.
func FuzzDeflate(f *testing.F) {
	for _, seed := range []string{
		"\x01\x00\x00\xff\xff", "\x03\x00", "\x4b\x04\x00", "\x4b\x4c\x84\x01\x00",
		"\x05\xe0\x81\x08\x00\x00\x00\x00\x20\x7f\xeb\x0b\x00\x00",
	} {
		f.Add([]byte(seed))
	}
	for _, seed := range hostile() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		sameAsStandard(t, b, 4096)
		src := bytes.NewReader(b)
		out, err := io.ReadAll(io.LimitReader(flate.NewReader(src), 1<<20))
		if len(out) == 1<<20 {
			t.Skip("inflates to more than a MiB")
		}
		if err == nil {
			b = b[:len(b)-src.Len()] // what is behind the last block is no trailer
		} else {
			out = nil
		}
		stream := member(b, out)
		if err != nil {
			stream = stream[:len(stream)-8]
		}
		sameAsStandard(t, stream, 4096)
	})
}
