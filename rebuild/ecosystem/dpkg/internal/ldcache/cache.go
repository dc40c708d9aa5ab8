package ldcache

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"math/bits"
	"slices"
	"strings"
)

// ErrFormat says that a file is no cache in a known format.
var ErrFormat = errors.New("its format is not known")

// Cache is what a cache file says.
type Cache struct {
	Entries []Entry
	// Generator names the ldconfig that made the cache, "" where the format has no place for it.
	Generator string
	// Exact says that Bytes gave the bytes that Parse read.
	Exact  bool
	layout layout
}

// Entry is one name under which the dynamic linker finds a library.
type Entry struct {
	// Soname is the name, Path where the library lies.
	Soname, Path string
	// Kind tells the C library and the machine that the library is for (FLAG_* in ldconfig.h).
	Kind uint32
	// OSVersion is the oldest kernel that the library works with, 0 if it does not say; glibc 2.36 and later write 0.
	OSVersion uint32
	// Subdir is the directory below glibc-hwcaps, "" for all that need no better processor; ISALevel is what the library says that it
	// needs of one.
	Subdir   string
	ISALevel uint32
	// LegacyHwcap are the features that directories of old stood for ("tls", "haswell"), up to glibc 2.36.
	LegacyHwcap uint64
}

// byteOrder is one of encoding/binary's.
type byteOrder interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

// layout is how a file was written.
type layout struct {
	order byteOrder
	// endian is the byte that says the order, 0 of old.
	endian byte
	// compat says that the format of libc5 comes first, extended that extensions follow.
	compat, extended bool
}

const (
	magic    = "glibc-ld.so.cache1.1"
	oldMagic = "ld.so-1.7.0"

	headerSize, entrySize       = 48, 24
	oldHeaderSize, oldEntrySize = 16, 12
	// The fields of the header, behind the magic.
	countAt, stringsSizeAt, endianAt, extensionAt = 20, 24, 28, 32

	extensionMagic               = 0xeaa42174
	extensionHeader, sectionSize = 8, 16
	generatorTag, subdirsTag     = 0, 1

	// namedHwcap marks an entry whose processor is a directory's name.
	namedHwcap   = 1 << 62
	isaLevelMask = 1<<10 - 1
	isaLevelAt   = 32
)

const (
	maxCache  = 8 << 20
	maxName   = 4096
	maxSubdir = 100
)

// Parse reads a cache. It gives ErrFormat for all that is none.
func Parse(data []byte) (*Cache, error) {
	if len(data) > maxCache {
		return nil, ErrFormat
	}
	start := bytes.Index(data, []byte(magic))
	if start < 0 || len(data)-start < headerSize {
		return nil, ErrFormat
	}
	c := &Cache{layout: layout{endian: data[start+endianAt], compat: bytes.HasPrefix(data, []byte(oldMagic))}}
	for _, order := range []byteOrder{binary.LittleEndian, binary.BigEndian} {
		if int64(order.Uint32(data[start+countAt:])) <= int64(len(data)-start-headerSize)/entrySize {
			c.layout.order = order
			break
		}
	}
	if c.layout.order == nil {
		return nil, ErrFormat
	}
	if err := c.read(data, start); err != nil {
		return nil, err
	}
	c.Exact = bytes.Equal(c.Bytes(), data)
	return c, nil
}

// read takes all from a file whose present format starts at an offset.
func (c *Cache) read(data []byte, start int) error {
	order, body := c.layout.order, data[start:]
	// Names may lie in each other: what they are together is bounded, too.
	left := maxCache
	text := func(offset uint32) (string, error) {
		if int64(offset) < headerSize || int64(offset) >= int64(len(body)) {
			return "", ErrFormat
		}
		s, _, ended := bytes.Cut(body[offset:min(int64(offset)+maxName, int64(len(body)))], []byte{0})
		if left -= len(s); !ended || left < 0 {
			return "", ErrFormat
		}
		return string(s), nil
	}
	subdirs, err := c.readExtensions(data, body, text)
	if err != nil {
		return err
	}
	count := int(order.Uint32(body[countAt:]))
	for i := range count {
		raw := body[headerSize+i*entrySize:]
		e := Entry{Kind: order.Uint32(raw), OSVersion: order.Uint32(raw[12:])}
		if e.Soname, err = text(order.Uint32(raw[4:])); err != nil {
			return err
		}
		if e.Path, err = text(order.Uint32(raw[8:])); err != nil {
			return err
		}
		if hwcap := order.Uint64(raw[16:]); hwcap&namedHwcap == 0 {
			e.LegacyHwcap = hwcap
		} else if index := uint32(hwcap); int64(index) < int64(len(subdirs)) {
			e.Subdir, e.ISALevel = subdirs[index], uint32(hwcap>>isaLevelAt)&isaLevelMask
		} else {
			return ErrFormat
		}
		c.Entries = append(c.Entries, e)
	}
	return nil
}

// readExtensions takes the generator and gives the names of the directories below glibc-hwcaps. Offsets count from the start of
// the file, those of strings from that of the present format.
func (c *Cache) readExtensions(data, body []byte, text func(uint32) (string, error)) (subdirs []string, err error) {
	order := c.layout.order
	at := int64(order.Uint32(body[extensionAt:]))
	if at == 0 {
		return nil, nil
	}
	if at+extensionHeader > int64(len(data)) || order.Uint32(data[at:]) != extensionMagic {
		return nil, ErrFormat
	}
	c.layout.extended = true
	count := int64(order.Uint32(data[at+4:]))
	if count > (int64(len(data))-at-extensionHeader)/sectionSize {
		return nil, ErrFormat
	}
	for i := range count {
		section := data[at+extensionHeader+i*sectionSize:]
		from, size := int64(order.Uint32(section[8:])), int64(order.Uint32(section[12:]))
		if from+size > int64(len(data)) {
			return nil, ErrFormat
		}
		switch content := data[from : from+size]; order.Uint32(section) {
		case generatorTag:
			c.Generator = string(content)
		case subdirsTag:
			if size > 4*maxSubdir {
				return nil, ErrFormat
			}
			for ; len(content) >= 4; content = content[4:] {
				name, err := text(order.Uint32(content))
				if err != nil {
					return nil, err
				}
				subdirs = append(subdirs, name)
			}
		}
	}
	return subdirs, nil
}

// Sort brings the entries into ldconfig's order: that in which the dynamic linker looks for a name, and where there are several
// of one name and kind, that of their directories, whose places rank gives.
func (c *Cache) Sort(rank func(Entry) int) { slices.SortStableFunc(c.Entries, order(rank)) }

// Sorted tells whether the entries are in the order that Sort would bring them into.
func (c *Cache) Sorted(rank func(Entry) int) bool { return slices.IsSortedFunc(c.Entries, order(rank)) }

func order(rank func(Entry) int) func(a, b Entry) int {
	return func(a, b Entry) int {
		switch {
		case a.Soname != b.Soname && Compare(a.Soname, b.Soname) != 0:
			return Compare(b.Soname, a.Soname)
		case a.Kind != b.Kind:
			return cmp.Compare(int32(b.Kind), int32(a.Kind))
		case a.Subdir != b.Subdir && (a.Subdir == "" || b.Subdir == ""):
			return cmp.Compare(len(b.Subdir), len(a.Subdir))
		case a.Subdir != b.Subdir:
			return strings.Compare(a.Subdir, b.Subdir)
		}
		return cmp.Or(-cmp.Compare(ones(a.LegacyHwcap), ones(b.LegacyHwcap)), -cmp.Compare(a.LegacyHwcap, b.LegacyHwcap),
			-cmp.Compare(a.OSVersion, b.OSVersion), cmp.Compare(rank(a), rank(b)))
	}
}

// ones counts the features of a processor.
func ones(hwcap uint64) int { return bits.OnesCount64(hwcap) }

// Compare compares names of libraries with the numbers in them by value: _dl_cache_libcmp in glibc's elf/dl-cache.c. It is
// negative if a comes before b.
func Compare(a, b string) int {
	for a != "" {
		switch digitA, digitB := startsWithDigit(a), startsWithDigit(b); {
		case digitA && digitB:
			var x, y int32
			x, a = number(a)
			y, b = number(b)
			if x != y {
				return cmp.Compare(x-y, 0)
			}
		case digitA:
			return 1
		case digitB:
			return -1
		case b == "":
			return 1
		case a[0] != b[0]:
			return cmp.Compare(int8(a[0]), int8(b[0]))
		default:
			a, b = a[1:], b[1:]
		}
	}
	if b == "" {
		return 0
	}
	return -1
}

func startsWithDigit(s string) bool { return s != "" && s[0] >= '0' && s[0] <= '9' }

// number reads the number that a text starts with, as C's int does: large ones wrap around.
func number(s string) (n int32, rest string) {
	for startsWithDigit(s) {
		n, s = n*10+int32(s[0]-'0'), s[1:]
	}
	return n, s
}
