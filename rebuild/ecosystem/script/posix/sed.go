package posix

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
)

// sedCommand is one command of a sed script.
type sedCommand struct {
	from, to *sedAddress
	not      bool
	name     byte
	// text is that of a, i and c, and the label of b, t and :.
	text string
	// jump is where to go on: behind the block that { opens, or at the label of b and t.
	jump int
	// For s: the expression, its replacement, and the flags.
	re          *regexp.Regexp
	replacement string
	global, out bool
	nth         int
	// For y.
	pairs map[byte]byte
	// inside says that a range has begun.
	inside bool
	end    int
}

// sedAddress is a line number, the last line, or a match.
type sedAddress struct {
	line int
	last bool
	re   *regexp.Regexp
	plus bool // ",+N"
}

func sed(p *script.Process) (int, error) {
	opts, args, err := p.Options("n e: f: i= E r s quiet silent expression: file: in-place= regexp-extended separate")
	if err != nil {
		return 0, err
	}
	var parts []string
	for _, o := range opts {
		switch o.Name {
		case "e", "expression":
			parts = append(parts, o.Value)
		case "f", "file":
			data, err := p.ReadFile(o.Value)
			if err != nil {
				return p.FailFile(1, o.Value, err)
			}
			parts = append(parts, strings.TrimSuffix(string(data), "\n"))
		}
	}
	if len(parts) == 0 {
		if len(args) == 0 {
			return p.Fail(1, "no script")
		}
		parts, args = args[:1], args[1:]
	}
	parser := &sedParser{p: p, in: strings.Join(parts, "\n"), extended: script.Has(opts, "E", "r", "regexp-extended")}
	program, err := parser.program()
	if err != nil {
		return 0, err
	}
	ed := &sedRun{p: p, program: program, quiet: script.Has(opts, "n", "quiet", "silent")}
	if script.Has(opts, "i", "in-place") {
		return ed.inPlace(args, value(opts, "i", "in-place"))
	}
	var all []string
	newline := true
	status, err := eachFile(p, args, 2, func(_ string, data []byte) error {
		if len(data) > 0 {
			all = append(all, lines(data)...)
			newline = data[len(data)-1] == '\n'
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	out, err := ed.run(all, newline)
	if err != nil {
		return 0, err
	}
	if err := p.Print(out); err != nil {
		return 0, err
	}
	return max(status, ed.status), nil
}

// inPlace edits files. As the real one it puts a new file in place of the old, with the same mode and owner.
func (ed *sedRun) inPlace(names []string, suffix string) (int, error) {
	p := ed.p
	status := 0
	for _, name := range names {
		_, l, err := p.Tree().Lstat(p.Abs(name))
		if err == nil && !l.IsRegular() {
			return 0, p.Unknownf("edits %s, which is no regular file", name)
		}
		data, err := p.ReadFile(name)
		if err != nil {
			if status, err = p.FailFile(4, "can't read "+name, err); err != nil {
				return 0, err
			}
			continue
		}
		old := *l
		ed.reset()
		out, err := ed.run(lines(data), len(data) == 0 || data[len(data)-1] == '\n')
		if err != nil {
			return 0, err
		}
		if suffix != "" {
			if strings.ContainsAny(suffix, "*/") {
				return 0, p.Unknownf("has the suffix %.20q", suffix)
			}
			if err := p.Tree().Rename(p.Abs(name), p.Abs(name)+suffix); err != nil {
				return 0, err
			}
		} else if err := p.Tree().Remove(p.Abs(name), false); err != nil {
			return 0, err
		}
		if err := p.Tree().WriteFile(p.Abs(name), []byte(out), old.Mode); err != nil {
			return 0, err
		}
		if err := p.Tree().Chown(p.Abs(name), old.UID, old.GID, true); err != nil {
			return 0, err
		}
		if err := p.Tree().Chmod(p.Abs(name), old.Mode); err != nil {
			return 0, err
		}
	}
	return max(status, ed.status), nil
}

// sedRun is the state of an editing run.
type sedRun struct {
	p       *script.Process
	program []*sedCommand
	quiet   bool

	input       []string
	next        int // the line after the current one
	space, hold string
	out         strings.Builder
	after       []string
	newline     bool
	status      int
	quit        bool
	// changed says that a substitution was made since the last t.
	changed bool
}

func (ed *sedRun) reset() {
	for _, c := range ed.program {
		c.inside = false
	}
	ed.out.Reset()
	ed.hold, ed.quit, ed.after = "", false, nil
}

// run edits lines. A last line without a newline stays so, unless something is appended to it.
func (ed *sedRun) run(input []string, newline bool) (string, error) {
	ed.input, ed.newline = input, newline
	for ed.next = 0; ed.next < len(ed.input) && !ed.quit; {
		ed.space = ed.input[ed.next]
		ed.next++
		if err := ed.p.Step(); err != nil {
			return "", err
		}
		deleted, err := ed.cycle()
		if err != nil {
			return "", err
		}
		if !deleted && !ed.quiet {
			ed.print(ed.space)
		}
		ed.flush()
	}
	out := ed.out.String()
	if !ed.newline {
		out = strings.TrimSuffix(out, "\n")
	}
	return out, ed.p.Spend(len(out))
}

func (ed *sedRun) print(text string) { ed.out.WriteString(text + "\n") }

func (ed *sedRun) flush() {
	for _, text := range ed.after {
		ed.print(text)
	}
	ed.after = nil
}

// cycle applies the program to the pattern space; true says that it is not printed.
func (ed *sedRun) cycle() (bool, error) {
	ed.changed = false
	for at := 0; at < len(ed.program); at++ {
		c := ed.program[at]
		if ed.selected(c) == c.not {
			if c.name == '{' {
				at = c.jump - 1
			}
			continue
		}
		switch c.name {
		case '{', '}', ':':
			continue
		case 'b', 't':
			if c.name == 't' && !ed.changed {
				continue
			}
			ed.changed = ed.changed && c.name == 'b'
			if err := ed.p.Step(); err != nil {
				return false, err
			}
			at = c.jump - 1
			continue
		}
		done, err := ed.apply(c)
		if done || err != nil {
			return done, err
		}
		if ed.quit {
			return false, nil
		}
	}
	return false, nil
}

func (ed *sedRun) matches(a *sedAddress) bool {
	switch {
	case a.re != nil:
		return a.re.MatchString(ed.space)
	case a.last:
		return ed.next == len(ed.input)
	}
	return a.line == ed.next
}

func (ed *sedRun) selected(c *sedCommand) bool {
	switch {
	case c.from == nil:
		return true
	case c.to == nil:
		return ed.matches(c.from)
	case c.inside:
		switch {
		case c.to.plus:
			c.inside = ed.next < c.end
		case c.to.re == nil && !c.to.last:
			c.inside = ed.next < c.to.line
			return ed.next <= c.to.line
		default:
			c.inside = !ed.matches(c.to)
		}
		return true
	case c.from.line == 0 && c.from.re == nil && !c.from.last:
		if ed.next == 1 { // 0,/re/ begins before the first line, which may end it
			c.inside = !ed.matches(c.to)
			return true
		}
		return false
	case ed.matches(c.from):
		c.inside = true
		c.end = ed.next + c.to.line
		if c.to.re == nil && !c.to.last && !c.to.plus && c.to.line <= ed.next || c.to.plus && c.to.line == 0 {
			c.inside = false
		}
		return true
	}
	return false
}

func (ed *sedRun) apply(c *sedCommand) (bool, error) {
	switch c.name {
	case 'd':
		return true, nil
	case 'p':
		ed.print(ed.space)
	case 'q':
		ed.quit = true
	case '=':
		ed.print(strconv.Itoa(ed.next))
	case 'n':
		if ed.next == len(ed.input) {
			ed.quit = true
			return false, nil
		}
		if !ed.quiet {
			ed.print(ed.space)
		}
		ed.flush()
		ed.space = ed.input[ed.next]
		ed.next++
	case 'N':
		if ed.next == len(ed.input) {
			ed.quit = true
			return false, nil
		}
		ed.space += "\n" + ed.input[ed.next]
		ed.next++
	case 'h', 'H', 'g', 'G', 'x':
		ed.exchange(c.name)
	case 'a':
		if c.text != "" {
			ed.after = append(ed.after, c.text)
		}
		ed.newline = ed.newline || ed.next == len(ed.input)
	case 'i':
		ed.print(c.text)
	case 'c':
		if c.to == nil || !c.inside || c.not {
			ed.print(c.text)
		}
		return true, nil
	case 'y':
		b := []byte(ed.space)
		for i := range b {
			if to, ok := c.pairs[b[i]]; ok {
				b[i] = to
			}
		}
		ed.space = string(b)
	case 's':
		return false, ed.substitute(c)
	}
	if len(ed.space)+len(ed.hold) > 1<<20 {
		return false, ed.p.Unknownf("makes a line of more than 1 MiB")
	}
	return false, nil
}

// exchange applies the commands about the hold space.
func (ed *sedRun) exchange(name byte) {
	switch name {
	case 'h':
		ed.hold = ed.space
	case 'H':
		ed.hold += "\n" + ed.space
	case 'g':
		ed.space = ed.hold
	case 'G':
		ed.space += "\n" + ed.hold
	case 'x':
		ed.space, ed.hold = ed.hold, ed.space
	}
}

func (ed *sedRun) substitute(c *sedCommand) error {
	if err := ed.p.Spend(len(ed.space) + 1); err != nil {
		return err
	}
	matches := c.re.FindAllStringSubmatchIndex(ed.space, -1)
	var b strings.Builder
	at, changed := 0, false
	for i, m := range matches {
		if i+1 < c.nth || i+1 > c.nth && !c.global {
			continue
		}
		b.WriteString(ed.space[at:m[0]])
		b.WriteString(replacement(c.replacement, ed.space, m))
		at, changed = m[1], true
		if b.Len() > 1<<20 {
			return ed.p.Unknownf("makes a line of more than 1 MiB")
		}
	}
	if !changed {
		return nil
	}
	b.WriteString(ed.space[at:])
	ed.space, ed.changed = b.String(), true
	if c.out {
		ed.print(ed.space)
	}
	return nil
}

// replacement fills & and \1 in.
func replacement(text, line string, m []int) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '&':
			b.WriteString(line[m[0]:m[1]])
		case c == '\\' && i+1 < len(text):
			i++
			if d := int(text[i] - '0'); text[i] >= '0' && text[i] <= '9' {
				if 2*d+1 < len(m) && m[2*d] >= 0 {
					b.WriteString(line[m[2*d]:m[2*d+1]])
				}
				continue
			}
			switch text[i] {
			case 'n':
				b.WriteByte('\n')
			case 't':
				b.WriteByte('\t')
			default:
				b.WriteByte(text[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
