package script

import (
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// arithm evaluates an arithmetic expression in 64 bits.
func (sh *shell) arithm(e syntax.ArithmExpr) (int64, error) {
	switch e := e.(type) {
	case *syntax.Word:
		text, err := sh.single(e)
		if err != nil {
			return 0, err
		}
		if strings.ContainsAny(text, "+-*/%") && e.Lit() == "" {
			return sh.expression(text)
		}
		return sh.number(text, true)
	case *syntax.ParenArithm:
		return sh.arithm(e.X)
	case *syntax.UnaryArithm:
		n, err := sh.arithm(e.X)
		if err != nil {
			return 0, err
		}
		switch e.Op {
		case syntax.Minus:
			return -n, nil
		case syntax.Plus:
			return n, nil
		case syntax.Not:
			return one(n == 0), nil
		case syntax.BitNegation:
			return ^n, nil
		}
		return 0, sh.unknown("uses the arithmetic operator %s", e.Op)
	case *syntax.BinaryArithm:
		return sh.binaryArithm(e)
	case nil:
		return 0, nil
	}
	return 0, sh.unknown("uses arithmetic that is not modelled: %T", e)
}

// expression evaluates the result of an expansion that is an expression itself. That is the same as evaluating the text in
// place only where it is all there is.
func (sh *shell) expression(text string) (int64, error) {
	if n, err := strconv.ParseInt(strings.TrimSpace(text), 0, 64); err == nil {
		return n, nil
	}
	if !sh.whole {
		return 0, sh.unknown("reckons with the expression %.40q inside another", text)
	}
	e, err := syntax.NewParser().Arithmetic(strings.NewReader(text))
	if err != nil || len(text) > 200 {
		return 0, sh.unknown("reckons with %.40q", text)
	}
	sh.whole = false
	return sh.arithm(e)
}

// reckoned evaluates a whole arithmetic expansion.
func (sh *shell) reckoned(e syntax.ArithmExpr) (int64, error) {
	_, single := e.(*syntax.Word)
	outer := sh.whole
	sh.whole = single
	defer func() { sh.whole = outer }()
	return sh.arithm(e)
}

func one(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}

// number reads a constant, or the variable that it names.
func (sh *shell) number(text string, names bool) (int64, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return 0, nil
	}
	if n, err := strconv.ParseInt(text, 0, 64); err == nil && !strings.ContainsAny(text, "_bBoO") {
		return n, nil
	}
	if names && syntax.ValidName(text) {
		value, _, err := sh.parameter(text)
		if err != nil {
			return 0, err
		}
		return sh.number(value, false)
	}
	return 0, sh.unknown("reckons with %.40q", text)
}

func (sh *shell) binaryArithm(e *syntax.BinaryArithm) (int64, error) {
	switch e.Op {
	case syntax.Assgn, syntax.AddAssgn, syntax.SubAssgn:
		return sh.assignArithm(e)
	case syntax.AndArit, syntax.OrArit:
		x, err := sh.arithm(e.X)
		if err != nil || (x != 0) != (e.Op == syntax.AndArit) {
			return one(x != 0), err
		}
		y, err := sh.arithm(e.Y)
		return one(y != 0), err
	case syntax.TernQuest:
		branches, ok := e.Y.(*syntax.BinaryArithm)
		if !ok || branches.Op != syntax.TernColon {
			return 0, sh.unknown("uses arithmetic that is not modelled")
		}
		x, err := sh.arithm(e.X)
		if err != nil {
			return 0, err
		}
		if x != 0 {
			return sh.arithm(branches.X)
		}
		return sh.arithm(branches.Y)
	}
	x, err := sh.arithm(e.X)
	if err != nil {
		return 0, err
	}
	y, err := sh.arithm(e.Y)
	if err != nil {
		return 0, err
	}
	return sh.reckon(e.Op, x, y)
}

func (sh *shell) assignArithm(e *syntax.BinaryArithm) (int64, error) {
	w, ok := e.X.(*syntax.Word)
	if !ok || !syntax.ValidName(w.Lit()) {
		return 0, sh.unknown("uses arithmetic that is not modelled")
	}
	y, err := sh.arithm(e.Y)
	if err != nil {
		return 0, err
	}
	if e.Op != syntax.Assgn {
		x, err := sh.arithm(e.X)
		if err != nil {
			return 0, err
		}
		if e.Op == syntax.SubAssgn {
			y = -y
		}
		y += x
	}
	return y, sh.set(w.Lit(), itoa(y))
}

func (sh *shell) reckon(op syntax.BinAritOperator, x, y int64) (int64, error) {
	switch op {
	case syntax.Add:
		return x + y, nil
	case syntax.Sub:
		return x - y, nil
	case syntax.Mul:
		return x * y, nil
	case syntax.Quo, syntax.Rem:
		if y == 0 || y == -1 {
			return 0, sh.unknown("divides by %d", y)
		}
		if op == syntax.Quo {
			return x / y, nil
		}
		return x % y, nil
	case syntax.Eql:
		return one(x == y), nil
	case syntax.Neq:
		return one(x != y), nil
	case syntax.Lss:
		return one(x < y), nil
	case syntax.Gtr:
		return one(x > y), nil
	case syntax.Leq:
		return one(x <= y), nil
	case syntax.Geq:
		return one(x >= y), nil
	case syntax.And:
		return x & y, nil
	case syntax.Or:
		return x | y, nil
	case syntax.Xor:
		return x ^ y, nil
	case syntax.Shl:
		return x << (uint64(y) & 63), nil
	case syntax.Shr:
		return x >> (uint64(y) & 63), nil
	}
	return 0, sh.unknown("uses the arithmetic operator %s", op)
}
