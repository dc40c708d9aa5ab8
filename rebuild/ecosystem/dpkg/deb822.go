package dpkg

import (
	"bytes"
	"fmt"
	"strings"
)

// maxDatabase bounds a database file and everything else that is parsed in memory, in bytes. The status file of a
// machine with all of Debian installed would be about 60 MB; of an image it is a few hundred kilobytes.
const maxDatabase = 64 << 20

// maxFields bounds the fields of one stanza; real ones have about 30.
const maxFields = 500

// SyntaxError says where a database or control file does not follow its format.
type SyntaxError struct {
	// Line counts from 1.
	Line    int
	Problem string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Problem) }

func syntaxErrorf(line int, format string, args ...any) *SyntaxError {
	return &SyntaxError{Line: line, Problem: fmt.Sprintf(format, args...)}
}

// Field is one field of a stanza.
type Field struct {
	// Name is spelt as in the file.
	Name string
	// Value is what dpkg keeps of it: white space at both ends is cut off, the first line's end excepted (the
	// value of Conffiles starts with a newline); continuation lines stay verbatim.
	Value string
	// Line is where the field starts, counted from 1.
	Line int
}

// Stanza is one paragraph of a deb822 file (deb822(5)). Start and End are the offsets of its bytes in the file: from
// the first field's name up to and including the newline of the last line; blank lines around it are outside.
type Stanza struct {
	Fields     []Field
	Start, End int
}

// Get returns a field's value, "" if it is absent. Names compare without regard to case.
func (s *Stanza) Get(name string) string {
	f, _ := s.Field(name)
	return f.Value
}

// Field returns a field by its name.
func (s *Stanza) Field(name string) (Field, bool) {
	for _, f := range s.Fields {
		if strings.EqualFold(f.Name, name) {
			return f, true
		}
	}
	return Field{}, false
}

// Reader reads the stanzas of a deb822 file one after the other, by the rules of dpkg's own parser
// (parse_stanza in lib/dpkg/parse.c).
type Reader struct {
	data []byte
	pos  int
	line int
	// Strict refuses lines of white space only, as dpkg does in a package's control file but not in its database.
	Strict bool
}

// NewReader returns a Reader of data, which must not change while it is in use.
func NewReader(data []byte) *Reader { return &Reader{data: data, line: 1} }

// Next returns the next stanza. At the end of the file it returns false, and what was wrong if anything was:
// a *SyntaxError for a file that ends in the middle of a field.
func (r *Reader) Next() (Stanza, bool, error) {
	if len(r.data) > maxDatabase {
		return Stanza{}, false, syntaxErrorf(1, "file of %d bytes is larger than the %d that are read", len(r.data), maxDatabase)
	}
	for r.pos < len(r.data) && r.data[r.pos] == '\n' {
		r.pos++
		r.line++
	}
	if r.pos == len(r.data) {
		return Stanza{}, false, nil
	}
	s := Stanza{Start: r.pos}
	for r.pos < len(r.data) && r.data[r.pos] != '\n' {
		f, err := r.field()
		if err != nil {
			return Stanza{}, false, err
		}
		if _, twice := s.Field(f.Name); twice {
			return Stanza{}, false, syntaxErrorf(f.Line, "duplicate field %q", f.Name)
		}
		if len(s.Fields) == maxFields {
			return Stanza{}, false, syntaxErrorf(f.Line, "more than %d fields in one stanza", maxFields)
		}
		s.Fields = append(s.Fields, f)
	}
	s.End = r.pos
	return s, true, nil
}

// field reads one field with its continuation lines.
func (r *Reader) field() (Field, error) {
	f := Field{Line: r.line}
	first, err := r.nextLine()
	if err != nil {
		return f, err
	}
	colon := bytes.IndexByte(first, ':')
	if colon < 0 {
		return f, syntaxErrorf(f.Line, "field name %.50q is not followed by a colon", first)
	}
	f.Name = strings.TrimRight(string(first[:colon]), spaces)
	if f.Name == "" || strings.ContainsAny(f.Name, spaces) || f.Name[0] == '-' {
		return f, syntaxErrorf(f.Line, "bad field name %.50q", f.Name)
	}
	start := r.pos - len(first) - 1 + colon + 1
	for r.pos < len(r.data) && r.data[r.pos] != '\n' && isSpace(r.data[r.pos]) {
		at := r.line
		line, err := r.nextLine()
		if err != nil {
			return f, err
		}
		if r.Strict && len(bytes.Trim(line, spaces)) == 0 {
			return f, syntaxErrorf(at, "blank line in the value of %s", f.Name)
		}
	}
	value := r.data[start:r.pos]
	for len(value) > 0 && isSpace(value[0]) && value[0] != '\n' {
		value = value[1:]
	}
	f.Value = string(bytes.TrimRight(value, spaces))
	return f, nil
}

// nextLine returns the line at pos without its newline and moves behind it.
func (r *Reader) nextLine() ([]byte, error) {
	n := bytes.IndexByte(r.data[r.pos:], '\n')
	if n < 0 {
		return nil, syntaxErrorf(r.line, "the file ends in the middle of a line: it is truncated")
	}
	line := r.data[r.pos : r.pos+n]
	r.pos += n + 1
	r.line++
	return line, nil
}

// spaces is what C's isspace takes for white space.
const spaces = " \t\n\v\f\r"

func isSpace(c byte) bool { return strings.IndexByte(spaces, c) >= 0 }
