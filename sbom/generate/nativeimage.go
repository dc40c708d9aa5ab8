package generate

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"
	"math"

	"github.com/anchore/syft/syft/artifact"
	"github.com/anchore/syft/syft/file"
	"github.com/anchore/syft/syft/pkg"
	"github.com/anchore/syft/syft/pkg/cataloger/java"
)

// nativeImageSymbol is one of the three symbols that a native image of Java has if there is an SBOM in it.
const nativeImageSymbol = "__svm_version_info"

// nativeImages is syft's cataloger of native images, which decodes all symbols of every program to look for three of them. It is shown
// only programs in whose tables of names one of these is.
type nativeImages struct{ pkg.Cataloger }

func newNativeImages() nativeImages { return nativeImages{java.NewNativeImageCataloger()} }

func (c nativeImages) Catalog(ctx context.Context, r file.Resolver) ([]pkg.Package, []artifact.Relationship, error) {
	return c.Cataloger.Catalog(ctx, nativeImageResolver{r})
}

type nativeImageResolver struct{ file.Resolver }

func (r nativeImageResolver) FilesByMIMEType(types ...string) ([]file.Location, error) {
	all, err := r.Resolver.FilesByMIMEType(types...)
	if err != nil {
		return nil, err
	}
	var may []file.Location
	for _, l := range all {
		if r.mayBeNativeImage(l) {
			may = append(may, l)
		}
	}
	return may, nil
}

// mayBeNativeImage is true where it is not known better: what cannot be read is for the cataloger to report.
func (r nativeImageResolver) mayBeNativeImage(l file.Location) bool {
	f, err := r.FileContentsByLocation(l)
	if err != nil {
		return true
	}
	defer f.Close()
	program, ok := f.(io.ReaderAt)
	return !ok || mayHaveSymbol(program, nativeImageSymbol)
}

// mayHaveSymbol tells whether a program has a symbol, or is one of which that is not known: no 64-bit ELF file, or a contrived one.
// Only the headers of sections are looked at (System V ABI, chapter 4), and the names of symbols as text.
func mayHaveSymbol(file io.ReaderAt, symbol string) bool {
	program := io.NewSectionReader(file, 0, math.MaxInt64) // no offset is too large for it
	const headerSize, sectionSize = 64, 64
	var h [headerSize]byte
	if _, err := program.ReadAt(h[:], 0); err != nil || string(h[:4]) != elf.ELFMAG || elf.Class(h[elf.EI_CLASS]) != elf.ELFCLASS64 {
		return true
	}
	var order binary.ByteOrder = binary.LittleEndian
	if elf.Data(h[elf.EI_DATA]) == elf.ELFDATA2MSB {
		order = binary.BigEndian
	}
	at, size, count := int64(order.Uint64(h[40:])), order.Uint16(h[58:]), order.Uint16(h[60:])
	if size != sectionSize || count == 0 || at < 0 {
		return true
	}
	var last [1]byte
	if n, _ := program.ReadAt(last[:], at+sectionSize*int64(count)-1); n == 0 {
		return true // nothing is believed of how many there are
	}
	sections := make([]byte, sectionSize*int(count))
	if _, err := program.ReadAt(sections, at); err != nil && !errors.Is(err, io.EOF) {
		return true
	}
	seen := map[elf.SectionType]bool{} // debug/elf reads the first of each kind
	for i := range int(count) {
		s := sections[sectionSize*i:]
		kind, link := elf.SectionType(order.Uint32(s[4:])), order.Uint32(s[40:])
		if kind != elf.SHT_SYMTAB && kind != elf.SHT_DYNSYM || seen[kind] {
			continue
		}
		if seen[kind] = true; link >= uint32(count) {
			continue
		}
		names := sections[sectionSize*int(link):]
		flags, off, n := elf.SectionFlag(order.Uint64(names[8:])), int64(order.Uint64(names[24:])), int64(order.Uint64(names[32:]))
		if flags&elf.SHF_COMPRESSED != 0 || off < 0 || n < 0 {
			return true
		}
		// A section may be compressed without saying so (".zdebug"). Tables of names begin with a NUL.
		var magic [4]byte
		if _, err := program.ReadAt(magic[:], off); err != nil && !errors.Is(err, io.EOF) || string(magic[:]) == "ZLIB" {
			return true
		}
		if found, err := contains(io.NewSectionReader(program, off, n), symbol); found || err != nil {
			return true
		}
	}
	return false
}

// contains tells whether a text is in what is read.
func contains(r io.Reader, text string) (bool, error) {
	buf := make([]byte, 64<<10)
	for n := 0; ; {
		more, err := io.ReadFull(r, buf[n:])
		n += more
		switch {
		case bytes.Contains(buf[:n], []byte(text)):
			return true, nil
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return false, nil
		case err != nil:
			return false, err
		}
		n = copy(buf, buf[n-len(text)+1:n])
	}
}
