package apt

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
)

// maxStanza bounds one package's paragraph of a Packages file; real ones reach 60 kB.
const maxStanza = 4 << 20

// stanzaReader splits a Packages file at its empty lines, in constant memory.
type stanzaReader struct {
	r          io.Reader
	buf        []byte
	start, end int
	eof        bool
}

func newStanzaReader(r io.Reader) *stanzaReader {
	return &stanzaReader{r: r, buf: make([]byte, 256<<10)}
}

// next returns the next paragraph with the newline of its last line, valid until the next call; nil at the
// end.
func (s *stanzaReader) next() ([]byte, error) {
	searched := 0
	for {
		if searched == 0 {
			for s.start < s.end && s.buf[s.start] == '\n' {
				s.start++
			}
		}
		window := s.buf[s.start:s.end]
		if i := bytes.Index(window[searched:], []byte("\n\n")); i >= 0 {
			i += searched
			s.start += i + 2
			return window[:i+1], nil
		}
		if s.eof {
			s.start = s.end
			if len(window) == 0 {
				return nil, nil
			}
			return window, nil
		}
		searched = max(0, len(window)-1)
		if err := s.fill(); err != nil {
			return nil, err
		}
	}
}

// fill reads more behind the unread part, which it moves to the front, growing the buffer if that is full.
func (s *stanzaReader) fill() error {
	copy(s.buf, s.buf[s.start:s.end])
	s.start, s.end = 0, s.end-s.start
	if s.end == len(s.buf) {
		if len(s.buf) >= maxStanza {
			return fmt.Errorf("a paragraph is larger than %d bytes", maxStanza)
		}
		s.buf = slices.Grow(s.buf, len(s.buf))[:2*len(s.buf)]
	}
	n, err := s.r.Read(s.buf[s.end:])
	s.end += n
	if errors.Is(err, io.EOF) {
		s.eof = true
		return nil
	}
	return err
}

// eachField calls f with the name, in lower case, and the rest of the field's lines, colon excluded.
func eachField(stanza []byte, f func(name, value []byte)) {
	for len(stanza) > 0 {
		end := bytes.IndexByte(stanza, '\n') + 1
		for end > 0 && end < len(stanza) && (stanza[end] == ' ' || stanza[end] == '\t') {
			next := bytes.IndexByte(stanza[end:], '\n') + 1
			if next == 0 {
				end = 0
				break
			}
			end += next
		}
		if end == 0 {
			end = len(stanza)
		}
		if name, value, ok := bytes.Cut(stanza[:end], []byte(":")); ok {
			f(name, value)
		}
		stanza = stanza[end:]
	}
}

// field numbers the fields of a Packages file that are read; all others are dropped.
type field int

const (
	fieldNone field = iota
	fieldPackage
	fieldVersion
	fieldArchitecture
	fieldSource
	fieldMultiArch
	fieldEssential
	fieldInstalledSize
	fieldPreDepends
	fieldDepends
	fieldConflicts
	fieldBreaks
	fieldProvides
	fieldPhased
	fieldFilename
	fieldSize
	fieldSHA256
	fieldCount
)

func fieldNames() [fieldCount]string {
	return [fieldCount]string{
		fieldPackage: "package", fieldVersion: "version", fieldArchitecture: "architecture", fieldSource: "source",
		fieldMultiArch: "multi-arch", fieldEssential: "essential", fieldInstalledSize: "installed-size",
		fieldPreDepends: "pre-depends", fieldDepends: "depends", fieldConflicts: "conflicts", fieldBreaks: "breaks",
		fieldProvides: "provides", fieldPhased: "phased-update-percentage", fieldFilename: "filename",
		fieldSize: "size", fieldSHA256: "sha256",
	}
}

// fieldIndex finds a field by its name in any case.
type fieldIndex map[string]field

func newFieldIndex() fieldIndex {
	x := make(fieldIndex, fieldCount)
	for f, name := range fieldNames() {
		x[name] = field(f)
	}
	delete(x, "")
	return x
}

func (x fieldIndex) find(name []byte) field {
	var lower [32]byte
	if len(name) > len(lower) {
		return fieldNone
	}
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	return x[string(lower[:len(name)])]
}

// record is what a stanza says, as text.
type record [fieldCount]string

func (x fieldIndex) record(stanza []byte) record {
	var r record
	eachField(stanza, func(name, value []byte) {
		if f := x.find(name); f != fieldNone {
			r[f] = strings.TrimSpace(string(value))
		}
	})
	return r
}

// candidate turns a record into a package. base is the URI that the Filename is relative to.
func (r *record) candidate(base string) (pkgrepo.Candidate, error) {
	c := pkgrepo.Candidate{Phase: 100, Package: ecosystem.Package{
		Key:       ecosystem.Key{Name: r[fieldPackage], Arch: r[fieldArchitecture]},
		Version:   canonicalVersion(r[fieldVersion]),
		MultiArch: strings.ToLower(r[fieldMultiArch]),
		Essential: strings.EqualFold(r[fieldEssential], "yes"),
	}}
	if c.Name == "" || c.Arch == "" || c.Version == "" {
		return c, errors.New("a stanza lacks Package, Architecture or Version")
	}
	c.Source, c.SourceVersion = splitSource(r[fieldSource], c.Name, c.Version)
	if kib, err := strconv.ParseInt(r[fieldInstalledSize], 10, 64); err == nil && kib > 0 && kib < 1<<50 {
		c.InstalledSize = kib << 10
	}
	if n, err := strconv.Atoi(r[fieldPhased]); err == nil && n >= 0 && n < 100 {
		c.Phase = n
	}
	if err := r.relations(&c.Package); err != nil {
		return c, err
	}
	var err error
	c.Artifact, err = r.artifact(base)
	return c, err
}

// splitSource reads "glibc (2.36-9)"; both parts default to the binary package's.
func splitSource(value, name, version string) (source, sourceVersion string) {
	source, rest, ok := strings.Cut(value, "(")
	if source = strings.TrimSpace(source); source == "" {
		source = name
	}
	if !ok {
		return source, version
	}
	return source, canonicalVersion(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), ")")))
}

func (r *record) relations(p *ecosystem.Package) error {
	for _, f := range []field{fieldPreDepends, fieldDepends} {
		clauses, err := parseRelations(r[f], "")
		if err != nil {
			return err
		}
		p.Requires = append(p.Requires, clauses...)
	}
	for _, f := range []field{fieldConflicts, fieldBreaks} {
		// Without a qualifier these are about the package of every architecture (deb-control(5)).
		flat, err := parseFlat(r[f], "any")
		if err != nil {
			return err
		}
		p.Conflicts = append(p.Conflicts, flat...)
	}
	var err error
	p.Provides, err = parseFlat(r[fieldProvides], "")
	return err
}

// artifact reads where the package file is. A stanza without a SHA-256 cannot be used.
func (r *record) artifact(base string) (pkgrepo.Artifact, error) {
	var a pkgrepo.Artifact
	size, err := strconv.ParseInt(r[fieldSize], 10, 64)
	if err != nil || size <= 0 {
		return a, fmt.Errorf("no usable Size: %.40q", r[fieldSize])
	}
	if n, err := hex.Decode(a.SHA256[:], []byte(r[fieldSHA256])); err != nil || n != len(a.SHA256) {
		return a, fmt.Errorf("no usable SHA256: %.80q", r[fieldSHA256])
	}
	name := path.Clean(strings.TrimLeft(r[fieldFilename], "/"))
	if r[fieldFilename] == "" || name == "." || name == ".." || strings.HasPrefix(name, "../") {
		return a, fmt.Errorf("no usable Filename: %.100q", r[fieldFilename])
	}
	a.Size = size
	a.URL = base + "/" + (&url.URL{Path: name}).EscapedPath()
	return a, nil
}
