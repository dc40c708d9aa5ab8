package layer

import (
	"bufio"
	"crypto/md5" //nolint:gosec // see Entry.MD5
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"maps"
	"math"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// The binary form of an index is a sequence of varints and of strings with their length before them: the
// fields in the order of encodeIndex. Decoded strings share one backing string.

const (
	flagSparse  = 1 << iota
	flagContent // content lies in the pack
	flagDigests
)

type indexEncoder struct {
	w       *bufio.Writer
	scratch []byte
}

func (c *indexEncoder) uint(v uint64) {
	c.scratch = binary.AppendUvarint(c.scratch[:0], v)
	_, _ = c.w.Write(c.scratch) // bufio keeps the error until Flush
}

func (c *indexEncoder) int(v int64) {
	c.scratch = binary.AppendVarint(c.scratch[:0], v)
	_, _ = c.w.Write(c.scratch)
}

func (c *indexEncoder) string(s string) {
	c.uint(uint64(len(s)))
	_, _ = c.w.WriteString(s)
}

// encodeIndex writes an index. offset tells where in the pack an entry's content lies, -1 for nowhere.
func encodeIndex(w *bufio.Writer, x *Index, offset func(e *Entry) int64) error {
	c := &indexEncoder{w: w}
	c.string(x.DiffID.Algorithm)
	c.string(x.DiffID.Hex)
	c.int(x.Size)
	c.int(x.end)
	c.uint(uint64(len(x.Entries)))
	for i := range x.Entries {
		e := &x.Entries[i]
		c.entry(e, offset(e))
	}
	return w.Flush()
}

func (c *indexEncoder) entry(e *Entry, content int64) {
	var flags uint64
	if e.Sparse {
		flags |= flagSparse
	}
	if content >= 0 {
		flags |= flagContent
	}
	if e.IsRegular() && !e.Sparse {
		flags |= flagDigests
	}
	c.uint(flags)
	c.uint(uint64(e.Type))
	for _, s := range []string{e.Path, e.Linkname, e.Uname, e.Gname} {
		c.string(s)
	}
	for _, v := range []int64{
		e.Mode, int64(e.UID), int64(e.GID), e.Size, e.ModTime.Unix(), int64(e.ModTime.Nanosecond()),
		e.Devmajor, e.Devminor, e.offset, e.head, e.body,
	} {
		c.int(v)
	}
	c.uint(uint64(len(e.PAX)))
	for _, k := range slices.Sorted(maps.Keys(e.PAX)) {
		c.string(k)
		c.string(e.PAX[k])
	}
	if flags&flagContent != 0 {
		c.int(content)
	}
	if flags&flagDigests != 0 {
		_, _ = c.w.Write(e.SHA256[:])
		if content < 0 && e.Size > 0 {
			_, _ = c.w.Write(e.md5[:])
		}
	}
}

var errCorruptIndex = errors.New("corrupt index")

// indexDecoder reads from a string; after the first error all is zero.
type indexDecoder struct {
	s   string
	bad bool
}

func (c *indexDecoder) uint() uint64 {
	var v uint64
	for i := 0; i < len(c.s) && i < binary.MaxVarintLen64; i++ {
		b := c.s[i]
		v |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			c.s = c.s[i+1:]
			return v
		}
	}
	c.bad, c.s = true, ""
	return 0
}

func (c *indexDecoder) int() int64 {
	u := c.uint()
	return int64(u>>1) ^ -int64(u&1)
}

func (c *indexDecoder) bytes(n uint64) string {
	if n > uint64(len(c.s)) {
		c.bad, c.s = true, ""
		return ""
	}
	b := c.s[:n]
	c.s = c.s[n:]
	return b
}

func (c *indexDecoder) string() string { return c.bytes(c.uint()) }

// decodeIndex reads what encodeIndex wrote. content makes the content of n bytes at an offset of the pack.
func decodeIndex(s string, content func(off, n int64) Content) (*Index, error) {
	c := &indexDecoder{s: s}
	x := &Index{DiffID: v1.Hash{Algorithm: c.string(), Hex: c.string()}, Size: c.int(), end: c.int()}
	n := c.uint()
	if n > uint64(len(c.s)) { // an entry takes more than a byte
		return nil, errCorruptIndex
	}
	x.Entries = make([]Entry, n)
	for i := range x.Entries {
		c.entry(&x.Entries[i], content)
		if c.bad {
			return nil, errCorruptIndex
		}
	}
	if c.bad || c.s != "" {
		return nil, errCorruptIndex
	}
	return x, nil
}

func (c *indexDecoder) entry(e *Entry, content func(off, n int64) Content) {
	flags := c.uint()
	e.Type, e.Sparse = byte(c.uint()), flags&flagSparse != 0
	e.Path, e.Linkname, e.Uname, e.Gname = c.string(), c.string(), c.string(), c.string()
	e.Mode, e.UID, e.GID, e.Size = c.int(), int(c.int()), int(c.int()), c.int()
	sec, nsec := c.int(), c.int()
	e.ModTime = time.Unix(sec, nsec).UTC()
	e.Devmajor, e.Devminor = c.int(), c.int()
	e.offset, e.head, e.body = c.int(), c.int(), c.int()
	if n := c.uint(); n > 0 && n <= uint64(len(c.s)) {
		e.PAX = make(map[string]string, min(n, math.MaxUint8))
		for range n {
			k := c.string()
			e.PAX[k] = c.string()
			if c.bad {
				return
			}
		}
	} else if n > 0 {
		c.bad = true
	}
	if flags&flagContent != 0 {
		e.content = content(c.int(), e.Size)
	} else if flags&flagDigests != 0 && e.Size == 0 {
		e.content = Bytes(nil)
	}
	if flags&flagDigests != 0 {
		copy(e.SHA256[:], c.bytes(sha256.Size))
		if e.content == nil {
			copy(e.md5[:], c.bytes(md5.Size))
		}
	}
}
