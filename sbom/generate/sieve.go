package generate

import (
	"bytes"
	"io"
	"slices"
	"strings"

	"github.com/anchore/syft/syft/file"
	"github.com/anchore/syft/syft/pkg"
	"github.com/anchore/syft/syft/pkg/cataloger/binary"
)

// Syft looks for a classifier's patterns in a program piece by piece. A pattern that begins with a NUL byte makes the regular
// expression start over at every NUL of the program: for a node program that takes two seconds of one processor. Where it is known what
// all matches contain, the pieces without it need not be read by the expression, and it finds the same in those that are left.

// piece is how much of a program is read at once, in bytes.
const piece = 1 << 20

// sieves tell, by the class of a classifier, whether bytes can hold a match of any of its patterns. No match has a line feed in it, and
// no pattern looks at what is before or behind a match (^, $, \b). The patterns themselves are beside TestSievePatterns.
var sieves = map[string]func([]byte) bool{"nodejs-binary": mayNameNode}

// mayNameNode tells whether there is the beginning of a version of node: "v4." and its like behind a NUL or "node ", or "v" and a digit
// behind "node.js/".
func mayNameNode(b []byte) bool {
	for at := 0; ; at++ {
		i := bytes.IndexByte(b[at:], 'v')
		if i < 0 {
			return false
		}
		at += i
		before, after := b[:at], b[at+1:]
		old := len(after) > 1 && after[1] == '.' && strings.IndexByte("0456", after[0]) >= 0 &&
			(bytes.HasSuffix(before, []byte{0}) || bytes.HasSuffix(before, []byte("node ")))
		young := len(after) > 0 && after[0] >= '0' && after[0] <= '9' && bytes.HasSuffix(before, []byte("node.js/"))
		if old || young {
			return true
		}
	}
}

// sieved are classifiers that find what those given do, with sieves where there are any.
func sieved(classifiers binary.ClassifierCatalogerConfig) binary.ClassifierCatalogerConfig {
	classifiers.Classifiers = slices.Clone(classifiers.Classifiers)
	for i := range classifiers.Classifiers {
		c := &classifiers.Classifiers[i]
		if may, ok := sieves[c.Class]; ok {
			c.EvidenceMatcher = sievedMatcher(may, c.EvidenceMatcher)
		}
	}
	return classifiers
}

func sievedMatcher[K, C any, M ~func(K, C) ([]pkg.Package, error)](may func([]byte) bool, match M) M {
	return func(classifier K, input C) ([]pkg.Package, error) {
		if resolver, _ := matcherInput(&input); resolver != nil {
			*resolver = sievedResolver{*resolver, may}
		}
		return match(classifier, input)
	}
}

// sievedResolver opens files through a sieve.
type sievedResolver struct {
	file.Resolver
	may func([]byte) bool
}

func (r sievedResolver) FileContentsByLocation(l file.Location) (io.ReadCloser, error) {
	opened, err := r.Resolver.FileContentsByLocation(l)
	if f, ok := opened.(File); ok && err == nil {
		return &sievedFile{File: f, may: r.may, size: piece}, nil
	}
	return opened, err
}

// sievedFile leaves out of a file what cannot be part of a match, for a reader that reads piece after piece, as many bytes each time,
// and looks at each with the half of the one before that is next to it. A reader that begins otherwise has the whole file, and so has
// one that moves to another place, from there on.
//
// A piece is passed on where it can hold a match with that half, and so is the piece before, which has the half. Where others are left
// out before that one, a piece of line feeds is in their place, so that what they were between makes no match together. The reader
// finds what it would find in a file that fills each piece but the last and tells of its end after that, as one on a disk does.
type sievedFile struct {
	File
	may  func([]byte) bool
	size int // of a piece

	whole   bool
	waiting [][]byte // what to pass on before anything more is read
	held    []byte   // the piece before, which was not passed on
	gap     bool     // nor was the one before that
	ended   error    // why there is no more to read
	// last and spare have room for half a piece and a piece. The piece that was read last is in last, length bytes of it; it is
	// shorter than others only at the end of the file.
	last, spare []byte
	length      int
	blank       []byte
}

func (f *sievedFile) Read(p []byte) (int, error) {
	if f.whole = f.whole || len(p) != f.size; f.whole {
		return f.File.Read(p)
	}
	for len(f.waiting) == 0 {
		if err := f.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, f.waiting[0])
	f.waiting = f.waiting[1:]
	return n, nil
}

// Seek ends the sieving.
func (f *sievedFile) Seek(offset int64, whence int) (int64, error) {
	f.whole = true
	return f.File.Seek(offset, whence)
}

// next reads a piece, and has it and what goes before it wait where it can hold a match.
func (f *sievedFile) next() error {
	half := f.size / 2
	if f.last == nil {
		f.last, f.spare = make([]byte, half+f.size), make([]byte, half+f.size)
	}
	n := 0
	for n < f.size && f.ended == nil {
		var more int
		more, f.ended = f.File.Read(f.spare[half+n:])
		n += more
	}
	if n == 0 {
		return f.ended
	}
	tail := min(f.length, half)
	copy(f.spare[half-tail:half], f.last[half+f.length-tail:])
	f.last, f.spare, f.length = f.spare, f.last, n
	read := f.last[half : half+n]
	if !f.may(f.last[half-tail : half+n]) {
		f.gap = f.held != nil
		f.held = read
		return nil
	}
	if f.gap {
		if f.blank == nil {
			f.blank = bytes.Repeat([]byte{'\n'}, f.size)
		}
		f.waiting = append(f.waiting, f.blank)
	}
	if f.held != nil {
		f.waiting = append(f.waiting, f.held)
	}
	f.waiting = append(f.waiting, read)
	f.held, f.gap = nil, false
	return nil
}
