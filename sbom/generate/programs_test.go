package generate

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"io"
	"slices"
	"strconv"
	"testing"

	"github.com/anchore/syft/syft/file"
	"github.com/anchore/syft/syft/pkg"
	"github.com/anchore/syft/syft/pkg/cataloger/dotnet"
	"github.com/anchore/syft/syft/pkg/cataloger/java"
	"pgregory.net/rapid"

	"github.com/nanopatch/nanopatch/sbom"
)

// programWith makes a 64-bit ELF file with data at the address 0x1000, and symbols with the addresses given behind that.
func programWith(order binary.AppendByteOrder, table elf.SectionType, data []byte, symbols map[string]uint64) []byte {
	names, table64 := []byte{0}, make([]byte, 24)
	for name, address := range symbols {
		table64 = order.AppendUint32(table64, uint32(len(names)))
		table64 = append(table64, byte(elf.STB_GLOBAL)<<4|byte(elf.STT_OBJECT), 0)
		table64 = order.AppendUint16(table64, 1)
		table64 = order.AppendUint64(table64, 0x1000+address)
		table64 = order.AppendUint64(table64, 8)
		names = append(append(names, name...), 0)
	}
	sectionNames := []byte("\x00.data\x00.symtab\x00.strtab\x00.shstrtab\x00")
	endian := elf.ELFDATA2LSB
	if order == binary.AppendByteOrder(binary.BigEndian) {
		endian = elf.ELFDATA2MSB
	}
	program := append([]byte(elf.ELFMAG), byte(elf.ELFCLASS64), byte(endian), byte(elf.EV_CURRENT), 0, 0, 0, 0, 0, 0, 0, 0, 0)
	body := slices.Concat(data, table64, names, sectionNames)
	program = order.AppendUint16(program, uint16(elf.ET_EXEC))
	program = order.AppendUint16(program, uint16(elf.EM_X86_64))
	program = order.AppendUint32(program, uint32(elf.EV_CURRENT))
	for _, v := range []uint64{0, 0, 64 + uint64(len(body))} {
		program = order.AppendUint64(program, v)
	}
	program = order.AppendUint32(program, 0)
	for _, v := range []uint16{64, 56, 0, 64, 5, 4} {
		program = order.AppendUint16(program, v)
	}
	program = append(program, body...)
	at := uint64(64)
	section := func(name uint32, kind elf.SectionType, address, size uint64, link uint32) {
		program = order.AppendUint32(program, name)
		program = order.AppendUint32(program, uint32(kind))
		for _, v := range []uint64{0, address, at, size} {
			program = order.AppendUint64(program, v)
		}
		program = order.AppendUint32(program, link)
		program = order.AppendUint32(program, 0)
		program = order.AppendUint64(program, 1)
		program = order.AppendUint64(program, 0)
		at += size
	}
	program = append(program, make([]byte, 64)...)
	section(1, elf.SHT_PROGBITS, 0x1000, uint64(len(data)), 0)
	section(7, table, 0, uint64(len(table64)), 3)
	section(15, elf.SHT_STRTAB, 0, uint64(len(names)), 0)
	section(23, elf.SHT_STRTAB, 0, uint64(len(sectionNames)), 0)
	return program
}

// hasSymbol is what debug/elf says.
func hasSymbol(program []byte, symbol string) bool {
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		return false
	}
	symbols, _ := f.Symbols()        // an error is no symbol
	dynamic, _ := f.DynamicSymbols() // as above
	return slices.ContainsFunc(append(symbols, dynamic...), func(s elf.Symbol) bool { return s.Name == symbol })
}

func TestMayHaveSymbol(t *testing.T) {
	with := map[string]uint64{"other": 1, "symbol": 2}
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		for _, table := range []elf.SectionType{elf.SHT_SYMTAB, elf.SHT_DYNSYM} {
			yes, no := programWith(order, table, nil, with), programWith(order, table, []byte("symbol\x00"), map[string]uint64{"other": 1})
			if !hasSymbol(yes, "symbol") || hasSymbol(no, "symbol") || !hasSymbol(no, "other") {
				t.Fatal("the programs are not what they are to be")
			}
			if !mayHaveSymbol(bytes.NewReader(yes), "symbol") || mayHaveSymbol(bytes.NewReader(no), "symbol") {
				t.Errorf("%v, %v: a symbol is not told from none", order, table)
			}
		}
	}
	hidden := programWith(binary.LittleEndian, elf.SHT_SYMTAB, nil, with)
	hidden = compressNames(t, hidden)
	if !hasSymbol(hidden, "symbol") || bytes.Contains(hidden, []byte("symbol\x00")) {
		t.Fatal("the names are not hidden, or not found")
	}
	for name, b := range map[string][]byte{"compressed names": hidden, "nothing": nil, "a script": []byte("#!/bin/sh\n"), "a short ELF file": []byte(elf.ELFMAG)} {
		if !mayHaveSymbol(bytes.NewReader(b), "symbol") {
			t.Errorf("%s is judged", name)
		}
	}
}

// compressNames compresses the names of symbols in the way of sections of debugging information, which only their names tell.
func compressNames(t *testing.T, program []byte) []byte {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	names, err := f.Sections[3].Data()
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	packed.WriteString("ZLIB")
	packed.Write(binary.BigEndian.AppendUint64(nil, uint64(len(names))))
	z := zlib.NewWriter(&packed)
	if _, err := z.Write(names); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	program = bytes.Replace(program, names, make([]byte, len(names)), 1)
	program = bytes.Replace(program, []byte(".strtab\x00"), []byte(".zdebug\x00"), 1)
	header := program[len(program)-2*64:] // the section's
	binary.LittleEndian.PutUint64(header[24:], uint64(len(program)))
	binary.LittleEndian.PutUint64(header[32:], uint64(packed.Len()))
	return append(program, packed.Bytes()...)
}

// No program in which debug/elf finds a symbol is passed over, however its headers are bent.
func TestMayHaveSymbolIsNeverWrong(t *testing.T) {
	judged, found := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		table := rapid.SampledFrom([]elf.SectionType{elf.SHT_SYMTAB, elf.SHT_DYNSYM}).Draw(t, "table")
		symbols := map[string]uint64{"other": 2}
		if rapid.Bool().Draw(t, "with the symbol") {
			symbols["symbol"] = 1
		}
		program := programWith(binary.LittleEndian, table, make([]byte, 100), symbols)
		for range rapid.IntRange(0, 2).Draw(t, "changes") {
			// Most of them in the headers of sections.
			from := rapid.SampledFrom([]int{0, len(program) - 5*64}).Draw(t, "from")
			at := rapid.IntRange(from, len(program)-1).Draw(t, "at")
			program[at] = rapid.SampledFrom([]byte{0, 1, 2, 3, 4, 8, 11, 64, 255}).Draw(t, "byte")
		}
		has, may := hasSymbol(program, "symbol"), mayHaveSymbol(bytes.NewReader(program), "symbol")
		if has && !may {
			t.Fatalf("passed over: %x", program)
		}
		if has {
			found++
		}
		if !may {
			judged++
		}
	})
	if found == 0 || judged == 0 {
		t.Errorf("%d programs with the symbol, %d judged to have none", found, judged)
	}
}

// A text is found wherever it lies in what is read piece by piece.
func TestContains(t *testing.T) {
	in := func(part []byte) bool { return bytes.Contains(part, []byte("symbol")) }
	for _, at := range []int{0, searchSize - 6, searchSize - 5, searchSize - 1, searchSize, 2*searchSize - 6, 2*searchSize - 9, 3*searchSize - 6} {
		b := make([]byte, 3*searchSize)
		copy(b[at:], "symbol")
		if found, err := contains(bytes.NewReader(b), len("symbol"), in); !found || err != nil {
			t.Errorf("at %d: %v, %v", at, found, err)
		}
		b[at+5] = 'x'
		if found, err := contains(bytes.NewReader(b), len("symbol"), in); found || err != nil {
			t.Errorf("none at %d: %v, %v", at, found, err)
		}
	}
}

// nativeImage is a native image with an SBOM of one package in it, and a program without the symbol that all have.
func nativeImage(t *testing.T) (image, other []byte) {
	t.Helper()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write([]byte(`{"bomFormat":"CycloneDX","specVersion":"1.4","components":[
		{"type":"library","group":"org.example","name":"demo","version":"1.2","purl":"pkg:maven/org.example/demo@1.2"}]}`)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	data := binary.LittleEndian.AppendUint64(make([]byte, 8), uint64(packed.Len()))
	symbols := map[string]uint64{"sbom_length": 8, "sbom": 16, nativeImageSymbol: 4}
	image = programWith(binary.LittleEndian, elf.SHT_SYMTAB, append(data, packed.Bytes()...), symbols)
	delete(symbols, nativeImageSymbol)
	return image, programWith(binary.LittleEndian, elf.SHT_SYMTAB, append(data, packed.Bytes()...), symbols)
}

// shownTo are the programs of an image that a selective cataloger is shown.
func shownTo(c pkg.Cataloger, r file.Resolver) ([]file.Location, error) {
	return selectiveResolver{r, c.(selective).may}.FilesByMIMEType()
}

// Packages of native images are in documents, and the stock cataloger itself finds none in a program that it is not shown.
func TestNativeImages(t *testing.T) {
	native, other := nativeImage(t)
	for _, dir := range []string{"", t.TempDir()} {
		d := documentOf(t, New(Options{CacheDir: dir}), Squashed, [][]member{{
			{path: "usr/bin/native", content: string(native), exec: true}, {path: "usr/bin/other", content: string(other), exec: true},
		}})
		if len(d.Packages) != 1 || d.Packages[0].Name != "org.example/demo" || d.Packages[0].Version != "1.2" {
			t.Errorf("cache %q: %+v", dir, d.Packages)
		}
	}
	for _, tc := range []struct {
		program  []byte
		packages int
	}{{native, 1}, {other, 0}} {
		r := oneProgram{content: tc.program}
		packages, _, err := java.NewNativeImageCataloger().Catalog(context.Background(), r)
		if err != nil || len(packages) != tc.packages {
			t.Errorf("stock: %d packages, want %d; error %v", len(packages), tc.packages, err)
		}
		if shown, err := shownTo(newNativeImages(), r); err != nil || len(shown) != tc.packages {
			t.Errorf("%d programs are shown, want %d; error %v", len(shown), tc.packages, err)
		}
	}
}

// bundle is a .NET program with the list of its libraries in it, and one whose marker is another.
func bundle(t *testing.T) (program, other []byte) {
	t.Helper()
	const libraries = `{
		"runtimeTarget": {"name": ".NETCoreApp,Version=v8.0"},
		"targets": {".NETCoreApp,Version=v8.0": {
			"App/1.0.0": {"dependencies": {"Demo": "1.2.0"}, "runtime": {"App.dll": {}}},
			"Demo/1.2.0": {"runtime": {"lib/net8.0/Demo.dll": {"assemblyVersion": "1.2.0.0", "fileVersion": "1.2.0.0"}}}
		}},
		"libraries": {"App/1.0.0": {"type": "project"}, "Demo/1.2.0": {"type": "package", "path": "demo/1.2.0"}}
	}`
	const dataAt, headerAt, listAt = 64, 64 + 48, 64 + 48 + 54
	order := binary.LittleEndian
	data := order.AppendUint64(make([]byte, 8), headerAt)
	data = append(data, bundleMarker...)
	data = append(order.AppendUint64(order.AppendUint32(data, 6), 0), 1, 'x') // version, files, id
	for _, v := range []uint64{listAt, uint64(len(libraries)), 0, 0, 0} {
		data = order.AppendUint64(data, v)
	}
	if len(data) != listAt-dataAt {
		t.Fatalf("the list is at %d", dataAt+len(data))
	}
	program = programWith(order, elf.SHT_SYMTAB, append(data, libraries...), nil)
	return program, bytes.Replace(program, []byte(bundleMarker[1:]), []byte(bundleMarker[1:31]+"x"), 1)
}

// Packages of .NET bundles are in documents, and the stock cataloger itself finds none in a program that it is not shown.
func TestBundles(t *testing.T) {
	program, other := bundle(t)
	for _, dir := range []string{"", t.TempDir()} {
		d := documentOf(t, New(Options{CacheDir: dir}), Squashed, [][]member{{
			{path: "usr/bin/app", content: string(program), exec: true}, {path: "usr/bin/other", content: string(other), exec: true},
		}})
		if !slices.ContainsFunc(d.Packages, func(p sbom.Package) bool { return p.Name == "Demo" && p.Version == "1.2.0" }) {
			t.Errorf("cache %q: %+v", dir, d.Packages)
		}
	}
	for _, tc := range []struct {
		name    string
		content []byte
		found   bool
		shown   bool
	}{
		{"a bundle", program, true, true},
		{"another marker", other, false, false},
		{"no ELF file", append([]byte("MZ"), program[2:]...), false, true},
		{"nothing", nil, false, true},
	} {
		r := oneProgram{content: tc.content}
		packages, _, err := dotnet.NewDotnetDepsBinaryCataloger(dotnet.DefaultCatalogerConfig()).Catalog(t.Context(), r)
		if err != nil || (len(packages) > 0) != tc.found {
			t.Errorf("%s: the stock cataloger finds %d packages; error %v", tc.name, len(packages), err)
		}
		shown, err := shownTo(newDotnetBinaries(dotnet.DefaultCatalogerConfig()), r)
		if err != nil || (len(shown) > 0) != tc.shown {
			t.Errorf("%s: %d programs are shown; error %v", tc.name, len(shown), err)
		}
	}
}

// The marker is found far into a program, and where it is read in two parts. What cannot be judged is shown.
func TestMayBeBundle(t *testing.T) {
	for _, at := range []int{4, searchSize - 1, searchSize - len(bundleMarker) + 1, 3*searchSize + 100, 8 << 20} {
		program := append([]byte(elf.ELFMAG), make([]byte, at-len(elf.ELFMAG))...)
		if mayBeBundle(bytes.NewReader(program)) {
			t.Errorf("%d zeros are taken for a bundle", at)
		}
		if !mayBeBundle(bytes.NewReader(append(program, bundleMarker...))) {
			t.Errorf("the marker at %d is not found", at)
		}
	}
	if !mayBeBundle(brokenFile{}) {
		t.Error("a program that cannot be read to its end is judged")
	}
	never := func(io.ReaderAt) bool { return false }
	for name, open := range map[string]func() (io.ReadCloser, error){
		"a program that cannot be opened": func() (io.ReadCloser, error) { return nil, errors.New("no") },
		"one that is only read once":      func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewBuffer(nil)), nil },
	} {
		shown, err := (selectiveResolver{opening{open: open}, never}).FilesByMIMEType()
		if err != nil || len(shown) != 1 {
			t.Errorf("%s: %d shown, %v", name, len(shown), err)
		}
	}
}

// brokenFile is a program whose beginning can be read.
type brokenFile struct{}

func (brokenFile) ReadAt(b []byte, off int64) (int, error) {
	if off > 0 || len(b) > len(elf.ELFMAG) {
		return copy(b, elf.ELFMAG), errors.New("no")
	}
	return copy(b, elf.ELFMAG), nil
}

// opening is an image with one program, which is opened in its way.
type opening struct {
	oneProgram
	open func() (io.ReadCloser, error)
}

func (o opening) FileContentsByLocation(file.Location) (io.ReadCloser, error) { return o.open() }

// The marker is found wherever it is, among bytes that are like it.
func TestHasBundleMarker(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b []byte
		for range rapid.IntRange(0, 8).Draw(t, "parts") {
			from := rapid.IntRange(0, len(bundleMarker)-1).Draw(t, "from")
			if rapid.Bool().Draw(t, "whole") {
				from = 0
			}
			b = append(b, bundleMarker[from:rapid.SampledFrom([]int{from, len(bundleMarker)}).Draw(t, "to")]...)
		}
		if got, want := hasBundleMarker(b), bytes.Contains(b, []byte(bundleMarker)); got != want {
			t.Fatalf("%v for %x", got, b)
		}
	})
}

// TestBundleSearch holds what is known of the search for the marker against the source of the library.
func TestBundleSearch(t *testing.T) {
	parsed := syftSource(t, token.NewFileSet(), "syft/pkg/cataloger/internal/dotnet/bundle/bundle.go")
	var marker []byte
	var limit string
	ast.Inspect(parsed, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		switch v.Names[0].Name {
		case "dotNetBundleSignature":
			for _, e := range v.Values[0].(*ast.CompositeLit).Elts {
				b, err := strconv.ParseUint(e.(*ast.BasicLit).Value, 0, 8)
				if err != nil {
					t.Fatal(err)
				}
				marker = append(marker, byte(b))
			}
		case "maxBundleSearchSize":
			limit = types.ExprString(v.Values[0])
		}
		return true
	})
	if string(marker) != bundleMarker || limit != fmt.Sprintf("%d * intFile.MB", maxBundleSearch>>20) {
		t.Errorf("the library looks for %x in %s", marker, limit)
	}
}

// oneProgram is an image with one program.
type oneProgram struct {
	file.Resolver
	content []byte
}

func (p oneProgram) FilesByMIMEType(...string) ([]file.Location, error) {
	return []file.Location{file.NewLocation("/usr/bin/program")}, nil
}

func (p oneProgram) FileContentsByLocation(file.Location) (io.ReadCloser, error) {
	return shortFile{bytes.NewReader(p.content), len(p.content)}, nil
}

func (p oneProgram) FilesByGlob(...string) ([]file.Location, error) { return nil, nil }
