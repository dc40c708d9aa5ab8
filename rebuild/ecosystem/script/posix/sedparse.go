package posix

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
)

// sedParser reads a sed script.
type sedParser struct {
	p        *script.Process
	in       string
	extended bool
}

func (s *sedParser) unknown() error { return s.p.Unknownf("has a sed command that is not modelled") }

func (s *sedParser) skip(set string) { s.in = strings.TrimLeft(s.in, set) }

// program reads the whole script as one list, in which blocks and branches know where to go on.
func (s *sedParser) program() ([]*sedCommand, error) {
	var list []*sedCommand
	var open []int
	labels := make(map[string]int)
	for {
		s.skip(" \t\n;")
		if s.in == "" {
			break
		}
		if s.in[0] == '#' {
			_, s.in, _ = strings.Cut(s.in, "\n")
			continue
		}
		if len(list) > 2000 {
			return nil, s.unknown()
		}
		c, err := s.command()
		if err != nil {
			return nil, err
		}
		list = append(list, c)
		switch c.name {
		case '{':
			open = append(open, len(list)-1)
		case '}':
			if len(open) == 0 || c.from != nil {
				return nil, s.unknown()
			}
			list[open[len(open)-1]].jump = len(list)
			open = open[:len(open)-1]
		case ':':
			labels[c.text] = len(list)
		}
	}
	for _, c := range list {
		if c.name != 'b' && c.name != 't' {
			continue
		}
		to, ok := labels[c.text]
		if c.text == "" {
			to, ok = len(list), true
		}
		if !ok {
			return nil, s.unknown()
		}
		c.jump = to
	}
	if len(open) > 0 {
		return nil, s.unknown()
	}
	return list, nil
}

func (s *sedParser) command() (*sedCommand, error) {
	c := &sedCommand{}
	var err error
	if c.from, err = s.address(); err != nil {
		return nil, err
	}
	s.skip(" \t")
	if c.from != nil && c.from.line == 0 && !c.from.last && c.from.re == nil && !strings.HasPrefix(s.in, ",/") {
		return nil, s.unknown()
	}
	if c.from != nil && strings.HasPrefix(s.in, ",") {
		s.in = strings.TrimLeft(s.in[1:], " \t")
		if c.to, err = s.address(); err != nil || c.to == nil {
			return nil, s.unknown()
		}
		s.skip(" \t")
	}
	for strings.HasPrefix(s.in, "!") {
		c.not = true
		s.in = strings.TrimLeft(s.in[1:], " \t")
	}
	if s.in == "" {
		return nil, s.unknown()
	}
	c.name = s.in[0]
	s.in = s.in[1:]
	switch c.name {
	case '{':
		return c, nil
	case ':', 'b', 't':
		s.skip(" \t")
		end := strings.IndexAny(s.in, " \t\n;")
		if end < 0 {
			end = len(s.in)
		}
		c.text, s.in = s.in[:end], s.in[end:]
		if strings.Contains(c.text, "}") || c.name == ':' && (c.text == "" || c.from != nil) {
			return nil, s.unknown()
		}
		return c, nil
	case 's':
		return c, s.substitution(c)
	case 'y':
		return c, s.transliteration(c)
	case 'a', 'i', 'c':
		return c, s.text(c)
	case '}', 'd', 'p', 'q', '=', 'n', 'N', 'h', 'H', 'g', 'G', 'x':
		s.skip(" \t")
		if s.in != "" && strings.IndexByte(";\n}#", s.in[0]) < 0 {
			return nil, s.unknown()
		}
		return c, nil
	}
	return nil, s.unknown()
}

func (s *sedParser) address() (*sedAddress, error) {
	if s.in == "" {
		return nil, nil //nolint:nilnil // a command need not have an address
	}
	plus := false
	if s.in[0] == '+' {
		plus = true
		s.in = s.in[1:]
	}
	digits := len(s.in) - len(strings.TrimLeft(s.in, "0123456789"))
	switch {
	case digits > 0:
		n, err := strconv.Atoi(s.in[:digits])
		if err != nil {
			return nil, s.unknown()
		}
		s.in = s.in[digits:]
		if strings.HasPrefix(s.in, "~") {
			return nil, s.unknown()
		}
		return &sedAddress{line: n, plus: plus}, nil
	case plus:
		return nil, s.unknown()
	case s.in[0] == '$':
		s.in = s.in[1:]
		return &sedAddress{last: true}, nil
	case s.in[0] == '/' || s.in[0] == '\\' && len(s.in) > 1:
		if s.in[0] == '\\' {
			s.in = s.in[1:]
		}
		text, err := s.delimited(s.in[0], true)
		if err != nil {
			return nil, err
		}
		fold := strings.HasPrefix(s.in, "I")
		if fold {
			s.in = s.in[1:]
		}
		re, err := s.regexp(text, fold)
		return &sedAddress{re: re}, err
	}
	return nil, nil //nolint:nilnil // see above
}

// delimited reads text between two delimiters, of which the first is at the start of the input; the closing one stays if
// there is another part to come.
func (s *sedParser) delimited(d byte, regex bool) (string, error) {
	if d == '\n' || d == '\\' {
		return "", s.unknown()
	}
	var b strings.Builder
	bracket := false
	for i := 1; i < len(s.in); i++ {
		c := s.in[i]
		switch {
		case c == '\\' && i+1 < len(s.in) && !bracket:
			i++
			if s.in[i] == d && strings.IndexByte(`|+?(){}.*[]^$&n0123456789`, d) < 0 {
				b.WriteByte(d)
				continue
			} else if s.in[i] == d {
				return "", s.unknown()
			}
			b.WriteByte('\\')
			b.WriteByte(s.in[i])
		case c == d && !bracket:
			s.in = s.in[i+1:]
			return b.String(), nil
		default:
			if regex && c == '[' && !bracket {
				bracket = true
				b.WriteByte(c)
				// A bracket that closes at once is part of the set.
				for j := i + 1; j < len(s.in) && (s.in[j] == '^' && j == i+1 || s.in[j] == ']'); j++ {
					b.WriteByte(s.in[j])
					i = j
					if s.in[j] == ']' {
						break
					}
				}
				continue
			}
			if bracket && c == '[' && i+1 < len(s.in) && s.in[i+1] == ':' {
				if end := strings.Index(s.in[i:], ":]"); end > 0 {
					b.WriteString(s.in[i : i+end+2])
					i += end + 1
					continue
				}
			}
			if bracket && c == ']' {
				bracket = false
			}
			b.WriteByte(c)
		}
	}
	return "", s.unknown()
}

func (s *sedParser) regexp(text string, fold bool) (*regexp.Regexp, error) {
	if text == "" {
		return nil, s.unknown() // the last one used
	}
	if err := s.p.Spend(200 * len(text)); err != nil {
		return nil, err
	}
	return script.Regexp(text, s.extended, fold)
}

func (s *sedParser) substitution(c *sedCommand) error {
	if s.in == "" {
		return s.unknown()
	}
	d := s.in[0]
	text, err := s.delimited(d, true)
	if err != nil {
		return err
	}
	s.in = string(d) + s.in
	if c.replacement, err = s.delimited(d, false); err != nil {
		return err
	}
	for i := 0; i+1 < len(c.replacement); i++ {
		if c.replacement[i] == '\\' {
			i++
			if n := c.replacement[i]; n >= 'a' && n <= 'z' && n != 'n' && n != 't' || n >= 'A' && n <= 'Z' {
				return s.unknown()
			}
		}
	}
	fold := false
	c.nth = 1
	for s.in != "" && strings.IndexByte("gpiI0123456789", s.in[0]) >= 0 {
		switch f := s.in[0]; f {
		case 'g':
			c.global = true
		case 'p':
			c.out = true
		case 'i', 'I':
			fold = true
		default:
			if f == '0' || c.nth != 1 {
				return s.unknown()
			}
			c.nth = int(f - '0')
		}
		s.in = s.in[1:]
	}
	s.skip(" \t")
	if s.in != "" && strings.IndexByte(";\n}#", s.in[0]) < 0 {
		return s.unknown()
	}
	c.re, err = s.regexp(text, fold)
	return err
}

func (s *sedParser) transliteration(c *sedCommand) error {
	if s.in == "" {
		return s.unknown()
	}
	d := s.in[0]
	from, err := s.delimited(d, false)
	if err != nil {
		return err
	}
	s.in = string(d) + s.in
	to, err := s.delimited(d, false)
	if err != nil {
		return err
	}
	if len(from) != len(to) || strings.Contains(from+to, `\`) {
		return s.unknown()
	}
	c.pairs = make(map[byte]byte)
	for i := range len(from) {
		if _, twice := c.pairs[from[i]]; !twice {
			c.pairs[from[i]] = to[i]
		}
	}
	return nil
}

// text reads that of a, i and c: the next line after a backslash, or the rest of this one as GNU sed allows.
func (s *sedParser) text(c *sedCommand) error {
	s.skip(" \t")
	if s.in == `\` && c.name == 'a' {
		s.in = ""
		return nil // nothing is appended, but the line ends
	}
	if strings.HasPrefix(s.in, "\\\n") {
		s.in = s.in[2:]
	} else if strings.HasPrefix(s.in, `\`) {
		s.in = s.in[1:]
	}
	var b strings.Builder
	for i := 0; i < len(s.in); i++ {
		switch {
		case s.in[i] == '\\' && i+1 < len(s.in):
			i++
			if s.in[i] == 't' {
				return s.unknown()
			}
			b.WriteByte(s.in[i])
		case s.in[i] == '\n':
			c.text, s.in = b.String(), s.in[i+1:]
			return nil
		default:
			b.WriteByte(s.in[i])
		}
	}
	c.text, s.in = b.String(), ""
	if c.text == "" {
		return s.unknown()
	}
	return nil
}
