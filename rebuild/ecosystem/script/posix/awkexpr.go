package posix

import (
	"math"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// expr reads an expression, assignments included.
func (a *awkParser) expr() awkExpr {
	at := a.at
	if t := a.target(); t != nil {
		switch op := a.peek(); op {
		case "=", "+=", "-=", "*=", "/=", "%=":
			a.at++
			return awkAssign(t, op, a.expr())
		}
	}
	a.at = at
	return a.ternary(false)
}

// target reads what may be assigned to, or returns nil.
func (a *awkParser) target() *awkTarget {
	tok := a.peek()
	switch {
	case tok == "$":
		a.at++
		return &awkTarget{field: a.primary()}
	case syntax.ValidName(tok) && !awkKeyword(tok):
		a.at++
		t := &awkTarget{name: tok}
		if a.take("[") {
			t.index = a.expr()
			a.want("]")
		} else if a.peek() == "(" {
			return nil
		}
		return t
	}
	return nil
}

func awkKeyword(name string) bool {
	switch name {
	case "BEGIN", "END", "if", "else", "print", "printf", "next", "exit", "in", "getline", "length", "substr", "sub", "gsub", "split",
		"index", "sprintf", "tolower", "toupper", "int", "match", "while", "for", "do", "delete", "function", "func", "return", "ENVIRON", "ARGV", "ARGC":
		return true
	}
	return false
}

func awkAssign(t *awkTarget, op string, value awkExpr) awkExpr {
	return func(r *awkRun) (awkValue, error) {
		v, err := value(r)
		if err != nil {
			return v, err
		}
		if op != "=" {
			old, err := t.get(r)
			if err != nil {
				return v, err
			}
			if v, err = r.reckon(op[:1], old, v); err != nil {
				return v, err
			}
		}
		return v, t.set(r, v)
	}
}

func (a *awkParser) ternary(printing bool) awkExpr {
	if a.depth++; a.depth > 200 {
		_ = a.unknown()
		return nil
	}
	defer func() { a.depth-- }()
	cond := a.binary(0, printing)
	if !a.take("?") {
		return cond
	}
	yes := a.ternary(printing)
	a.want(":")
	no := a.ternary(printing)
	return func(r *awkRun) (awkValue, error) {
		v, err := cond(r)
		if err != nil {
			return v, err
		}
		if v.truth() {
			return yes(r)
		}
		return no(r)
	}
}

// awkLevels are the binary operators from the loosest to the tightest; the empty level is concatenation.
var awkLevels = [][]string{{"||"}, {"&&"}, {"~", "!~"}, {"<", "<=", "==", "!=", ">", ">="}, nil, {"+", "-"}, {"*", "/", "%"}}

func (a *awkParser) binary(level int, printing bool) awkExpr {
	if a.err != nil {
		return nil
	}
	if level == len(awkLevels) {
		return a.unary()
	}
	if awkLevels[level] == nil {
		return a.concatenation(level, printing)
	}
	x := a.binary(level+1, printing)
	for {
		op := ""
		for _, o := range awkLevels[level] {
			if a.peek() == o && !(printing && o == ">") {
				op = o
			}
		}
		if op == "" {
			return x
		}
		a.at++
		x = awkBinary(op, x, a.binary(level+1, printing))
	}
}

// concatenation joins operands that follow each other.
func (a *awkParser) concatenation(level int, printing bool) awkExpr {
	x := a.binary(level+1, printing)
	for a.err == nil {
		tok := a.peek()
		starts := tok == "$" || tok == "(" || tok == "!" && false || strings.HasPrefix(tok, `"`) || tok != "" && tok[0] >= '0' && tok[0] <= '9' ||
			syntax.ValidName(tok) && (!awkKeyword(tok) || a.isFunction(tok))
		if !starts {
			return x
		}
		left, right := x, a.binary(level+1, printing)
		x = func(r *awkRun) (awkValue, error) {
			v, err := left(r)
			if err != nil {
				return v, err
			}
			w, err := right(r)
			if err != nil {
				return w, err
			}
			text := v.String() + w.String()
			if len(text) > 1<<20 {
				return v, r.p.Unknownf("makes a value of more than 1 MiB")
			}
			return awkString(text), r.p.Spend(len(text))
		}
	}
	return x
}

func (a *awkParser) isFunction(name string) bool {
	switch name {
	case "length", "substr", "index", "sprintf", "tolower", "toupper", "int":
		return true
	}
	return false
}

func awkBinary(op string, x, y awkExpr) awkExpr {
	return func(r *awkRun) (awkValue, error) {
		v, err := x(r)
		if err != nil {
			return v, err
		}
		if op == "&&" || op == "||" {
			if v.truth() == (op == "||") {
				return awkBool(v.truth()), nil
			}
			w, err := y(r)
			return awkBool(w.truth()), err
		}
		w, err := y(r)
		if err != nil {
			return w, err
		}
		return r.reckon(op, v, w)
	}
}

func awkBool(yes bool) awkValue {
	if yes {
		return awkNumber(1)
	}
	return awkNumber(0)
}

// reckon applies an operator.
func (r *awkRun) reckon(op string, v, w awkValue) (awkValue, error) {
	switch op {
	case "~", "!~":
		re, err := r.regexp(w.String())
		if err != nil {
			return v, err
		}
		return awkBool(re.MatchString(v.String()) == (op == "~")), r.p.Spend(len(v.text))
	case "<", "<=", "==", "!=", ">", ">=":
		c := strings.Compare(v.String(), w.String())
		if v.numeric() && w.numeric() {
			switch d := v.float() - w.float(); {
			case d < 0:
				c = -1
			case d > 0:
				c = 1
			default:
				c = 0
			}
		}
		return awkBool(op == "<" && c < 0 || op == "<=" && c <= 0 || op == "==" && c == 0 || op == "!=" && c != 0 || op == ">" && c > 0 || op == ">=" && c >= 0), nil
	}
	x, y := v.float(), w.float()
	switch op {
	case "+":
		return awkNumber(x + y), nil
	case "-":
		return awkNumber(x - y), nil
	case "*":
		return awkNumber(x * y), nil
	case "/", "%":
		if y == 0 {
			return v, r.p.Unknownf("divides by zero")
		}
		if op == "%" {
			return awkNumber(math.Mod(x, y)), nil
		}
		return awkNumber(x / y), nil
	}
	return v, r.p.Unknownf("uses the operator %s", op)
}

func (a *awkParser) unary() awkExpr {
	switch {
	case a.take("!"):
		x := a.unary()
		return func(r *awkRun) (awkValue, error) { v, err := x(r); return awkBool(!v.truth()), err }
	case a.take("-"):
		x := a.unary()
		return func(r *awkRun) (awkValue, error) { v, err := x(r); return awkNumber(-v.float()), err }
	}
	x := a.primary()
	return x
}

func (a *awkParser) primary() awkExpr {
	if a.depth++; a.depth > 200 {
		_ = a.unknown()
	}
	defer func() { a.depth-- }()
	tok := a.peek()
	switch {
	case tok == "":
	case tok == "(":
		a.at++
		x := a.expr()
		a.want(")")
		return x
	case tok[0] == '"':
		a.at++
		text := awkEscapes(tok[1 : len(tok)-1])
		return func(*awkRun) (awkValue, error) { return awkString(text), nil }
	case tok[0] == '/' && len(tok) > 1:
		a.at++
		return a.regexpLiteral(tok[1 : len(tok)-1])
	case tok[0] >= '0' && tok[0] <= '9' || tok[0] == '.':
		a.at++
		n, err := strconv.ParseFloat(tok, 64)
		if err != nil {
			_ = a.unknown()
		}
		return func(*awkRun) (awkValue, error) { return awkNumber(n), nil }
	case a.isFunction(tok) || tok == "sub" || tok == "gsub" || tok == "split" || tok == "match":
		a.at++
		return a.call(tok)
	}
	t := a.target()
	if t == nil {
		_ = a.unknown()
		return nil
	}
	if op := a.peek(); op == "++" || op == "--" {
		a.at++
		return func(r *awkRun) (awkValue, error) {
			old, err := t.get(r)
			if err != nil {
				return old, err
			}
			v, _ := r.reckon(op[:1], old, awkNumber(1))
			return awkNumber(old.float()), t.set(r, v)
		}
	}
	return t.get
}

// regexpLiteral matches the record; as an argument of ~ and sub it is a string, which its own text is too.
func (a *awkParser) regexpLiteral(text string) awkExpr {
	previous := ""
	if a.at >= 2 {
		previous = a.toks[a.at-2]
	}
	if previous == "~" || previous == "!~" {
		return func(*awkRun) (awkValue, error) { return awkString(text), nil }
	}
	return func(r *awkRun) (awkValue, error) { return r.reckon("~", awkInput(r.record), awkString(text)) }
}

func (a *awkParser) call(name string) awkExpr {
	var args []awkExpr
	target := &awkTarget{field: func(*awkRun) (awkValue, error) { return awkNumber(0), nil }}
	if !a.take("(") {
		if name != "length" {
			_ = a.unknown()
		}
		return func(r *awkRun) (awkValue, error) { return r.call(name, nil, nil) }
	}
	for i := 0; a.err == nil && a.peek() != ")"; i++ {
		tok := a.peek()
		switch {
		case (name == "sub" || name == "gsub") && i == 2, name == "split" && i == 1:
			if target = a.target(); target == nil {
				_ = a.unknown()
			}
		case len(tok) > 1 && tok[0] == '/' && ((name == "sub" || name == "gsub") && i == 0 || name == "match" && i == 1 || name == "split" && i == 2):
			a.at++
			text := tok[1 : len(tok)-1]
			args = append(args, func(*awkRun) (awkValue, error) { return awkString(text), nil })
		default:
			args = append(args, a.expr())
		}
		if !a.take(",") {
			break
		}
	}
	a.want(")")
	return func(r *awkRun) (awkValue, error) { return r.call(name, args, target) }
}
