package maintscript

import (
	"slices"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/pattern"
	"mvdan.cc/sh/v3/syntax"
)

// fields expands words to arguments, with unquoted expansions split at white space. Names that the shell would look up
// in a directory are refused.
func (e *evaluator) fields(words []*syntax.Word) ([]string, error) {
	var all []string
	for _, w := range words {
		x := expansion{e: e}
		for i, part := range w.Parts {
			if err := x.part(part, i == 0); err != nil {
				return nil, err
			}
		}
		all = append(all, x.finish()...)
	}
	return all, nil
}

// single expands a word that stays one, as in assignments.
func (e *evaluator) single(w *syntax.Word) (string, error) {
	x := expansion{e: e, whole: true}
	if w != nil {
		for i, part := range w.Parts {
			if err := x.part(part, i == 0); err != nil {
				return "", err
			}
		}
	}
	return strings.Join(x.finish(), " "), nil
}

// pattern expands a word of a case, in which what is quoted stands for itself.
func (e *evaluator) pattern(w *syntax.Word) (string, error) {
	var b strings.Builder
	for _, part := range w.Parts {
		if lit, ok := part.(*syntax.Lit); ok {
			b.WriteString(lit.Value)
			continue
		}
		x := expansion{e: e, whole: true}
		if err := x.part(part, false); err != nil {
			return "", err
		}
		value := strings.Join(x.finish(), " ")
		if !isQuoted(part) && strings.ContainsAny(value, `*?[\`) {
			return "", refuse(part, "pattern %.80q in %s", value, source(part))
		}
		b.WriteString(pattern.QuoteMeta(value, pattern.EntireString))
	}
	return b.String(), nil
}

func isQuoted(p syntax.WordPart) bool {
	switch p.(type) {
	case *syntax.SglQuoted, *syntax.DblQuoted:
		return true
	}
	return false
}

// expansion collects the fields of one word.
type expansion struct {
	e *evaluator
	// whole words are not split.
	whole  bool
	done   []string
	field  strings.Builder
	exists bool // the current field is one, even if it is empty
}

func (x *expansion) add(s string) {
	x.field.WriteString(s)
	x.exists = true
}

func (x *expansion) next() {
	if x.exists {
		x.done = append(x.done, x.field.String())
	}
	x.field.Reset()
	x.exists = false
}

func (x *expansion) finish() []string {
	x.next()
	return x.done
}

// split adds the value of an unquoted expansion. The shell looks up patterns in it as it does those in the script.
func (x *expansion) split(at syntax.Node, value string) error {
	if x.whole {
		x.add(value)
		return nil
	}
	if strings.ContainsAny(value, "*?[") {
		return refuse(at, "file name pattern: %.80q in %s", value, source(at))
	}
	const ifs = " \t\n"
	if strings.Trim(value, ifs) == "" {
		if value != "" {
			x.next()
		}
		return nil
	}
	if strings.ContainsAny(value[:1], ifs) {
		x.next()
	}
	words := strings.Fields(value)
	for i, w := range words {
		if i > 0 {
			x.next()
		}
		x.add(w)
	}
	if strings.ContainsAny(value[len(value)-1:], ifs) {
		x.next()
	}
	return nil
}

func (x *expansion) part(p syntax.WordPart, first bool) error {
	if x.field.Len() > maxValue || len(x.done) > maxValue {
		return refuse(p, "an expansion is too long")
	}
	switch p := p.(type) {
	case *syntax.Lit:
		if !x.whole && p.Value != "[" && strings.ContainsAny(p.Value, "*?[{") || first && strings.HasPrefix(p.Value, "~") {
			return refuse(p, "file name pattern: %s", p.Value)
		}
		x.add(unescape(p.Value, ""))
	case *syntax.SglQuoted:
		if p.Dollar {
			return refuse(p, "quoting: %s", source(p))
		}
		x.add(p.Value)
	case *syntax.DblQuoted:
		return x.quoted(p)
	case *syntax.ParamExp:
		if name := p.Param.Value; (name == "@" || name == "*") && plain(p) {
			for i, a := range x.e.args {
				if i > 0 {
					x.next()
				}
				if err := x.split(p, a); err != nil {
					return err
				}
			}
			return nil
		}
		value, err := x.e.param(p)
		if err != nil {
			return err
		}
		return x.split(p, value)
	case *syntax.CmdSubst:
		value, err := x.e.substitution(p)
		if err != nil {
			return err
		}
		return x.split(p, value)
	default:
		return refuse(p, "%s", source(p))
	}
	return nil
}

func (x *expansion) quoted(q *syntax.DblQuoted) error {
	if q.Dollar {
		return refuse(q, "quoting: %s", source(q))
	}
	if len(q.Parts) == 0 {
		x.add("")
	}
	for _, p := range q.Parts {
		switch p := p.(type) {
		case *syntax.Lit:
			x.add(unescape(p.Value, "$`\"\\\n"))
		case *syntax.ParamExp:
			if p.Param.Value == "@" && plain(p) {
				for i, a := range x.e.args {
					if i > 0 && !x.whole {
						x.next()
					} else if i > 0 {
						x.add(" ")
					}
					x.add(a)
				}
				continue
			}
			value, err := x.e.param(p)
			if err != nil {
				return err
			}
			x.add(value)
		case *syntax.CmdSubst:
			value, err := x.e.substitution(p)
			if err != nil {
				return err
			}
			x.add(value)
		default:
			return refuse(p, "%s", source(p))
		}
	}
	return nil
}

// unescape removes backslashes: all of them, or within quotes only those before one of the bytes given.
func unescape(s, only string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && (only == "" || strings.IndexByte(only, s[i+1]) >= 0) {
			i++
			if s[i] == '\n' {
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// plain tells whether a parameter is expanded without any operator.
func plain(p *syntax.ParamExp) bool {
	return !p.Length && !p.Excl && !p.Width && p.Index == nil && p.Slice == nil && p.Repl == nil && p.Exp == nil && p.Names == 0
}

// param gives a parameter's value, with a default or an alternative where the script has one.
func (e *evaluator) param(p *syntax.ParamExp) (string, error) {
	value, set, err := e.variable(p)
	if err != nil {
		return "", err
	}
	if plain(p) {
		if !set && e.nounset {
			return "", refuse(p, "%s is not set", p.Param.Value)
		}
		return value, nil
	}
	if p.Exp == nil || p.Length || p.Excl || p.Width || p.Index != nil || p.Slice != nil || p.Repl != nil || p.Names != 0 {
		return "", refuse(p, "%s", source(p))
	}
	switch p.Exp.Op {
	case syntax.DefaultUnset, syntax.DefaultUnsetOrNull:
		if set && (value != "" || p.Exp.Op == syntax.DefaultUnset) {
			return value, nil
		}
		return e.single(p.Exp.Word)
	case syntax.AlternateUnset, syntax.AlternateUnsetOrNull:
		if set && (value != "" || p.Exp.Op == syntax.AlternateUnset) {
			return e.single(p.Exp.Word)
		}
		return "", nil
	}
	return "", refuse(p, "%s", source(p))
}

// variable gives the value of a parameter and whether it is set. dpkg runs scripts in a small environment: what is not
// known of it is not set.
func (e *evaluator) variable(p *syntax.ParamExp) (string, bool, error) {
	name := p.Param.Value
	switch name {
	case "#":
		return strconv.Itoa(len(e.args)), true, nil
	case "@", "*":
		return strings.Join(e.args, " "), len(e.args) > 0, nil
	case "?":
		if e.unknown[name] {
			return "", false, refuse(p, "the status of the last command is not known")
		}
		return strconv.Itoa(e.last), true, nil
	case "0":
		return "/var/lib/dpkg/info/" + e.script.Package + "." + e.script.Name, true, nil
	}
	if n, err := strconv.Atoi(name); err == nil {
		if n < 1 || n > len(e.args) {
			return "", false, nil
		}
		return e.args[n-1], true, nil
	}
	if e.unknown[name] || slices.Contains([]string{"$", "!", "-", "_"}, name) {
		return "", false, refuse(p, "the value of %s is not known", name)
	}
	value, set := e.vars[name]
	return value, set, nil
}
