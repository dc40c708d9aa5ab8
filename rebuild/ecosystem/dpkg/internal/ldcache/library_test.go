package ldcache

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"
	"testing"
)

// sample describes a shared object to write.
type sample struct {
	machine elf.Machine
	narrow  bool
	big     bool
	flags   uint32
	// needed is a library that it needs, interp its interpreter.
	needed, interp string
	// os and isa are what its notes say, 0 for none.
	os  uint32
	isa uint32
}

// write writes it by its program headers alone.
func (s sample) write() []byte {
	var order byteOrder = binary.LittleEndian
	class, data := elf.ELFCLASS64, elf.ELFDATA2LSB
	if s.big {
		order, data = binary.BigEndian, elf.ELFDATA2MSB
	}
	header, segmentSize := 64, 56
	if s.narrow {
		class, header, segmentSize = elf.ELFCLASS32, 52, 32
	}
	var body []byte
	base := header + 5*segmentSize
	put := func(words ...uint32) []byte {
		var b []byte
		for _, w := range words {
			b = order.AppendUint32(b, w)
		}
		return b
	}
	type part struct {
		kind     elf.ProgType
		at, size int
	}
	var parts []part
	add := func(kind elf.ProgType, content []byte) {
		parts = append(parts, part{kind, base + len(body), len(content)})
		body = append(body, content...)
		body = append(body, make([]byte, (8-len(body)%8)%8)...)
	}
	names := "\x00libx.so.1\x00" + s.needed + "\x00"
	body = append(append(body, names...), make([]byte, (8-len(names)%8)%8)...)
	var dynamic []byte
	for _, pair := range [][2]uint64{{uint64(elf.DT_STRTAB), uint64(base)}, {uint64(elf.DT_NEEDED), 11}, {uint64(elf.DT_SONAME), 1}, {0, 0}} {
		for _, n := range pair {
			if s.narrow {
				dynamic = order.AppendUint32(dynamic, uint32(n))
			} else {
				dynamic = order.AppendUint64(dynamic, n)
			}
		}
	}
	add(elf.PT_DYNAMIC, dynamic)
	if s.interp != "" {
		add(elf.PT_INTERP, []byte(s.interp+"\x00"))
	}
	if s.os != 0 {
		note := append(put(4, 16, 1), "GNU\x00"...)
		add(elf.PT_NOTE, append(note, put(0, s.os>>16, s.os>>8&0xff, s.os&0xff)...))
	}
	if s.isa != 0 {
		note := append(put(4, 16, 5), "GNU\x00"...)
		add(elf.PT_GNU_PROPERTY, append(note, put(0xc0008002, 4, s.isa, 0)...))
	}
	out := append([]byte(elf.ELFMAG), byte(class), byte(data), 1)
	out = append(out, make([]byte, 16-len(out))...)
	out = order.AppendUint16(order.AppendUint16(out, uint16(elf.ET_DYN)), uint16(s.machine))
	out = append(out, put(1)...)
	for _, n := range []int{0, header, 0} { // entry, program headers, section headers
		if s.narrow {
			out = order.AppendUint32(out, uint32(n))
		} else {
			out = order.AppendUint64(out, uint64(n))
		}
	}
	out = append(out, put(s.flags)...)
	for _, n := range []int{header, segmentSize, len(parts), 0, 0, 0} {
		out = order.AppendUint16(out, uint16(n))
	}
	for _, p := range parts {
		if s.narrow {
			out = append(out, put(uint32(p.kind), uint32(p.at), uint32(p.at), 0, uint32(p.size), uint32(p.size), 4, 4)...)
			continue
		}
		out = append(out, put(uint32(p.kind), 4)...)
		for _, n := range []int{p.at, p.at, 0, p.size, p.size, 8} {
			out = order.AppendUint64(out, uint64(n))
		}
	}
	out = append(out, make([]byte, base-len(out))...)
	return append(out, body...)
}

func TestRead(t *testing.T) {
	for name, tc := range map[string]struct {
		sample
		want Library
		bad  bool
	}{
		"amd64":                 {sample: sample{machine: elf.EM_X86_64}, want: Library{machine: 0x0300}},
		"x32":                   {sample: sample{machine: elf.EM_X86_64, narrow: true}, want: Library{machine: 0x0800}},
		"processor of level 3":  {sample: sample{machine: elf.EM_X86_64, isa: 0b0111}, want: Library{machine: 0x0300, ISALevel: 2}},
		"a kernel":              {sample: sample{machine: elf.EM_X86_64, os: 0x030200}, want: Library{machine: 0x0300, OSVersion: 0x030200}},
		"i386":                  {sample: sample{machine: elf.EM_386, narrow: true}, want: Library{}},
		"i386, needs libc":      {sample: sample{machine: elf.EM_386, narrow: true, needed: "libc.so.6"}, want: Library{libc6: true}},
		"i386's libc":           {sample: sample{machine: elf.EM_386, narrow: true, interp: "/lib/ld-linux.so.2"}, want: Library{libc6: true}},
		"arm64":                 {sample: sample{machine: elf.EM_AARCH64}, want: Library{machine: 0x0a00}},
		"armhf":                 {sample: sample{machine: elf.EM_ARM, narrow: true, flags: 0x05000400}, want: Library{machine: 0x0900}},
		"armel":                 {sample: sample{machine: elf.EM_ARM, narrow: true, flags: 0x05000200}, want: Library{machine: 0x0b00}},
		"arm, unmarked":         {sample: sample{machine: elf.EM_ARM, narrow: true, flags: 0x05000000}, want: Library{}},
		"s390x":                 {sample: sample{machine: elf.EM_S390, big: true}, want: Library{machine: 0x0400}},
		"ppc64el":               {sample: sample{machine: elf.EM_PPC64}, want: Library{machine: 0x0500}},
		"mips64el":              {sample: sample{machine: elf.EM_MIPS}, want: Library{machine: 0x0700}},
		"mips64r6el":            {sample: sample{machine: elf.EM_MIPS, flags: 0x400}, want: Library{machine: 0x0e00}},
		"mipsn32":               {sample: sample{machine: elf.EM_MIPS, narrow: true, flags: 0x20}, want: Library{machine: 0x0600}},
		"riscv64":               {sample: sample{machine: elf.EM_RISCV, flags: 0x5}, want: Library{machine: 0x1000}},
		"riscv with quad words": {sample: sample{machine: elf.EM_RISCV, flags: 0x6}, bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			data := tc.write()
			if x, err := elf.NewFile(bytes.NewReader(data)); err != nil || x.Machine != tc.machine {
				t.Fatalf("the sample is none that debug/elf reads: %v", err)
			}
			got, err := Read(bytes.NewReader(data))
			if tc.bad {
				if !errors.Is(err, ErrNoLibrary) {
					t.Errorf("%+v, %v", got, err)
				}
				return
			}
			tc.want.Soname = "libx.so.1"
			if err != nil || *got != tc.want {
				t.Errorf("%+v, %v, want %+v", got, err, tc.want)
			}
		})
	}
}

// broken is a reader that fails behind some bytes.
type broken struct{ data []byte }

var errBroken = errors.New("the disk is broken")

func (b broken) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > int64(len(b.data)) {
		return 0, errBroken
	}
	return copy(p, b.data[off:]), nil
}

// TestReadBroken: what cannot be read is an error, and what is cut off no library.
func TestReadBroken(t *testing.T) {
	data := sample{machine: elf.EM_X86_64, os: 1 << 16}.write()
	for n := range data {
		if _, err := Read(broken{data[:n]}); err != nil && !errors.Is(err, errBroken) {
			t.Fatalf("%d bytes, then an error: %v", n, err)
		}
		if l, err := Read(io.NewSectionReader(bytes.NewReader(data), 0, int64(n))); err != nil && !errors.Is(err, ErrNoLibrary) {
			t.Fatalf("%d bytes: %+v, %v", n, l, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(sample{machine: elf.EM_X86_64, os: 1 << 16, isa: 3, interp: "/lib/ld-linux.so.2"}.write())
	f.Add(sample{machine: elf.EM_ARM, narrow: true, needed: "libc.so.6"}.write())
	f.Fuzz(func(t *testing.T, data []byte) {
		if l, err := Read(bytes.NewReader(data)); err != nil && !errors.Is(err, ErrNoLibrary) {
			t.Errorf("%+v, %v", l, err)
		}
	})
}
