package ldcache

import (
	"debug/elf"
	"errors"
	"io"
	"math/bits"
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
	// OSVersion is the oldest kernel that it works with, 0 if it does not say; ISALevel is what it says that it needs of an x86
	// processor.
	OSVersion, ISALevel uint32
	machine             uint32
	// libc6 says that it needs glibc, or its dynamic linker, by name.
	libc6 bool
}

// The kinds of libraries (sysdeps/generic/ldconfig.h): the C library, and the machine where the native one is not meant.
const (
	kindLibc6   = 0x0003
	kindMachine = 0xff00

	kindX8664, kindS390, kindPowerPC, kindMIPSN32, kindMIPSN64, kindX32 = 0x0300, 0x0400, 0x0500, 0x0600, 0x0700, 0x0800
	kindARMHard, kindAArch64, kindARMSoft                               = 0x0900, 0x0a00, 0x0b00
	kindMIPS2008, kindMIPSN322008, kindMIPSN642008                      = 0x0c00, 0x0d00, 0x0e00
	kindRISCVSoft, kindRISCVDouble                                      = 0x0f00, 0x1000
)

// Read reads a library. It gives ErrNoLibrary for all that is none; other errors are the reader's.
func Read(r io.ReaderAt) (*Library, error) {
	f, err := open(r)
	if err != nil {
		return nil, err
	}
	names, err := f.dynamic()
	if err != nil {
		return nil, err
	}
	l := &Library{libc6: slices.ContainsFunc(names[elf.DT_NEEDED], func(n string) bool { return n == "libc.so.6" || n == "libm.so.6" })}
	if sonames := names[elf.DT_SONAME]; len(sonames) > 0 {
		l.Soname = sonames[0]
	}
	if strings.Contains(l.Soname, "/") {
		return nil, ErrNoLibrary
	}
	var known bool
	if l.machine, known = f.machineKind(); !known {
		return nil, ErrNoLibrary
	}
	for _, s := range f.progs {
		if s.kind == elf.PT_INTERP {
			interpreter, err := f.text(s.offset)
			if err != nil {
				return nil, err
			}
			l.libc6 = l.libc6 || strings.HasPrefix(interpreter, "/lib") && strings.Contains(interpreter, "/ld-linux")
		}
	}
	return l, f.readNotes(l)
}

// readNotes takes the oldest kernel from the note about the ABI (its system in the highest byte, then three numbers), and the level
// of the processor from the property that x86 has for it: the highest of its bits.
func (f *file) readNotes(l *Library) error {
	const gnu, abiTag, propertyTag = "GNU\x00", 1, 5
	err := f.notes(elf.PT_NOTE, func(name string, kind uint32, content []byte) bool {
		if name != gnu || kind != abiTag || len(content) != 16 {
			return false
		}
		word := func(i int) uint32 { return f.order.Uint32(content[4*i:]) }
		l.OSVersion = word(0)<<24 | word(1)&0xff<<16 | word(2)&0xff<<8 | word(3)&0xff
		return true
	})
	if err != nil || f.machine != elf.EM_X86_64 && f.machine != elf.EM_386 {
		return err
	}
	const isaNeeded, header = 0xc0008002, 8
	align := uint64(4)
	if f.wide {
		align = 8
	}
	return f.notes(elf.PT_GNU_PROPERTY, func(name string, kind uint32, content []byte) bool {
		if name != gnu || kind != propertyTag {
			return false
		}
		for len(content) >= header {
			property, size := f.order.Uint32(content), uint64(f.order.Uint32(content[4:]))
			if property == isaNeeded && size == 4 && len(content) >= header+4 {
				l.ISALevel = uint32(max(0, bits.Len32(f.order.Uint32(content[header:]))-1))
			}
			content = content[min(header+aligned(size, align), uint64(len(content))):]
		}
		return true
	})
}

// machineKind is the part of a library's kind that says what it runs on, 0 where there was only one at first. It is not known
// where ldconfig leaves the library out.
func (f *file) machineKind() (kind uint32, known bool) {
	switch f.machine {
	case elf.EM_X86_64:
		return choose(f.wide, kindX8664, kindX32), true
	case elf.EM_AARCH64:
		return choose(f.wide, kindAArch64, 0), true
	case elf.EM_S390:
		return choose(f.wide, kindS390, 0), true
	case elf.EM_PPC64:
		return kindPowerPC, true
	case elf.EM_ARM:
		const eabi, hard, soft = 5, 0x400, 0x200
		switch {
		case f.flags>>24 == eabi && f.flags&hard != 0:
			return kindARMHard, true
		case f.flags>>24 == eabi && f.flags&soft != 0:
			return kindARMSoft, true
		}
	case elf.EM_MIPS:
		const abi2, nan2008 = 0x20, 0x400
		is2008 := f.flags&nan2008 != 0
		switch {
		case f.wide:
			return choose(is2008, kindMIPSN642008, kindMIPSN64), true
		case f.flags&abi2 != 0:
			return choose(is2008, kindMIPSN322008, kindMIPSN32), true
		}
		return choose(is2008, kindMIPS2008, 0), true
	case elf.EM_RISCV:
		const floatMask, double, compressed = 0x6, 0x4, 0x1
		if f.flags&^(floatMask|compressed) != 0 || f.flags&floatMask != 0 && f.flags&floatMask != double {
			return 0, false
		}
		return choose(f.flags&floatMask == double, kindRISCVDouble, kindRISCVSoft), true
	}
	return 0, true
}

func choose(yes bool, a, b uint32) uint32 {
	if yes {
		return a
	}
	return b
}

// release finds the version of glibc in a generator's name.
var release = regexp.MustCompile(`release version 2\.(\d+)`)

// Entry is the entry that the cache's ldconfig makes for a new library under a name. It is not known for one whose machine no
// library in the cache is for: then ldconfig may well leave it out, as one of a foreign architecture.
func (c *Cache) Entry(l *Library, soname, path string) (e Entry, known bool) {
	e = Entry{Soname: soname, Path: path, Kind: l.machine | kindLibc6}
	if c.Before(36) {
		e.OSVersion = l.OSVersion
	}
	if l.machine == 0 && !l.libc6 && c.Before(37) {
		return e, false
	}
	return e, slices.ContainsFunc(c.Entries, func(o Entry) bool { return o.Kind == e.Kind })
}

// Renew is what the cache's ldconfig makes of an entry when its library is another one. It is not known for one of another machine.
func (c *Cache) Renew(e Entry, l *Library) (renewed Entry, known bool) {
	if e.OSVersion = 0; c.Before(36) {
		e.OSVersion = l.OSVersion
	}
	if e.Subdir != "" {
		e.ISALevel = l.ISALevel
	}
	return e, e.Kind&kindMachine == l.machine
}

// Before tells whether the cache's ldconfig is older than a minor version of glibc 2; those before 2.33 left no name.
func (c *Cache) Before(minor int) bool {
	m := release.FindStringSubmatch(c.Generator)
	if m == nil {
		return true
	}
	n, _ := number(m[1])
	return int(n) < minor
}
