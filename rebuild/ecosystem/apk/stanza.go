package apk

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
)

// Field is one line of a stanza: a letter and what follows its colon.
type Field struct {
	Key   byte
	Value string
	// Offset is where the line begins in the file.
	Offset int
}

// Stanza is one package's entry in an index or in the database of what is installed. The letters are documented in
// apk-package(5) and apk_pkg_write_index_entry (src/package.c): P name, V version, A architecture, C checksum of the
// control member, S size of the package file, I size on disk, o origin, t build time, D dependencies, p what it
// provides, i install_if, k provider priority; in the database also r what it replaces, q with which priority, s the
// repository's tag, f flaws, then F, M, R, a, Z for directories and files.
type Stanza struct {
	Fields []Field
	// Start and End delimit the stanza in the file, the empty line that ends it included.
	Start, End int
}

// maxLine bounds a line, in bytes. The longest known, a list of what one package provides, is 200 kB.
const maxLine = 8 << 20

var errField = errors.New("want a letter and a colon")

// ReadStanzas reads an index or database to its end and hands over each stanza; its fields are only valid during the
// call. An error of visit ends the reading and is returned as it is.
func ReadStanzas(r io.Reader, visit func(*Stanza) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	lines.Split(scanLine)
	var s Stanza
	number, at := 0, 0
	for lines.Scan() {
		number++
		line := lines.Bytes()
		start := at
		at += len(line)
		line = bytes.TrimSuffix(line, []byte("\n"))
		if len(line) < 2 {
			if err := s.finish(at, visit); err != nil {
				return err
			}
			continue
		}
		if line[1] != ':' {
			return fmt.Errorf("line %d: %w", number, errField)
		}
		if len(s.Fields) == 0 {
			s.Start = start
		}
		s.Fields = append(s.Fields, Field{Key: line[0], Value: string(line[2:]), Offset: start})
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("line %d: %w", number+1, err)
	}
	return s.finish(at, visit)
}

func (s *Stanza) finish(end int, visit func(*Stanza) error) error {
	if len(s.Fields) == 0 {
		return nil
	}
	s.End = end
	err := visit(s)
	s.Fields = s.Fields[:0]
	return err
}

// scanLine is bufio.ScanLines with the line's end left on.
func scanLine(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i+1], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// Get returns the value of the first field of that letter, "" if there is none.
func (s *Stanza) Get(key byte) string {
	for _, f := range s.Fields {
		if f.Key == key {
			return f.Value
		}
	}
	return ""
}

var (
	errNoName    = errors.New("a package without a name (P)")
	errNoVersion = errors.New("a package without a version (V)")
)

// Package gives what a stanza says of a package. apk has one instance of a package per system and never asks for its
// architecture, so that each serves relations of every architecture, as what dpkg calls foreign does.
func (s *Stanza) Package() (ecosystem.Package, error) {
	var p ecosystem.Package
	for _, f := range s.Fields {
		switch f.Key {
		case 'P':
			p.Name = f.Value
		case 'V':
			p.Version = f.Value
		case 'A':
			p.Arch = f.Value
		case 'o':
			p.Source = f.Value
		case 'D':
			p.Requires, p.Conflicts = requirements(f.Value)
		case 'p':
			p.Provides = provisions(f.Value)
		case 'I':
			p.InstalledSize, _ = strconv.ParseInt(f.Value, 10, 64)
		case 'F':
			return complete(p)
		}
	}
	return complete(p)
}

// multiArch is the value of ecosystem.Package.MultiArch for all packages.
const multiArch = "foreign"

func complete(p ecosystem.Package) (ecosystem.Package, error) {
	switch {
	case p.Name == "":
		return p, errNoName
	case p.Version == "":
		return p, fmt.Errorf("%s: %w", p.Name, errNoVersion)
	}
	if p.Source == "" {
		p.Source = p.Name
	}
	p.SourceVersion, p.MultiArch = p.Version, multiArch
	p.Conflicts = append(p.Conflicts, exclusions(p.Provides)...)
	return p, nil
}

// parseTime reads a time in seconds.
func parseTime(s string) time.Time {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > 1<<40 {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}
