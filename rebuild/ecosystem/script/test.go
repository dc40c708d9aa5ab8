package script

import (
	"archive/tar"
	"errors"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// test runs test and [.
func (sh *shell) test(args []string) (int, error) {
	if args[0] == "[" {
		if args[len(args)-1] != "]" {
			return 2, sh.complain("[: missing ]")
		}
		args = args[:len(args)-1]
	}
	t := &testing{sh: sh, rest: args[1:]}
	yes, err := t.expression()
	if err == nil && len(t.rest) > 0 {
		err = errSyntax
	}
	if errors.Is(err, errSyntax) {
		return 2, sh.complain("%s: unexpected operator", args[0])
	}
	return truth(yes), err
}

var errSyntax = errors.New("syntax error")

// testing reads an expression of test; how many arguments there are decides what is an operator (POSIX, test).
type testing struct {
	sh    *shell
	rest  []string
	depth int
}

func (t *testing) expression() (bool, error) {
	args := t.rest
	switch len(args) {
	case 0:
		return false, nil
	case 1:
		t.rest = nil
		return args[0] != "", nil
	case 2:
		if args[0] == "!" {
			t.rest = nil
			return args[1] == "", nil
		}
	case 3:
		if binaryOperator(args[1]) {
			t.rest = nil
			return t.sh.testBinary(args[0], args[1], args[2])
		}
	case 4:
		if args[0] == "!" && binaryOperator(args[2]) {
			t.rest = nil
			yes, err := t.sh.testBinary(args[1], args[2], args[3])
			return !yes, err
		}
	}
	return t.or()
}

func (t *testing) or() (bool, error) {
	yes, err := t.and()
	for err == nil && len(t.rest) > 0 && t.rest[0] == "-o" {
		t.rest = t.rest[1:]
		var more bool
		more, err = t.and()
		yes = yes || more
	}
	return yes, err
}

func (t *testing) and() (bool, error) {
	yes, err := t.not()
	for err == nil && len(t.rest) > 0 && t.rest[0] == "-a" {
		t.rest = t.rest[1:]
		var more bool
		more, err = t.not()
		yes = yes && more
	}
	return yes, err
}

func (t *testing) not() (bool, error) {
	if t.depth++; t.depth > 500 {
		return false, t.sh.unknown("nests too deeply")
	}
	if len(t.rest) > 1 && t.rest[0] == "!" && !(len(t.rest) > 2 && binaryOperator(t.rest[1])) {
		t.rest = t.rest[1:]
		yes, err := t.not()
		return !yes, err
	}
	return t.primary()
}

func (t *testing) primary() (bool, error) {
	args := t.rest
	switch {
	case len(args) == 0:
		return false, errSyntax
	case len(args) >= 3 && binaryOperator(args[1]):
		t.rest = args[3:]
		return t.sh.testBinary(args[0], args[1], args[2])
	case args[0] == "(":
		t.rest = args[1:]
		yes, err := t.or()
		if err != nil {
			return false, err
		}
		if len(t.rest) == 0 || t.rest[0] != ")" {
			return false, errSyntax
		}
		t.rest = t.rest[1:]
		return yes, nil
	case len(args) >= 2 && unaryOperator(args[0]):
		t.rest = args[2:]
		return t.sh.testUnary(args[0], args[1])
	}
	t.rest = args[1:]
	return args[0] != "", nil
}

func binaryOperator(op string) bool {
	switch op {
	case "=", "==", "!=", "<", ">", "-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-nt", "-ot", "-ef":
		return true
	}
	return false
}

func unaryOperator(op string) bool {
	return len(op) == 2 && op[0] == '-' && strings.IndexByte("bcdefghkLnOGprSstuwxz", op[1]) >= 0
}

func (sh *shell) testBinary(x, op, y string) (bool, error) {
	switch op {
	case "=":
		return x == y, nil
	case "==":
		if sh.flavor == dash {
			return false, errSyntax
		}
		return x == y, nil
	case "!=":
		return x != y, nil
	case "<":
		return x < y, nil
	case ">":
		return x > y, nil
	case "-nt", "-ot", "-ef":
		return sh.testFiles(x, op, y)
	}
	a, err := strconv.ParseInt(strings.TrimSpace(x), 10, 64)
	b, err2 := strconv.ParseInt(strings.TrimSpace(y), 10, 64)
	if err != nil || err2 != nil {
		return false, errSyntax
	}
	switch op {
	case "-eq":
		return a == b, nil
	case "-ne":
		return a != b, nil
	case "-lt":
		return a < b, nil
	case "-le":
		return a <= b, nil
	case "-gt":
		return a > b, nil
	}
	return a >= b, nil
}

func (sh *shell) testFiles(x, op, y string) (bool, error) {
	px, a, errX := sh.m.tree.Stat(sh.abs(x))
	py, b, errY := sh.m.tree.Stat(sh.abs(y))
	for _, err := range []error{errX, errY} {
		if e := known(err); e != nil {
			return false, e
		}
	}
	if op == "-ot" {
		a, b, errX, errY = b, a, errY, errX
	}
	switch {
	case op == "-ef":
		return errX == nil && errY == nil && (px == py || a == b), nil
	case errX != nil:
		return false, nil //nolint:nilerr // a file that is not there is not newer
	case errY != nil:
		return sh.flavor != dash, nil //nolint:nilerr // nor older, but for bash
	}
	return a.ModTime.After(b.ModTime), nil
}

func (sh *shell) testUnary(op, arg string) (bool, error) {
	switch op {
	case "-n":
		return arg != "", nil
	case "-z":
		return arg == "", nil
	case "-t":
		return false, nil // nothing is connected to a terminal
	}
	if arg == "" {
		return false, nil
	}
	stat := sh.m.tree.Stat
	if op == "-L" || op == "-h" {
		stat = sh.m.tree.Lstat
	}
	_, e, err := stat(sh.abs(arg))
	if err != nil {
		return false, known(err)
	}
	switch op {
	case "-e", "-r", "-w":
		return true, nil // root may read and write all
	case "-f":
		return e.IsRegular(), nil
	case "-d":
		return e.IsDir(), nil
	case "-L", "-h":
		return e.Type == tar.TypeSymlink, nil
	case "-s":
		return e.IsDir() || e.Size > 0, nil
	case "-x":
		return e.IsDir() || e.Mode&0o111 != 0, nil
	case "-b":
		return e.Type == tar.TypeBlock, nil
	case "-c":
		return e.Type == tar.TypeChar, nil
	case "-p":
		return e.Type == tar.TypeFifo, nil
	case "-S":
		return false, nil // an archive holds no sockets
	case "-u":
		return e.Mode&0o4000 != 0, nil
	case "-g":
		return e.Mode&0o2000 != 0, nil
	case "-k":
		return e.Mode&0o1000 != 0, nil
	case "-O":
		return e.UID == 0, nil
	case "-G":
		return e.GID == 0, nil
	}
	return false, sh.unknown("uses the test %s", op)
}

// testClause evaluates bash's [[ … ]].
func (sh *shell) testClause(e syntax.TestExpr) (bool, error) {
	switch e := e.(type) {
	case *syntax.Word:
		s, err := sh.single(e)
		return s != "", err
	case *syntax.ParenTest:
		return sh.testClause(e.X)
	case *syntax.UnaryTest:
		if e.Op == syntax.TsNot {
			yes, err := sh.testClause(e.X)
			return !yes, err
		}
		w, ok := e.X.(*syntax.Word)
		if !ok || !unaryOperator(e.Op.String()) && e.Op != syntax.TsExists {
			return false, sh.unknown("uses the test %s", e.Op)
		}
		arg, err := sh.single(w)
		if err != nil {
			return false, err
		}
		return sh.testUnary(e.Op.String(), arg)
	case *syntax.BinaryTest:
		return sh.binaryTestClause(e)
	}
	return false, sh.unknown("uses a test that is not modelled")
}

func (sh *shell) binaryTestClause(e *syntax.BinaryTest) (bool, error) {
	if e.Op == syntax.AndTest || e.Op == syntax.OrTest {
		yes, err := sh.testClause(e.X)
		if err != nil || yes != (e.Op == syntax.AndTest) {
			return yes, err
		}
		return sh.testClause(e.Y)
	}
	wx, okX := e.X.(*syntax.Word)
	wy, okY := e.Y.(*syntax.Word)
	if !okX || !okY {
		return false, sh.unknown("uses a test that is not modelled")
	}
	x, err := sh.single(wx)
	if err != nil {
		return false, err
	}
	switch e.Op {
	case syntax.TsMatch, syntax.TsMatchShort, syntax.TsNoMatch:
		yes, err := sh.matches(wy, x)
		return yes == (e.Op != syntax.TsNoMatch), err
	case syntax.TsReMatch:
		return false, sh.unknown("uses the test =~")
	}
	y, err := sh.single(wy)
	if err != nil {
		return false, err
	}
	yes, err := sh.testBinary(x, e.Op.String(), y)
	if errors.Is(err, errSyntax) {
		return false, sh.unknown("compares %.40q with %.40q", x, y)
	}
	return yes, err
}
