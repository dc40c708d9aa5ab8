package script

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"mvdan.cc/sh/v3/syntax"
)

// get returns the value of a variable.
func (sh *shell) get(name string) (string, bool) {
	v, ok := sh.vars[name]
	return v.value, ok && !v.unset
}

// set gives a variable a value.
func (sh *shell) set(name, value string) error {
	v := sh.vars[name]
	if v.readonly {
		return sh.unknown("sets the read-only variable %s", name)
	}
	if err := sh.m.value(value); err != nil {
		return err
	}
	if len(sh.vars) > 10_000 {
		return sh.unknown("sets more than 10000 variables")
	}
	v.value, v.unset = value, false
	sh.vars[name] = v
	if name == "OPTIND" {
		sh.optind, _ = strconv.Atoi(value)
	}
	return nil
}

// parameter returns what $name stands for. What differs from run to run is unknown.
func (sh *shell) parameter(name string) (value string, set bool, err error) {
	switch name {
	case "?":
		return strconv.Itoa(sh.last), true, nil
	case "#":
		return strconv.Itoa(len(sh.params)), true, nil
	case "-":
		return sh.options(), true, nil
	case "0":
		return sh.arg0, true, nil
	case "*", "@":
		return strings.Join(sh.params, sh.separator()), len(sh.params) > 0, nil
	case "$", "PPID", "RANDOM", "SRANDOM", "SECONDS", "EPOCHSECONDS", "EPOCHREALTIME", "BASHPID", "!", "HOSTNAME", "TERM",
		"UID", "EUID", "LINENO", "BASH_VERSION", "BASH_SOURCE", "FUNCNAME", "COLUMNS", "LINES", "HOSTTYPE", "MACHTYPE", "OSTYPE":
		if v, ok := sh.get(name); ok {
			return v, true, nil
		}
		switch {
		case name == "!" || name == "TERM" || name == "COLUMNS" || name == "LINES":
			return "", false, nil
		case sh.flavor == dash && name != "$" && name != "PPID" && name != "LINENO":
			return "", false, nil // dash knows none of the others
		}
		return "", false, sh.unknown("asks for $%s", name)
	}
	if n, err := strconv.Atoi(name); err == nil {
		if n == 0 {
			return sh.arg0, true, nil
		}
		if n < 0 || n > len(sh.params) {
			return "", false, nil
		}
		return sh.params[n-1], true, nil
	}
	value, set = sh.get(name)
	return value, set, nil
}

func (sh *shell) options() string {
	var s string
	for _, o := range []struct {
		on     bool
		letter string
	}{{sh.errexit, "e"}, {sh.noglob, "f"}, {sh.nounset, "u"}} {
		if o.on {
			s += o.letter
		}
	}
	return s
}

// separator joins the parameters in "$*".
func (sh *shell) separator() string {
	ifs, set := sh.get("IFS")
	switch {
	case !set:
		return " "
	case ifs == "":
		return ""
	}
	return ifs[:1]
}

// param expands $x and ${x…}.
func (x *expansion) param(p *syntax.ParamExp, quoted bool) error {
	sh := x.sh
	if p.Param == nil || p.Index != nil || p.Width || p.IsSet || p.Names != 0 || p.NestedParam != nil || p.Flags != nil || len(p.Modifiers) > 0 {
		return sh.unknown("uses an expansion that is not modelled")
	}
	name := p.Param.Value
	if (name == "@" || name == "*") && p.Exp == nil && !p.Length && p.Slice == nil && p.Repl == nil && !p.Excl {
		return x.parameters(name == "@", quoted)
	}
	value, set, err := sh.parameter(name)
	if err != nil {
		return err
	}
	if p.Excl {
		if value, set, err = sh.parameter(value); err != nil || sh.flavor != bash {
			return sh.unknown("uses an indirect expansion")
		}
	}
	if p.Exp != nil && p.Exp.Op <= syntax.AssignUnsetOrNull {
		return x.conditional(p, name, value, set, quoted)
	}
	if !set && sh.nounset && name != "@" && name != "*" {
		if err := sh.complain("%s: parameter not set", name); err != nil {
			return err
		}
		return exitFlow{2}
	}
	switch {
	case p.Length:
		n := len(value)
		if sh.flavor != dash { // which counts bytes
			n = utf8.RuneCountInString(value)
		}
		value = strconv.Itoa(n)
	case p.Exp != nil:
		value, err = sh.modify(p.Exp, value)
	case p.Slice != nil:
		value, err = sh.slice(p.Slice, value)
	case p.Repl != nil:
		value, err = sh.replace(p.Repl, value)
	}
	if err != nil {
		return err
	}
	return x.expanded(value, quoted)
}

// parameters expands $@ and $*.
func (x *expansion) parameters(at, quoted bool) error {
	sh := x.sh
	if quoted && !at || !x.split {
		sep := " "
		if !at {
			sep = sh.separator()
		}
		return x.expanded(strings.Join(sh.params, sep), quoted)
	}
	for i, p := range sh.params {
		if i > 0 {
			x.end()
		}
		if err := x.expanded(p, quoted); err != nil {
			return err
		}
	}
	return nil
}

// conditional expands ${x:-word} and its kin.
func (x *expansion) conditional(p *syntax.ParamExp, name, value string, set, quoted bool) error {
	sh := x.sh
	word := p.Exp.Word
	switch p.Exp.Op {
	case syntax.AlternateUnsetOrNull, syntax.DefaultUnsetOrNull, syntax.ErrorUnsetOrNull, syntax.AssignUnsetOrNull:
		set = set && value != ""
	}
	use := func() error {
		if word == nil {
			return x.add("", quoted)
		}
		return x.word(word, quoted)
	}
	switch p.Exp.Op {
	case syntax.AlternateUnset, syntax.AlternateUnsetOrNull:
		if set {
			return use()
		}
		return x.add("", quoted)
	case syntax.DefaultUnset, syntax.DefaultUnsetOrNull:
		if !set {
			return use()
		}
	case syntax.AssignUnset, syntax.AssignUnsetOrNull:
		if !set {
			pieces, err := sh.pieces(word, quoted)
			if err != nil {
				return err
			}
			value = plain(pieces)
			if !syntax.ValidName(name) {
				return sh.unknown("assigns to $%s", name)
			}
			if err := sh.set(name, value); err != nil {
				return err
			}
		}
	case syntax.ErrorUnset, syntax.ErrorUnsetOrNull:
		if !set {
			message, err := sh.pieces(word, quoted)
			if err != nil {
				return err
			}
			if err := sh.complain("%s: %s", name, plain(message)); err != nil {
				return err
			}
			return exitFlow{2}
		}
	}
	if name == "@" || name == "*" {
		return x.parameters(name == "@", quoted)
	}
	return x.expanded(value, quoted)
}

// modify applies the operators that change a value.
func (sh *shell) modify(e *syntax.Expansion, value string) (string, error) {
	pieces, err := sh.pieces(e.Word, false)
	if err != nil {
		return "", err
	}
	switch e.Op {
	case syntax.RemSmallSuffix, syntax.RemLargeSuffix, syntax.RemSmallPrefix, syntax.RemLargePrefix:
		return sh.trim(value, patternOf(pieces), e.Op)
	case syntax.UpperAll:
		if len(pieces) == 0 {
			return strings.ToUpper(value), nil
		}
	case syntax.LowerAll:
		if len(pieces) == 0 {
			return strings.ToLower(value), nil
		}
	}
	return "", sh.unknown("uses the expansion operator %s", e.Op)
}

// slice cuts bash's ${x:offset:length}.
func (sh *shell) slice(s *syntax.Slice, value string) (string, error) {
	offset, err := sh.arithm(s.Offset)
	if err != nil {
		return "", err
	}
	n := int64(len(value))
	if utf8.RuneCountInString(value) != len(value) {
		return "", sh.unknown("cuts a value that is not ASCII")
	}
	if offset < 0 {
		offset += n
	}
	if offset < 0 || offset > n {
		return "", nil
	}
	end := n
	if s.Length != nil {
		length, err := sh.arithm(s.Length)
		if err != nil {
			return "", err
		}
		if end = offset + length; length < 0 {
			end = n + length
		}
		if end < offset {
			return "", sh.unknown("cuts a value by a negative length")
		}
	}
	return value[offset:min(end, n)], nil
}

// replace makes bash's ${x/pattern/string}, for patterns without wildcards.
func (sh *shell) replace(r *syntax.Replace, value string) (string, error) {
	orig, err := sh.pieces(r.Orig, false)
	if err != nil {
		return "", err
	}
	with, err := sh.single(r.With)
	if err != nil {
		return "", err
	}
	c, err := sh.m.compile(patternOf(orig))
	if err != nil {
		return "", err
	}
	if c.re != nil || c.literal == "" || c.literal[0] == '#' || c.literal[0] == '%' || strings.ContainsAny(with, `&\`) {
		return "", sh.unknown("replaces by a pattern within a variable")
	}
	n := 1
	if r.All {
		n = strings.Count(value, c.literal)
	}
	if err := sh.m.spend(len(value) + n*len(with)); err != nil {
		return "", err
	}
	if len(value)+n*len(with) > sh.m.limits.Value {
		return "", sh.unknown("makes a value of more than %d bytes", sh.m.limits.Value)
	}
	return strings.Replace(value, c.literal, with, n), nil
}

// braces applies bash's {a,b}.
func (sh *shell) braces(w *syntax.Word) ([]*syntax.Word, error) {
	for _, part := range w.Parts {
		lit, ok := part.(*syntax.Lit)
		if !ok || !strings.Contains(lit.Value, "{") {
			continue
		}
		if strings.Contains(lit.Value, "..") || strings.Count(lit.Value, "{") > 1 || !strings.Contains(lit.Value, ",") {
			if i := strings.Index(lit.Value, "{}"); i >= 0 && strings.Count(lit.Value, "{") == 1 {
				continue // find's {}
			}
			return nil, sh.unknown("uses a brace expansion that is not modelled")
		}
		if len(w.Parts) > 1 {
			return nil, sh.unknown("uses a brace expansion that is not modelled")
		}
		head, rest, _ := strings.Cut(lit.Value, "{")
		body, tail, closed := strings.Cut(rest, "}")
		if !closed {
			continue
		}
		var all []*syntax.Word
		for _, choice := range strings.Split(body, ",") {
			c := *lit
			c.Value = head + choice + tail
			all = append(all, &syntax.Word{Parts: []syntax.WordPart{&c}})
		}
		return all, nil
	}
	return []*syntax.Word{w}, nil
}
