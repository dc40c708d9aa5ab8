package ldcache

import (
	"slices"
	"strings"
)

// Bytes writes the cache as the ldconfig did that wrote the one it was read from.
func (c *Cache) Bytes() []byte {
	order := c.layout.order
	subdirs := c.subdirs()
	var offsets map[string]uint32
	var text []byte
	if c.layout.extended {
		offsets, text = c.mergedStrings(subdirs)
	}
	table := make([]byte, headerSize, headerSize+entrySize*len(c.Entries))
	base := uint32(headerSize + entrySize*len(c.Entries))
	for _, e := range c.Entries {
		var soname, name uint32
		if c.layout.extended {
			soname, name = offsets[e.Soname], offsets[e.Path]
		} else {
			soname = uint32(len(text))
			text = append(append(text, e.Soname...), 0)
			name = uint32(len(text))
			text = append(append(text, e.Path...), 0)
		}
		hwcap := e.LegacyHwcap
		if e.Subdir != "" {
			index, _ := slices.BinarySearch(subdirs, e.Subdir)
			hwcap = namedHwcap | uint64(e.ISALevel)<<isaLevelAt | uint64(index)
		}
		for _, n := range []uint32{e.Kind, base + soname, base + name, e.OSVersion} {
			table = order.AppendUint32(table, n)
		}
		table = order.AppendUint64(table, hwcap)
	}
	copy(table, magic)
	table[endianAt] = c.layout.endian
	order.PutUint32(table[countAt:], uint32(len(c.Entries)))
	order.PutUint32(table[stringsSizeAt:], uint32(len(text)))
	old := c.oldTable(table)
	if c.layout.extended {
		end := len(old) + len(table) + len(text)
		padding := (4 - end%4) % 4
		order.PutUint32(table[extensionAt:], uint32(end+padding))
		text = append(text, make([]byte, padding)...)
		text = append(text, c.extensions(uint32(end+padding), base, subdirs, offsets)...)
	}
	return slices.Concat(old, table, text)
}

// oldTable is the same table in the format of libc5, which comes first and takes the other for a part of its strings. It has no
// libraries of directories that stand for features of old.
func (c *Cache) oldTable(table []byte) []byte {
	if !c.layout.compat {
		return nil
	}
	old := make([]byte, oldHeaderSize)
	copy(old, oldMagic)
	for i, e := range c.Entries {
		if e.LegacyHwcap == 0 {
			old = append(old, table[headerSize+i*entrySize:][:oldEntrySize]...)
		}
	}
	if n := len(old); (n-oldHeaderSize)/oldEntrySize%2 == 1 {
		old = append(old, old[n-oldEntrySize:]...) // for the alignment of what follows
	}
	c.layout.order.PutUint32(old[oldHeaderSize-4:], uint32((len(old)-oldHeaderSize)/oldEntrySize))
	return old
}

// subdirs are the directories below glibc-hwcaps that have libraries, sorted: entries name them by number.
func (c *Cache) subdirs() []string {
	var names []string
	for _, e := range c.Entries {
		if e.Subdir != "" {
			names = append(names, e.Subdir)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// mergedStrings arranges all strings so that those that another one ends with lie in it, and tells where each is.
func (c *Cache) mergedStrings(subdirs []string) (offsets map[string]uint32, text []byte) {
	names := slices.Clone(subdirs)
	for _, e := range c.Entries {
		names = append(names, e.Soname, e.Path)
	}
	slices.SortFunc(names, compareEnds)
	names = slices.Compact(names)
	offsets = make(map[string]uint32, len(names))
	before := ""
	for _, name := range names {
		if before != "" && strings.HasSuffix(before, name) {
			offsets[name] = offsets[before] + uint32(len(before)-len(name))
		} else {
			offsets[name] = uint32(len(text))
			text = append(append(text, name...), 0)
		}
		before = name
	}
	return offsets, text
}

// compareEnds orders strings by their last bytes, the greatest first, and one before those that it ends with.
func compareEnds(a, b string) int {
	for i := 1; i <= min(len(a), len(b)); i++ {
		if x, y := a[len(a)-i], b[len(b)-i]; x != y {
			return int(y) - int(x)
		}
	}
	return len(b) - len(a)
}

// extensions writes the directory of extensions, which will lie at an offset, and what they hold.
func (c *Cache) extensions(at, base uint32, subdirs []string, offsets map[string]uint32) []byte {
	order := c.layout.order
	count := uint32(1)
	if len(subdirs) > 0 {
		count = 2
	}
	size := uint32(4 * len(subdirs))
	content := at + extensionHeader + count*sectionSize
	words := []uint32{extensionMagic, count, generatorTag, 0, content + size, uint32(len(c.Generator))}
	if len(subdirs) > 0 {
		words = append(words, subdirsTag, 0, content, size)
	}
	for _, name := range subdirs {
		words = append(words, base+offsets[name])
	}
	var out []byte
	for _, n := range words {
		out = order.AppendUint32(out, n)
	}
	return append(out, c.Generator...)
}
