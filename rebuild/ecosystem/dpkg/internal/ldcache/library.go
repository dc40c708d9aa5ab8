package ldcache

import (
	"debug/elf"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
)

// ErrNoLibrary says that a file is no shared library.
var ErrNoLibrary = errors.New("not a shared library")

// Library is what ldconfig reads of a shared library.
type Library struct {
	// Soname is the name under which programs ask for it, "" if it has none and goes by its file's.
	Soname string
	// OSVersion is the oldest kernel that it works with, 0 if it does not say.
	OSVersion uint32
	machine   uint32
	// libc6 says that it needs glibc by name.
	libc6 bool
}

// The kinds of libraries (sysdeps/generic/ldconfig.h): the C library, and the machine where the native one is not meant.
const (
	kindELF, kindLibc6 = 0x0001, 0x0003

	kindX8664, kindS390, kindPowerPC, kindMIPSN32, kindMIPSN64, kindX32 = 0x0300, 0x0400, 0x0500, 0x0600, 0x0700, 0x0800
	kindARMHard, kindAArch64, kindARMSoft                               = 0x0900, 0x0a00, 0x0b00
	kindMIPS2008, kindMIPSN322008, kindMIPSN642008                      = 0x0c00, 0x0d00, 0x0e00
	kindRISCVSoft, kindRISCVDouble                                      = 0x0f00, 0x1000
)

// Read reads a library. It gives ErrNoLibrary for all that is none.
func Read(r io.ReaderAt) (*Library, error) {
	x, err := elf.NewFile(r)
	if err != nil || x.Type != elf.ET_DYN || !plain(x) {
		return nil, ErrNoLibrary
	}
	names, err := x.DynString(elf.DT_SONAME)
	if err != nil {
		return nil, ErrNoLibrary
	}
	needed, err := x.DynString(elf.DT_NEEDED)
	if err != nil {
		return nil, ErrNoLibrary
	}
	l := &Library{libc6: slices.ContainsFunc(needed, func(n string) bool { return n == "libc.so.6" || n == "libm.so.6" })}
	if len(names) > 0 && !strings.Contains(names[0], "/") {
		l.Soname = names[0]
	}
	var flags uint32
	raw := make([]byte, 4)
	flagsAt := int64(0x24)
	if x.Class == elf.ELFCLASS64 {
		flagsAt = 0x30
	}
	if _, err := r.ReadAt(raw, flagsAt); err == nil {
		flags = x.ByteOrder.Uint32(raw)
	}
	var known bool
	if l.machine, known = machine(x, flags); !known {
		return nil, ErrNoLibrary
	}
	l.OSVersion = osVersion(x)
	return l, nil
}

// plain tells whether the sections that name libraries are stored as they are, as the dynamic linker needs them: a
// compressed section could unpack to anything.
func plain(x *elf.File) bool {
	return !slices.ContainsFunc(x.Sections, func(s *elf.Section) bool {
		return (s.Type == elf.SHT_DYNAMIC || s.Type == elf.SHT_STRTAB) && s.Flags&elf.SHF_COMPRESSED != 0
	})
}

// machine is the part of a library's kind that says what it runs on, 0 where there was only one at first. It is not known where
// ldconfig leaves the library out.
func machine(x *elf.File, flags uint32) (kind uint32, known bool) {
	wide := x.Class == elf.ELFCLASS64
	switch x.Machine {
	case elf.EM_X86_64:
		return choose(wide, kindX8664, kindX32), true
	case elf.EM_AARCH64:
		return choose(wide, kindAArch64, 0), true
	case elf.EM_S390:
		return choose(wide, kindS390, 0), true
	case elf.EM_PPC64:
		return kindPowerPC, true
	case elf.EM_ARM:
		const eabi, hard, soft = 5, 0x400, 0x200
		switch {
		case flags>>24 == eabi && flags&hard != 0:
			return kindARMHard, true
		case flags>>24 == eabi && flags&soft != 0:
			return kindARMSoft, true
		}
	case elf.EM_MIPS:
		const abi2, nan2008 = 0x20, 0x400
		is2008 := flags&nan2008 != 0
		switch {
		case wide:
			return choose(is2008, kindMIPSN642008, kindMIPSN64), true
		case flags&abi2 != 0:
			return choose(is2008, kindMIPSN322008, kindMIPSN32), true
		}
		return choose(is2008, kindMIPS2008, 0), true
	case elf.EM_RISCV:
		const floatMask, double, compressed = 0x6, 0x4, 0x1
		if flags&^(floatMask|compressed) != 0 || flags&floatMask != 0 && flags&floatMask != double {
			return 0, false
		}
		return choose(flags&floatMask == double, kindRISCVDouble, kindRISCVSoft), true
	}
	return 0, true
}

func choose(yes bool, a, b uint32) uint32 {
	if yes {
		return a
	}
	return b
}

// osVersion reads the oldest kernel from the note about the ABI: its system in the highest byte, then three numbers.
func osVersion(x *elf.File) uint32 {
	const minSize, maxSize, headerWords, abiTag = 32, 4096, 3, 1
	for _, p := range x.Progs {
		if p.Type != elf.PT_NOTE || p.Filesz < minSize || p.Align != 4 && p.Align != 8 {
			continue
		}
		notes := make([]byte, min(p.Filesz, maxSize))
		if _, err := p.ReadAt(notes, 0); err != nil {
			continue
		}
		for len(notes) >= minSize {
			word := func(i int) uint32 { return x.ByteOrder.Uint32(notes[4*i:]) }
			if word(0) == 4 && word(1) == 16 && word(2) == abiTag && string(notes[12:16]) == "GNU\x00" {
				return word(4)<<24 | word(5)&0xff<<16 | word(6)&0xff<<8 | word(7)&0xff
			}
			size := aligned(aligned(headerWords*4+uint64(word(0)), p.Align)+uint64(word(1)), p.Align)
			if size >= uint64(len(notes)) {
				break
			}
			notes = notes[size:]
		}
	}
	return 0
}

func aligned(n, to uint64) uint64 { return (n + to - 1) / to * to }

// release finds the version of glibc in a generator's name.
var release = regexp.MustCompile(`release version 2\.(\d+)`)

// Entry is the entry that the cache's ldconfig makes for a library under a name.
func (c *Cache) Entry(l *Library, soname, path string) Entry {
	e := Entry{Soname: soname, Path: path, Kind: l.machine | kindLibc6}
	if l.machine == 0 && !l.libc6 && c.before("37") {
		e.Kind = kindELF
	}
	if c.before("36") {
		e.OSVersion = l.OSVersion
	}
	return e
}

// before tells whether the cache's ldconfig is older than a minor version of glibc 2; those before 2.33 left no name.
func (c *Cache) before(minor string) bool {
	m := release.FindStringSubmatch(c.Generator)
	return m == nil || Compare(m[1], minor) < 0
}
