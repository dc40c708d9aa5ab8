package generate

import (
	"bytes"
	"slices"
)

// magicSize is how many bytes looksExecutable needs.
const magicSize = 4

// executableMagic are the first bytes of ELF, PE (MZ) and Mach-O files, 32 and 64 bit, both byte orders, and of universal
// Mach-O binaries (which Java class files share).
var executableMagic = [][]byte{
	[]byte("\x7fELF"), []byte("MZ"),
	{0xfe, 0xed, 0xfa, 0xce},
	{0xfe, 0xed, 0xfa, 0xcf},
	{0xce, 0xfa, 0xed, 0xfe},
	{0xcf, 0xfa, 0xed, 0xfe},
	{0xca, 0xfe, 0xba, 0xbe},
}

// looksExecutable tells from a file's first bytes whether it may be an executable or a shared library.
func looksExecutable(head []byte) bool {
	return slices.ContainsFunc(executableMagic, func(magic []byte) bool { return bytes.HasPrefix(head, magic) })
}
