package script

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Regexp translates a POSIX regular expression, basic or extended, as grep(1) and sed(1) of GNU and busybox read it. The
// error says what is not modelled: back references above all.
func Regexp(expr string, extended, fold bool) (*regexp.Regexp, error) {
	if len(expr) > 4096 {
		return nil, &UnknownError{Detail: "uses a regular expression of more than 4096 bytes"}
	}
	t := &translator{in: expr, extended: extended, start: true}
	if err := t.run(); err != nil {
		return nil, &UnknownError{Detail: fmt.Sprintf("uses the regular expression %.100q: %v", expr, err)}
	}
	out := t.out.String()
	if fold {
		out = "(?i)" + out
	}
	re, err := regexp.Compile(out)
	if err != nil {
		return nil, &UnknownError{Detail: fmt.Sprintf("uses the regular expression %.100q", expr)}
	}
	re.Longest()
	return re, nil
}

// translator turns one syntax into the other.
type translator struct {
	in       string
	extended bool
	out      strings.Builder
	// start says that an expression begins here, where * and ^ have another meaning.
	start bool
}

func (t *translator) run() error {
	for t.in != "" {
		c := t.in[0]
		start := t.start
		t.start = false
		if c >= utf8.RuneSelf {
			_, size := utf8.DecodeRuneInString(t.in)
			t.out.WriteString(t.in[:size])
			t.in = t.in[size:]
			continue
		}
		t.in = t.in[1:]
		switch {
		case c == '\\':
			if err := t.escape(); err != nil {
				return err
			}
		case c == '[':
			if err := t.bracket(); err != nil {
				return err
			}
		case c == '*' && start:
			if t.extended {
				return fmt.Errorf("a star at the start")
			}
			t.out.WriteString(`\*`)
		case c == '*':
			t.out.WriteByte('*')
		case c == '.':
			t.out.WriteByte('.')
		case c == '^' && (start || t.extended):
			t.out.WriteByte('^')
			t.start = true
		case c == '$' && (t.extended || t.in == "" || strings.HasPrefix(t.in, `\)`) || strings.HasPrefix(t.in, `\|`)):
			t.out.WriteByte('$')
		case t.extended && (c == '(' || c == '|'):
			t.out.WriteByte(c)
			t.start = true
		case t.extended && strings.IndexByte(")+?", c) >= 0:
			t.out.WriteByte(c)
		case t.extended && c == '{' && !start:
			if err := t.interval("}"); err != nil {
				return err
			}
		default:
			t.out.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	return nil
}

// escape translates what follows a backslash.
func (t *translator) escape() error {
	if t.in == "" {
		return fmt.Errorf("a trailing backslash")
	}
	c := t.in[0]
	if c >= utf8.RuneSelf {
		return nil // quoting makes no difference
	}
	t.in = t.in[1:]
	switch {
	case c >= '1' && c <= '9':
		return fmt.Errorf("a back reference")
	case strings.IndexByte("wWsSbB", c) >= 0:
		t.out.WriteString(`\` + string(c))
	case c == '<' || c == '>':
		t.out.WriteString(`\b`)
	case c == 'n':
		t.out.WriteString(`\n`)
	case c == 't':
		t.out.WriteString(`\t`)
	case t.extended:
		t.out.WriteString(regexp.QuoteMeta(string(c)))
	case c == '(' || c == '|':
		t.out.WriteByte(c)
		t.start = true
	case strings.IndexByte(")+?", c) >= 0:
		t.out.WriteByte(c)
	case c == '{':
		return t.interval(`\}`)
	case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
		return fmt.Errorf("the escape \\%c", c)
	default:
		t.out.WriteString(regexp.QuoteMeta(string(c)))
	}
	return nil
}

func (t *translator) interval(end string) error {
	body, rest, ok := strings.Cut(t.in, end)
	if !ok || body == "" || strings.Trim(body, "0123456789,") != "" {
		return fmt.Errorf("an interval")
	}
	if strings.HasPrefix(body, ",") {
		body = "0" + body
	}
	t.in = rest
	t.out.WriteString("{" + body + "}")
	return nil
}

// bracket translates a bracket expression.
func (t *translator) bracket() error {
	var b strings.Builder
	b.WriteByte('[')
	if strings.HasPrefix(t.in, "^") {
		b.WriteByte('^')
		t.in = t.in[1:]
	}
	for first := true; ; first = false {
		if t.in == "" {
			return fmt.Errorf("an open bracket")
		}
		c := t.in[0]
		switch {
		case c == ']' && !first:
			t.in = t.in[1:]
			b.WriteByte(']')
			t.out.WriteString(b.String())
			return nil
		case strings.HasPrefix(t.in, "[:"):
			name, rest, ok := strings.Cut(t.in[2:], ":]")
			if !ok {
				return fmt.Errorf("an open bracket")
			}
			b.WriteString("[:" + name + ":]")
			t.in = rest
			continue
		case strings.HasPrefix(t.in, "[.") || strings.HasPrefix(t.in, "[="):
			return fmt.Errorf("a collating symbol")
		case c == '\\' && len(t.in) > 1 && strings.IndexByte("nt", t.in[1]) >= 0:
			b.WriteString(t.in[:2]) // GNU sed reads these so, grep does not; real scripts mean what sed reads
			t.in = t.in[2:]
			continue
		case strings.IndexByte(`\[]^&~`, c) >= 0:
			b.WriteByte('\\')
		case c == '-' && (first || strings.HasPrefix(t.in, "-]")):
			b.WriteByte('\\')
		}
		b.WriteByte(c)
		t.in = t.in[1:]
	}
}
