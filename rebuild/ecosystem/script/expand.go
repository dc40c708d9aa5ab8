package script

import (
	"strings"

	"mvdan.cc/sh/v3/pattern"
	"mvdan.cc/sh/v3/syntax"
)

// piece is a part of a field; quoted characters have no meaning for patterns.
type piece struct {
	text   string
	quoted bool
}

// expansion collects the fields that words become.
type expansion struct {
	sh *shell
	// split says that unquoted expansions are split into fields.
	split bool
	done  [][]piece
	cur   []piece
	// open says that there is a current field, be it empty.
	open bool
	size int
}

func (x *expansion) add(text string, quoted bool) error {
	if text != "" || quoted {
		x.cur = append(x.cur, piece{text, quoted})
		x.open = true
	}
	if x.size += len(text); x.size > x.sh.m.limits.Value {
		return x.sh.unknown("makes a value of more than %d bytes", x.sh.m.limits.Value)
	}
	return x.sh.m.spend(len(text) + 1)
}

func (x *expansion) end() {
	if x.open {
		x.done = append(x.done, x.cur)
	}
	x.cur, x.open = nil, false
}

// expanded adds the result of an expansion.
func (x *expansion) expanded(text string, quoted bool) error {
	if quoted || !x.split {
		return x.add(text, quoted)
	}
	ifs, set := x.sh.get("IFS")
	if !set {
		ifs = " \t\n"
	}
	// Whitespace of IFS ends a field; another character of it ends one even if that is empty.
	for text != "" {
		i := indexByteOf(text, ifs)
		if i < 0 {
			return x.add(text, false)
		}
		if err := x.add(text[:i], false); err != nil {
			return err
		}
		hard := false
		for text = text[i:]; text != "" && strings.IndexByte(ifs, text[0]) >= 0; text = text[1:] {
			if strings.IndexByte(" \t\n", text[0]) >= 0 {
				continue
			}
			if hard {
				break
			}
			hard = true
			x.open = true
		}
		x.end()
	}
	return nil
}

// indexByteOf finds the first byte of s that is one of a set.
func indexByteOf(s, set string) int {
	for i := range len(s) {
		if strings.IndexByte(set, s[i]) >= 0 {
			return i
		}
	}
	return -1
}

// fields expands words as the arguments of a command: split, and with file names for patterns.
func (sh *shell) fields(words []*syntax.Word) ([]string, error) {
	var all []string
	for _, w := range words {
		expandedBraces := []*syntax.Word{w}
		if sh.flavor == bash {
			var err error
			if expandedBraces, err = sh.braces(w); err != nil {
				return nil, err
			}
		}
		for _, w := range expandedBraces {
			x := &expansion{sh: sh, split: true}
			if err := x.word(w, false); err != nil {
				return nil, err
			}
			x.end()
			for _, f := range x.done {
				names, err := sh.glob(f)
				if err != nil {
					return nil, err
				}
				all = append(all, names...)
			}
		}
	}
	return all, nil
}

// single expands a word to one string.
func (sh *shell) single(w *syntax.Word) (string, error) {
	pieces, err := sh.pieces(w, false)
	return plain(pieces), err
}

// pieces expands a word without splitting.
func (sh *shell) pieces(w *syntax.Word, quoted bool) ([]piece, error) {
	if w == nil {
		return nil, nil
	}
	x := &expansion{sh: sh}
	err := x.word(w, quoted)
	return x.cur, err
}

func plain(pieces []piece) string {
	if len(pieces) == 1 {
		return pieces[0].text
	}
	var b strings.Builder
	for _, p := range pieces {
		b.WriteString(p.text)
	}
	return b.String()
}

// patternOf spells pieces as a pattern in which quoted characters stand for themselves.
func patternOf(pieces []piece) string {
	var b strings.Builder
	for _, p := range pieces {
		if !p.quoted {
			b.WriteString(p.text)
			continue
		}
		for i := range len(p.text) {
			if c := p.text[i]; strings.IndexByte(`*?[]\!^-`, c) >= 0 {
				b.WriteByte('\\')
			}
			b.WriteByte(p.text[i])
		}
	}
	return b.String()
}

func (x *expansion) word(w *syntax.Word, quoted bool) error {
	for i, part := range w.Parts {
		if lit, ok := part.(*syntax.Lit); ok && i == 0 && !quoted && strings.HasPrefix(lit.Value, "~") {
			if err := x.tilde(lit.Value, len(w.Parts) == 1); err != nil {
				return err
			}
			continue
		}
		if err := x.part(part, quoted); err != nil {
			return err
		}
	}
	return nil
}

// tilde expands ~ and ~/path.
func (x *expansion) tilde(text string, whole bool) error {
	rest := text[1:]
	if rest == "" && whole || strings.HasPrefix(rest, "/") {
		home, ok := x.sh.get("HOME")
		if !ok {
			return x.sh.unknown("asks for its home directory")
		}
		if err := x.add(home, true); err != nil {
			return err
		}
		return x.literal(rest)
	}
	// The names of Debian's versions often have a tilde, at the start of a word hardly ever.
	return x.sh.unknown("asks for a home directory by %.40q", text)
}

func (x *expansion) part(part syntax.WordPart, quoted bool) error {
	switch p := part.(type) {
	case *syntax.Lit:
		if quoted {
			return x.add(unescape(p.Value, "$`\"\\\n"), true)
		}
		return x.literal(p.Value)
	case *syntax.SglQuoted:
		text := p.Value
		if p.Dollar {
			return x.sh.unknown("uses $'…'")
		}
		if quoted { // within ${x:-'…'} in double quotes
			text = "'" + text + "'"
		}
		return x.add(text, true)
	case *syntax.DblQuoted:
		if p.Dollar {
			return x.sh.unknown(`uses $"…"`)
		}
		if len(p.Parts) == 0 {
			return x.add("", true)
		}
		for _, part := range p.Parts {
			if err := x.part(part, true); err != nil {
				return err
			}
		}
		return nil
	case *syntax.ParamExp:
		return x.param(p, quoted)
	case *syntax.CmdSubst:
		out, err := x.sh.substitute(p)
		if err != nil {
			return err
		}
		return x.expanded(out, quoted)
	case *syntax.ArithmExp:
		n, err := x.sh.reckoned(p.X)
		if err != nil {
			return err
		}
		return x.expanded(itoa(n), quoted)
	case *syntax.ExtGlob:
		return x.sh.unknown("uses an extended pattern")
	case *syntax.ProcSubst:
		return x.sh.unknown("uses process substitution")
	}
	return x.sh.unknown("uses shell syntax that is not modelled: %T", part)
}

// literal adds unquoted text, in which a backslash quotes the next character.
func (x *expansion) literal(text string) error {
	for text != "" {
		i := strings.IndexByte(text, '\\')
		if i < 0 || i+1 == len(text) {
			return x.add(text, false)
		}
		if i > 0 {
			if err := x.add(text[:i], false); err != nil {
				return err
			}
		}
		if text[i+1] != '\n' {
			if err := x.add(text[i+1:i+2], true); err != nil {
				return err
			}
		}
		text = text[i+2:]
	}
	return nil
}

// unescape takes away the backslashes before any of the given characters, and whole continued lines.
func unescape(text, special string) string {
	if strings.IndexByte(text, '\\') < 0 {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) && strings.IndexByte(special, text[i+1]) >= 0 {
			i++
			if text[i] == '\n' {
				continue
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// hereDocument expands a here-document.
func (sh *shell) hereDocument(r *syntax.Redirect) (string, error) {
	if r.Hdoc == nil {
		return "", nil
	}
	literal := false
	for _, part := range r.Word.Parts {
		lit, ok := part.(*syntax.Lit)
		literal = literal || !ok || strings.Contains(lit.Value, `\`)
	}
	x := &expansion{sh: sh}
	start := true
	for _, part := range r.Hdoc.Parts {
		lit, ok := part.(*syntax.Lit)
		if !ok {
			start = false
			if err := x.part(part, true); err != nil {
				return "", err
			}
			continue
		}
		text := lit.Value
		if r.Op == syntax.DashHdoc {
			text = withoutTabs(text, start)
		}
		if !literal {
			text = unescape(text, "$`\\\n")
		}
		start = strings.HasSuffix(lit.Value, "\n")
		if err := x.add(text, true); err != nil {
			return "", err
		}
	}
	return plain(x.cur), nil
}

func withoutTabs(text string, start bool) string {
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines {
		if i > 0 || start {
			lines[i] = strings.TrimLeft(line, "\t")
		}
	}
	return strings.Join(lines, "")
}

// substitute runs a command substitution and returns its output without trailing newlines.
func (sh *shell) substitute(c *syntax.CmdSubst) (string, error) {
	if c.TempFile || c.ReplyVar {
		return "", sh.unknown("uses a command substitution that is not modelled")
	}
	if err := sh.m.enter(); err != nil {
		return "", err
	}
	defer sh.m.leave()
	out := &buffer{m: sh.m}
	child := sh.sub()
	child.fds[1] = out
	if sh.flavor != bash {
		child.tested = 0 // dash minds failures in there even within a condition
	} else {
		child.errexit = false
	}
	status, err := child.body(c.Stmts)
	sh.substituted = status
	if err != nil {
		return "", err
	}
	text := strings.TrimRight(out.String(), "\n")
	return strings.ReplaceAll(text, "\x00", ""), sh.m.value(text)
}

// matches tells whether a word as a pattern matches a string.
func (sh *shell) matches(w *syntax.Word, subject string) (bool, error) {
	pieces, err := sh.pieces(w, false)
	if err != nil {
		return false, err
	}
	return sh.match(patternOf(pieces), subject)
}

// glob replaces a field that is a pattern by the names that match it.
func (sh *shell) glob(field []piece) ([]string, error) {
	magic := false
	for _, p := range field {
		magic = magic || !p.quoted && strings.ContainsAny(p.text, "*?[")
	}
	if !magic || sh.noglob {
		return []string{plain(field)}, nil
	}
	pat := patternOf(field)
	if !pattern.HasMeta(pat, 0) {
		return []string{plain(field)}, nil
	}
	names, err := sh.expandPath("", strings.Split(pat, "/"))
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return []string{plain(field)}, nil
	}
	return names, nil
}

// expandPath finds the paths below prefix that match the components of a pattern, sorted.
func (sh *shell) expandPath(prefix string, parts []string) ([]string, error) {
	part, rest := parts[0], parts[1:]
	last := len(rest) == 0
	if !pattern.HasMeta(part, 0) {
		next := prefix + unescapeAll(part)
		if last {
			if _, _, err := sh.m.tree.Lstat(sh.abs(next)); err == nil {
				return []string{next}, nil
			}
			return nil, nil
		}
		return sh.expandPath(next+"/", rest)
	}
	dir := prefix
	if dir == "" {
		dir = "."
	}
	names, err := sh.m.tree.ReadDir(sh.abs(dir))
	if err != nil {
		return nil, known(err)
	}
	var all []string
	for _, name := range names {
		if err := sh.m.step(); err != nil {
			return nil, err
		}
		if name[0] == '.' && part[0] != '.' {
			continue
		}
		ok, err := sh.match(part, name)
		if err != nil {
			return nil, err
		}
		switch {
		case !ok:
		case last:
			all = append(all, prefix+name)
		default:
			if _, e, err := sh.m.tree.Stat(sh.abs(prefix + name)); err != nil || !e.IsDir() {
				continue
			}
			more, err := sh.expandPath(prefix+name+"/", rest)
			if err != nil {
				return nil, err
			}
			all = append(all, more...)
		}
	}
	return all, nil
}

func unescapeAll(pat string) string {
	var b strings.Builder
	for i := 0; i < len(pat); i++ {
		if pat[i] == '\\' && i+1 < len(pat) {
			i++
		}
		b.WriteByte(pat[i])
	}
	return b.String()
}
