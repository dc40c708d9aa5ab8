package ldcache

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// file is an ELF file as the dynamic linker and ldconfig see it: by its program headers. Sections, which a library need not have, are
// not looked at, and nothing is read that is not asked for.
type file struct {
	r       io.ReaderAt
	order   binary.ByteOrder
	wide    bool
	machine elf.Machine
	flags   uint32
	progs   []segment
}

// segment is a program header.
type segment struct {
	kind                       elf.ProgType
	offset, addr, size, aligns uint64
}

const (
	maxSegments = 1000
	maxDynamic  = 1 << 20
	maxNotes    = 4096
)

// open reads the headers of a shared object.
func open(r io.ReaderAt) (*file, error) {
	const size32, size64 = 52, 64
	head := make([]byte, size64)
	n, err := r.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading a library: %w", err)
	}
	f := &file{r: r, wide: head[elf.EI_CLASS] == byte(elf.ELFCLASS64), order: binary.LittleEndian}
	if n < size32 || f.wide && n < size64 || string(head[:4]) != elf.ELFMAG {
		return nil, ErrNoLibrary
	}
	if head[elf.EI_DATA] == byte(elf.ELFDATA2MSB) {
		f.order = binary.BigEndian
	}
	if elf.Type(f.order.Uint16(head[16:])) != elf.ET_DYN {
		return nil, ErrNoLibrary
	}
	f.machine = elf.Machine(f.order.Uint16(head[18:]))
	at, flagsAt, countAt := uint64(f.order.Uint32(head[28:])), 36, 44
	if f.wide {
		at, flagsAt, countAt = f.order.Uint64(head[32:]), 48, 56
	}
	f.flags = f.order.Uint32(head[flagsAt:])
	return f, f.readSegments(at, int(f.order.Uint16(head[countAt:])))
}

func (f *file) readSegments(at uint64, count int) error {
	if count > maxSegments {
		return ErrNoLibrary
	}
	size := 32
	if f.wide {
		size = 56
	}
	raw, err := f.bytes(at, uint64(count*size))
	if err != nil {
		return err
	}
	for ; len(raw) > 0; raw = raw[size:] {
		s := segment{kind: elf.ProgType(f.order.Uint32(raw))}
		if f.wide {
			s.offset, s.addr = f.order.Uint64(raw[8:]), f.order.Uint64(raw[16:])
			s.size, s.aligns = f.order.Uint64(raw[32:]), f.order.Uint64(raw[48:])
		} else {
			s.offset, s.addr = uint64(f.order.Uint32(raw[4:])), uint64(f.order.Uint32(raw[8:]))
			s.size, s.aligns = uint64(f.order.Uint32(raw[16:])), uint64(f.order.Uint32(raw[28:]))
		}
		f.progs = append(f.progs, s)
	}
	return nil
}

// bytes reads a part of the file. One that is cut off is no library.
func (f *file) bytes(at, size uint64) ([]byte, error) {
	if at > 1<<62 {
		return nil, ErrNoLibrary
	}
	b := make([]byte, size)
	if n, err := f.r.ReadAt(b, int64(at)); uint64(n) < size {
		if errors.Is(err, io.EOF) {
			return nil, ErrNoLibrary
		}
		return nil, fmt.Errorf("reading a library: %w", err)
	}
	return b, nil
}

// text reads a string that ends with a zero.
func (f *file) text(at uint64) (string, error) {
	if at > 1<<62 {
		return "", ErrNoLibrary
	}
	b := make([]byte, maxName)
	n, err := f.r.ReadAt(b, int64(at))
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading a library: %w", err)
	}
	for i, c := range b[:n] {
		if c == 0 {
			return string(b[:i]), nil
		}
	}
	return "", ErrNoLibrary
}

// dynamic gives the strings that the dynamic segment names, by tag and in order.
func (f *file) dynamic() (map[elf.DynTag][]string, error) {
	var raw []byte
	for _, s := range f.progs {
		if s.kind != elf.PT_DYNAMIC {
			continue
		}
		var err error
		if raw, err = f.bytes(s.offset, min(s.size, maxDynamic)); err != nil {
			return nil, err
		}
	}
	word := 4
	if f.wide {
		word = 8
	}
	values := make(map[elf.DynTag][]uint64)
	for ; len(raw) >= 2*word; raw = raw[2*word:] {
		tag, value := uint64(f.order.Uint32(raw)), uint64(f.order.Uint32(raw[4:]))
		if f.wide {
			tag, value = f.order.Uint64(raw), f.order.Uint64(raw[8:])
		}
		if elf.DynTag(tag) == elf.DT_NULL {
			break
		}
		values[elf.DynTag(tag)] = append(values[elf.DynTag(tag)], value)
	}
	if len(values[elf.DT_STRTAB]) == 0 {
		return nil, ErrNoLibrary
	}
	base := f.offsetOf(values[elf.DT_STRTAB][0])
	names := make(map[elf.DynTag][]string)
	const maxNeeded = 10_000
	for _, tag := range []elf.DynTag{elf.DT_SONAME, elf.DT_NEEDED} {
		for _, at := range values[tag][:min(len(values[tag]), maxNeeded)] {
			name, err := f.text(base + at)
			if err != nil {
				return nil, err
			}
			names[tag] = append(names[tag], name)
		}
	}
	return names, nil
}

// offsetOf tells where in the file an address lies.
func (f *file) offsetOf(addr uint64) uint64 {
	for _, s := range f.progs {
		if s.kind == elf.PT_LOAD && addr >= s.addr && addr-s.addr < s.size {
			return addr - s.addr + s.offset
		}
	}
	return addr
}

// notes calls visit for the notes of segments of a kind, until it says that it is done; a note is its name, type and content.
func (f *file) notes(kind elf.ProgType, visit func(name string, kind uint32, content []byte) (done bool)) error {
	const header = 12
	for _, s := range f.progs {
		if s.kind != kind || s.aligns != 4 && s.aligns != 8 {
			continue
		}
		raw, err := f.bytes(s.offset, min(s.size, maxNotes))
		if err != nil {
			return err
		}
		for len(raw) >= header {
			nameSize, size := uint64(f.order.Uint32(raw)), uint64(f.order.Uint32(raw[4:]))
			from := aligned(header+nameSize, s.aligns)
			end := from + size
			if end > uint64(len(raw)) || header+nameSize > from {
				break
			}
			if visit(string(raw[header:header+nameSize]), f.order.Uint32(raw[8:]), raw[from:end]) {
				return nil
			}
			raw = raw[min(aligned(end, s.aligns), uint64(len(raw))):]
		}
	}
	return nil
}

func aligned(n, to uint64) uint64 { return (n + to - 1) / to * to }
