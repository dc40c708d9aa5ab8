package posix

import (
	"regexp"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
)

// An awk program is compiled to functions.
type (
	awkExpr func(*awkRun) (awkValue, error)
	awkStmt func(*awkRun) error
	awkRule struct {
		pattern awkExpr
		action  awkStmt
	}
	awkProgram struct{ begin, rules, end []awkRule }
	// awkTarget is what can be assigned to.
	awkTarget struct {
		name  string
		index awkExpr // of an array
		field awkExpr
	}
)

func (t *awkTarget) get(r *awkRun) (awkValue, error) {
	switch {
	case t.field != nil:
		n, err := t.field(r)
		return r.field(max(0, int(n.float()))), err
	case t.index != nil:
		i, err := t.index(r)
		return r.arrays[t.name][i.String()], err
	}
	return r.variable(t.name), nil
}

func (t *awkTarget) set(r *awkRun, v awkValue) error {
	switch {
	case t.field != nil:
		n, err := t.field(r)
		if err != nil {
			return err
		}
		return r.setField(int(n.float()), v.String())
	case t.index != nil:
		i, err := t.index(r)
		if err != nil {
			return err
		}
		if r.arrays[t.name] == nil {
			r.arrays[t.name] = make(map[string]awkValue)
		}
		r.arrays[t.name][i.String()] = v
		return r.p.Spend(len(i.String()) + len(v.text) + 64)
	}
	return r.set(t.name, v)
}

// awkParser reads a program by recursive descent.
type awkParser struct {
	p     *script.Process
	toks  []string
	at    int
	depth int
	err   error
}

var awkToken = regexp.MustCompile(`^(?:[ \t]+|\\\n|#[^\n]*|(` +
	`"(?:[^"\\\n]|\\.)*"|[0-9]+\.?[0-9]*|\.[0-9]+|[A-Za-z_][A-Za-z_0-9]*|&&|\|\||==|!=|<=|>=|\+=|-=|\*=|/=|%=|\+\+|--|!~|[-+*/%<>=!~$(){}\[\];,\n?:]))`)

// parseAwk compiles a program.
func parseAwk(p *script.Process, text string) (*awkProgram, error) {
	if len(text) > 10_000 {
		return nil, p.Unknownf("has a program of %d bytes", len(text))
	}
	a := &awkParser{p: p}
	for text != "" {
		last := "\n"
		if len(a.toks) > 0 {
			last = a.toks[len(a.toks)-1]
		}
		if text[0] == '/' && strings.Contains("\n ( , { } ; ~ !~ && || ! return print", last) && last != " " {
			end := 1
			for end < len(text) && text[end] != '/' && text[end] != '\n' {
				if text[end] == '\\' {
					end++
				}
				end++
			}
			if end >= len(text) || text[end] != '/' {
				return nil, a.unknown()
			}
			a.toks = append(a.toks, text[:end+1])
			text = text[end+1:]
			continue
		}
		m := awkToken.FindStringSubmatchIndex(text)
		if m == nil {
			return nil, a.unknown()
		}
		if m[2] >= 0 {
			a.toks = append(a.toks, text[m[2]:m[3]])
		}
		text = text[m[1]:]
	}
	prog := a.program()
	return prog, a.err
}

func (a *awkParser) unknown() error {
	if a.err == nil {
		a.err = a.p.Unknownf("has an awk program that is not modelled")
	}
	return a.err
}

func (a *awkParser) peek() string {
	if a.at < len(a.toks) && a.err == nil {
		return a.toks[a.at]
	}
	return ""
}

func (a *awkParser) take(tok string) bool {
	if a.peek() == tok && tok != "" {
		a.at++
		return true
	}
	return false
}

func (a *awkParser) want(tok string) {
	if !a.take(tok) {
		_ = a.unknown() // kept in a.err
	}
}

func (a *awkParser) newlines() {
	for more := true; more; {
		more = a.take("\n") || a.take(";")
	}
}

func (a *awkParser) program() *awkProgram {
	prog := &awkProgram{}
	for a.newlines(); a.peek() != ""; a.newlines() {
		rule := awkRule{}
		list := &prog.rules
		switch {
		case a.take("BEGIN"):
			list = &prog.begin
		case a.take("END"):
			list = &prog.end
		case a.peek() != "{":
			rule.pattern = a.expr()
			if a.peek() == "," {
				_ = a.unknown() // a range
			}
		}
		if a.peek() == "{" {
			rule.action = a.block()
		} else {
			rule.action = printRecord
		}
		*list = append(*list, rule)
	}
	return prog
}

func printRecord(r *awkRun) error { return r.p.Print(r.record + r.vars["ORS"].String()) }

func (a *awkParser) block() awkStmt {
	a.want("{")
	var list []awkStmt
	for a.newlines(); a.err == nil && a.peek() != "}"; a.newlines() {
		if a.peek() == "" {
			_ = a.unknown()
		}
		list = append(list, a.stmt())
		if next := a.peek(); next != "}" && next != ";" && next != "\n" && a.toks[a.at-1] != "}" && a.toks[a.at-1] != ";" && a.toks[a.at-1] != "\n" {
			_ = a.unknown()
		}
	}
	a.want("}")
	return func(r *awkRun) error {
		for _, s := range list {
			if err := s(r); err != nil {
				return err
			}
		}
		return nil
	}
}

func (a *awkParser) stmt() awkStmt {
	if a.depth++; a.depth > 200 {
		_ = a.unknown()
	}
	defer func() { a.depth-- }()
	switch tok := a.peek(); tok {
	case "{":
		return a.block()
	case "if":
		return a.ifStmt()
	case "next":
		a.at++
		return func(*awkRun) error { return awkNext }
	case "exit":
		a.at++
		var status awkExpr
		if next := a.peek(); next != "}" && next != ";" && next != "\n" && next != "" {
			status = a.expr()
		}
		return func(r *awkRun) error {
			if status != nil {
				v, err := status(r)
				if err != nil {
					return err
				}
				r.status = int(v.float()) & 0xff
			}
			return awkExit
		}
	case "print", "printf":
		a.at++
		return a.print(tok)
	case "for":
		return a.forEnviron()
	case "while", "do", "delete", "getline", "function", "func", "return", "break", "continue", "nextfile", "in":
		_ = a.unknown()
	}
	e := a.expr()
	return func(r *awkRun) error { _, err := e(r); return err }
}

func (a *awkParser) ifStmt() awkStmt {
	a.at++
	a.want("(")
	cond := a.expr()
	a.want(")")
	for a.take("\n") {
	}
	yes := a.stmt()
	var no awkStmt
	at := a.at
	a.newlines()
	if a.take("else") {
		for a.take("\n") {
		}
		no = a.stmt()
	} else {
		a.at = at
	}
	return func(r *awkRun) error {
		v, err := cond(r)
		switch {
		case err != nil:
			return err
		case v.truth():
			return yes(r)
		case no != nil:
			return no(r)
		}
		return nil
	}
}

// forEnviron reads the loop over the names of the environment, which comes sorted here: awk promises no order. No other is modelled.
func (a *awkParser) forEnviron() awkStmt {
	a.at++
	a.want("(")
	variable := a.peek()
	if !syntax.ValidName(variable) || awkKeyword(variable) {
		_ = a.unknown()
	}
	a.at++
	a.want("in")
	a.want("ENVIRON")
	a.want(")")
	for a.take("\n") {
	}
	body := a.stmt()
	return func(r *awkRun) error {
		for _, name := range r.p.Environ() {
			if err := r.p.Step(); err != nil {
				return err
			}
			if err := r.set(variable, awkInput(name)); err != nil {
				return err
			}
			if err := body(r); err != nil {
				return err
			}
		}
		return nil
	}
}

func (a *awkParser) print(kind string) awkStmt {
	var args []awkExpr
	for next := a.peek(); next != "}" && next != ";" && next != "\n" && next != ""; next = a.peek() {
		args = append(args, a.ternary(true))
		if !a.take(",") {
			break
		}
	}
	if next := a.peek(); next == ">" || next == "|" {
		_ = a.unknown()
	}
	return func(r *awkRun) error {
		if len(args) == 0 {
			return printRecord(r)
		}
		values := make([]awkValue, len(args))
		texts := make([]string, len(args))
		for i, e := range args {
			v, err := e(r)
			if err != nil {
				return err
			}
			values[i], texts[i] = v, v.String()
		}
		if kind == "print" {
			return r.p.Print(strings.Join(texts, r.vars["OFS"].String()) + r.vars["ORS"].String())
		}
		text, err := r.format(values)
		if err != nil {
			return err
		}
		return r.p.Print(text)
	}
}
