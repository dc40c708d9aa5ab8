package script

import (
	"errors"
	"io"
	"strconv"
	"strings"
)

func (sh *shell) echo(args []string) (int, error) {
	args = args[1:]
	newline, escapes := true, sh.flavor == dash
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		if args[0] == "-n" {
			newline = false
		} else if args[0] == "-e" && sh.flavor != dash {
			escapes = true
		} else {
			break
		}
		args = args[1:]
	}
	text := strings.Join(args, " ")
	if escapes {
		var stop bool
		if text, stop = escaped(text, true); stop {
			newline = false
		}
	}
	if newline {
		text += "\n"
	}
	return 0, sh.print(1, text)
}

// escaped replaces the escape sequences of echo and printf. Octal numbers begin with a zero in echo. stop says that
// \c ended the output.
func escaped(text string, echo bool) (out string, stop bool) {
	if strings.IndexByte(text, '\\') < 0 {
		return text, false
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			b.WriteByte(text[i])
			continue
		}
		i++
		if at := strings.IndexByte(`abfnrtv\`, text[i]); at >= 0 {
			b.WriteByte("\a\b\f\n\r\t\v\\"[at])
			continue
		}
		switch c := text[i]; {
		case c == 'c' && echo:
			return b.String(), true
		case c == '0' && echo || c >= '0' && c <= '7' && !echo:
			if echo {
				i++
			}
			n, digits := 0, 0
			for ; digits < 3 && i < len(text) && text[i] >= '0' && text[i] <= '7'; i, digits = i+1, digits+1 {
				n = n*8 + int(text[i]-'0')
			}
			i--
			b.WriteByte(byte(n))
		case c == '"' && !echo || c == '\'' && !echo:
			b.WriteByte(c)
		default:
			b.WriteByte('\\')
			b.WriteByte(c)
		}
	}
	return b.String(), false
}

func (sh *shell) printf(args []string) (int, error) {
	args = args[1:]
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 || strings.HasPrefix(args[0], "-v") {
		return 0, sh.unknown("has operands that are not modelled")
	}
	format, rest := args[0], args[1:]
	for {
		if err := sh.m.step(); err != nil {
			return 0, err
		}
		text, left, stop, err := sh.formatted(format, rest)
		if err != nil {
			return 0, err
		}
		if err := sh.print(1, text); err != nil {
			return 0, err
		}
		if stop || len(left) == 0 || len(left) == len(rest) {
			return 0, nil
		}
		rest = left
	}
}

// formatted goes through a format once and returns the arguments that are left.
func (sh *shell) formatted(format string, args []string) (text string, left []string, stop bool, err error) {
	var b strings.Builder
	next := func() string {
		if len(args) == 0 {
			return ""
		}
		a := args[0]
		args = args[1:]
		return a
	}
	for format != "" {
		i := strings.IndexByte(format, '%')
		if i < 0 {
			i = len(format)
		}
		plain, _ := escaped(format[:i], false)
		b.WriteString(plain)
		if format = format[i:]; format == "" {
			break
		}
		end := strings.IndexAny(format[1:], "%sbdiuoxXcq") + 1
		if end == 0 {
			return "", nil, false, sh.unknown("has the format %.40q", format)
		}
		flags, verb := format[1:end], format[end]
		format = format[end+1:]
		if verb == '%' {
			b.WriteByte('%')
			continue
		}
		field, done, err := sh.conversion(flags, verb, next)
		if err != nil {
			return "", nil, false, err
		}
		b.WriteString(field)
		if done {
			return b.String(), nil, true, nil
		}
	}
	return b.String(), args, false, nil
}

// conversion formats one argument.
func (sh *shell) conversion(flags string, verb byte, next func() string) (field string, stop bool, err error) {
	left := strings.HasPrefix(flags, "-")
	flags = strings.TrimPrefix(flags, "-")
	zero := strings.HasPrefix(flags, "0")
	width, precision := 0, -1
	w, p, hasPrecision := strings.Cut(flags, ".")
	if w != "" {
		if width, err = strconv.Atoi(w); err != nil || width > 1000 {
			return "", false, sh.unknown("has a format with the width %.20q", w)
		}
	}
	if hasPrecision {
		if precision, err = strconv.Atoi(p); err != nil || precision > 1000 {
			return "", false, sh.unknown("has a format with the precision %.20q", p)
		}
	}
	arg := next()
	switch verb {
	case 's', 'b', 'c':
		field = arg
		if verb == 'b' {
			field, stop = escaped(arg, true)
		}
		if verb == 'c' && len(arg) > 1 {
			field = arg[:1]
		}
		if precision >= 0 && precision < len(field) {
			field = field[:precision]
		}
		zero = false
	case 'd', 'i', 'u', 'o', 'x', 'X':
		n, err := sh.number(arg, false)
		if err != nil || precision >= 0 {
			return "", false, sh.unknown("has the argument %.40q for %%%c", arg, verb)
		}
		switch verb {
		case 'o':
			field = strconv.FormatUint(uint64(n), 8)
		case 'x':
			field = strconv.FormatUint(uint64(n), 16)
		case 'X':
			field = strings.ToUpper(strconv.FormatUint(uint64(n), 16))
		default:
			field = itoa(n)
		}
	default:
		return "", false, sh.unknown("has a format with %%%c", verb)
	}
	pad := max(0, width-len(field))
	switch {
	case left:
		field += strings.Repeat(" ", pad)
	case zero && !strings.HasPrefix(field, "-"):
		field = strings.Repeat("0", pad) + field
	default:
		field = strings.Repeat(" ", pad) + field
	}
	return field, stop, nil
}

// read reads a line into variables.
func (sh *shell) read(args []string) (int, error) {
	raw := false
	args = args[1:]
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		if args[0] != "-r" {
			return 0, sh.unknown("has the option %.20q", args[0])
		}
		raw = true
		args = args[1:]
	}
	if len(args) == 0 {
		args = []string{"REPLY"}
	}
	pieces, eof, err := sh.readLine(raw)
	if err != nil {
		return 0, err
	}
	values := sh.splitRead(pieces, len(args))
	for i, name := range args {
		value := ""
		if i < len(values) {
			value = values[i]
		}
		if err := sh.set(name, value); err != nil {
			return 0, err
		}
	}
	return truth(!eof), nil
}

// readLine reads up to a newline, byte by byte so that what follows is left for others.
func (sh *shell) readLine(raw bool) (line []piece, eof bool, err error) {
	in := sh.input(0)
	var b [1]byte
	var text []byte
	flush := func() {
		line = append(line, piece{text: string(text)})
		text = nil
	}
	for {
		_, err := io.ReadFull(in, b[:])
		if errors.Is(err, io.EOF) {
			flush()
			return line, true, nil
		}
		if err != nil {
			return nil, false, err
		}
		if err := sh.m.spend(1); err != nil {
			return nil, false, err
		}
		switch {
		case b[0] == '\n':
			flush()
			return line, false, nil
		case b[0] == '\\' && !raw:
			flush()
			if _, err := io.ReadFull(in, b[:]); err == nil && b[0] != '\n' {
				line = append(line, piece{string(b[:]), true})
			}
		case b[0] != 0:
			text = append(text, b[0])
		}
		if len(text) > sh.m.limits.Value {
			return nil, false, sh.unknown("reads a line of more than %d bytes", sh.m.limits.Value)
		}
	}
}

// splitRead splits a line into at most n values; the last gets the rest.
func (sh *shell) splitRead(line []piece, n int) []string {
	ifs, set := sh.get("IFS")
	if !set {
		ifs = " \t\n"
	}
	white := func(c byte) bool { return strings.IndexByte(" \t\n", c) >= 0 && strings.IndexByte(ifs, c) >= 0 }
	var text []byte
	var quoted []bool
	for _, p := range line {
		for i := range len(p.text) {
			text, quoted = append(text, p.text[i]), append(quoted, p.quoted)
		}
	}
	end := len(text)
	for end > 0 && !quoted[end-1] && white(text[end-1]) {
		end--
	}
	var values []string
	i := 0
	skip := func() {
		for i < end && !quoted[i] && white(text[i]) {
			i++
		}
	}
	skip()
	for len(values) < n-1 && i < end {
		start := i
		for i < end && (quoted[i] || strings.IndexByte(ifs, text[i]) < 0) {
			i++
		}
		values = append(values, string(text[start:i]))
		skip()
		if i < end && !quoted[i] && strings.IndexByte(ifs, text[i]) >= 0 && !white(text[i]) {
			i++
			skip()
		}
	}
	if i < end {
		rest := string(text[i:end])
		// A single delimiter at the very end belongs to the last value's field.
		if last := rest[len(rest)-1]; strings.IndexByte(ifs, last) >= 0 && indexByteOf(rest, ifs) == len(rest)-1 && !quoted[end-1] {
			rest = rest[:len(rest)-1]
		}
		values = append(values, rest)
	}
	return values
}
