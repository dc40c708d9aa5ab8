package generate

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"sync"

	"github.com/anchore/syft/syft/artifact"
	"github.com/anchore/syft/syft/file"
	"github.com/anchore/syft/syft/pkg"
	"github.com/anchore/syft/syft/pkg/cataloger/dotnet"
	"github.com/anchore/syft/syft/pkg/cataloger/java"
)

// Some catalogers look into every program of an image for what few of them have. selective shows one only the programs that may have
// it: those are told by less than the cataloger reads, or sooner. What it would have reported of the others without a package being
// found (a file too large to be searched) is not reported, as such reports have no place in a document.
type selective struct {
	pkg.Cataloger
	// may tells whether the cataloger may find something in a program. It is true where that is not known: what cannot be read is for
	// the cataloger to report.
	may func(program io.ReaderAt) bool
}

func (c selective) Catalog(ctx context.Context, r file.Resolver) ([]pkg.Package, []artifact.Relationship, error) {
	return c.Cataloger.Catalog(ctx, selectiveResolver{r, c.may})
}

type selectiveResolver struct {
	file.Resolver
	may func(program io.ReaderAt) bool
}

func (r selectiveResolver) FilesByMIMEType(types ...string) ([]file.Location, error) {
	all, err := r.Resolver.FilesByMIMEType(types...)
	if err != nil {
		return nil, err
	}
	var shown []file.Location
	for _, l := range all {
		if r.shows(l) {
			shown = append(shown, l)
		}
	}
	return shown, nil
}

func (r selectiveResolver) shows(l file.Location) bool {
	f, err := r.FileContentsByLocation(l)
	if err != nil {
		return true
	}
	defer f.Close()
	program, ok := f.(io.ReaderAt)
	return !ok || r.may(program)
}

// newNativeImages is syft's cataloger of native images of Java, which decodes all symbols of a program to look for three of them.
func newNativeImages() pkg.Cataloger {
	return selective{java.NewNativeImageCataloger(), func(program io.ReaderAt) bool { return mayHaveSymbol(program, nativeImageSymbol) }}
}

// nativeImageSymbol is one of the three symbols that a native image of Java has if there is an SBOM in it.
const nativeImageSymbol = "__svm_version_info"

// newDotnetBinaries is syft's cataloger of .NET programs, which searches all of every ELF file for the marker of a bundle.
func newDotnetBinaries(c dotnet.CatalogerConfig) pkg.Cataloger {
	return selective{dotnet.NewDotnetDepsBinaryCataloger(c), mayBeBundle}
}

// bundleMarker is in every .NET program that can have its libraries in the same file (bundle_marker.cpp of its host). The byte
// at rareInMarker is among the rarest in programs, one in 2000; only the speed depends on it.
const (
	bundleMarker = "\x8b\x12\x02\xb9\x6a\x61\x20\x38\x72\x7b\x93\x02\x14\xd7\xa0\x32" +
		"\x13\xf5\xb9\xe6\xef\xae\x33\x18\xee\x3b\x2d\xce\x24\xb3\x6a\xae"
	rareInMarker = 29
)

// maxBundleSearch is how far into a program the cataloger looks for the marker, in bytes.
const maxBundleSearch = 512 << 20

// mayBeBundle tells whether a program is a .NET bundle, or is one of which that is not known: no ELF file.
func mayBeBundle(program io.ReaderAt) bool {
	var magic [len(elf.ELFMAG)]byte
	if _, err := program.ReadAt(magic[:], 0); err != nil || string(magic[:]) != elf.ELFMAG {
		return true
	}
	found, err := contains(io.NewSectionReader(program, 0, maxBundleSearch), len(bundleMarker), hasBundleMarker)
	return found || err != nil
}

// hasBundleMarker is bytes.Contains, six times as fast in programs.
func hasBundleMarker(b []byte) bool {
	for at := rareInMarker; at < len(b); at++ {
		i := bytes.IndexByte(b[at:], bundleMarker[rareInMarker])
		if i < 0 {
			return false
		}
		at += i
		if bytes.HasPrefix(b[at-rareInMarker:], []byte(bundleMarker)) {
			return true
		}
	}
	return false
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
		hasName := func(names []byte) bool { return bytes.Contains(names, []byte(symbol)) }
		if found, err := contains(io.NewSectionReader(program, off, n), len(symbol), hasName); found || err != nil {
			return true
		}
	}
	return false
}

// searchSize is how much contains reads at once, in bytes.
const searchSize = 256 << 10

var searchBuffers = sync.Pool{New: func() any { return new([searchSize]byte) }}

// contains tells whether what is read has a text in it, of length bytes; in tells whether a part of it has.
func contains(r io.Reader, length int, in func(part []byte) bool) (bool, error) {
	whole := searchBuffers.Get().(*[searchSize]byte)
	defer searchBuffers.Put(whole)
	buf := whole[:]
	for n := 0; ; {
		more, err := io.ReadFull(r, buf[n:])
		n += more
		switch {
		case in(buf[:n]):
			return true, nil
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return false, nil
		case err != nil:
			return false, err
		}
		n = copy(buf, buf[n-length+1:n])
	}
}
