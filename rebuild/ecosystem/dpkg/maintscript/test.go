package maintscript

import (
	"io/fs"
	"strconv"

	"mvdan.cc/sh/v3/syntax"
)

// test follows test(1).
func (e *evaluator) test(c *syntax.CallExpr, name string, args []string) (int, error) {
	if name == "[" {
		if len(args) == 0 || args[len(args)-1] != "]" {
			return 0, refuse(c, "%s", source(c))
		}
		args = args[:len(args)-1]
	}
	t := tester{e: e, rest: args}
	truth := t.or()
	if t.bad || len(t.rest) > 0 {
		return 0, refuse(c, "%s", source(c))
	}
	if truth {
		return 0, nil
	}
	return 1, nil
}

// tester evaluates an expression of test, whose alternatives bind weaker than its conjunctions.
type tester struct {
	e    *evaluator
	rest []string
	bad  bool
}

func (t *tester) take() string {
	if len(t.rest) == 0 {
		t.bad = true
		return ""
	}
	s := t.rest[0]
	t.rest = t.rest[1:]
	return s
}

func (t *tester) at(word string) bool { return len(t.rest) > 0 && t.rest[0] == word }

func (t *tester) or() bool {
	truth := t.and()
	for t.at("-o") {
		t.take()
		right := t.and()
		truth = truth || right
	}
	return truth
}

func (t *tester) and() bool {
	truth := t.not()
	for t.at("-a") {
		t.take()
		right := t.not()
		truth = truth && right
	}
	return truth
}

func (t *tester) not() bool {
	if t.at("!") && len(t.rest) > 1 {
		t.take()
		return !t.not()
	}
	return t.primary()
}

func (t *tester) primary() bool {
	if len(t.rest) == 0 {
		return false // an empty expression is false
	}
	if len(t.rest) >= 3 {
		if truth, ok := t.compare(t.rest[0], t.rest[1], t.rest[2]); ok {
			t.rest = t.rest[3:]
			return truth
		}
	}
	if t.at("(") {
		t.take()
		truth := t.or()
		if t.take() != ")" {
			t.bad = true
		}
		return truth
	}
	if len(t.rest) >= 2 && len(t.rest[0]) == 2 && t.rest[0][0] == '-' {
		operator := t.take()
		return t.unary(operator[1], t.take())
	}
	return t.take() != ""
}

func (t *tester) compare(left, operator, right string) (truth, ok bool) {
	switch operator {
	case "=", "==":
		return left == right, true
	case "!=":
		return left != right, true
	case "-eq", "-ne", "-lt", "-le", "-gt", "-ge":
	default:
		return false, false
	}
	l, lerr := strconv.Atoi(left)
	r, rerr := strconv.Atoi(right)
	if lerr != nil || rerr != nil {
		t.bad = true
		return false, true
	}
	switch operator {
	case "-eq":
		return l == r, true
	case "-ne":
		return l != r, true
	case "-lt":
		return l < r, true
	case "-le":
		return l <= r, true
	case "-gt":
		return l > r, true
	}
	return l >= r, true
}

// unary evaluates what looks at one string or file. Scripts run as root, who may read and write everything.
func (t *tester) unary(operator byte, operand string) bool {
	switch operator {
	case 'n':
		return operand != ""
	case 'z':
		return operand == ""
	case 'h', 'L':
		f, ok := t.lookup(operand, t.e.root.Lstat)
		return ok && f.FileMode&fs.ModeSymlink != 0
	case 'e', 'r', 'w':
		_, ok := t.lookup(operand, t.e.root.Stat)
		return ok
	case 'f':
		f, ok := t.lookup(operand, t.e.root.Stat)
		return ok && f.IsRegular()
	case 'd':
		f, ok := t.lookup(operand, t.e.root.Stat)
		return ok && f.IsDir()
	case 'x':
		f, ok := t.lookup(operand, t.e.root.Stat)
		return ok && (f.IsDir() || f.Perm()&0o111 != 0)
	}
	t.bad = true
	return false
}

// lookup looks at an absolute path. What a build has mounted is not in the image, and so not known.
func (t *tester) lookup(p string, look func(string) (File, bool)) (File, bool) {
	if p == "" {
		return File{}, false
	}
	if p[0] != '/' || isMounted(p) {
		t.bad = true
		return File{}, false
	}
	return look(p)
}
