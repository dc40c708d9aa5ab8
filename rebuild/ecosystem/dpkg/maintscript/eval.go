package maintscript

import (
	"errors"
	"maps"
	"regexp"
	"strings"

	"mvdan.cc/sh/v3/pattern"
	"mvdan.cc/sh/v3/syntax"
)

// evaluator follows one script.
type evaluator struct {
	script Script
	// bash tells it from other shells.
	bash bool
	root Root
	args []string
	vars map[string]string
	// unknown are variables that were set to something not known.
	unknown map[string]bool
	funcs   map[string]*syntax.FuncDecl
	// errexit and nounset are the shell's -e and -u.
	errexit, nounset bool
	// tested counts the conditions around a command, whose failure -e does not mind there.
	tested       int
	steps, depth int
	last         int
	// substituted is the status of the last command substitution of a simple command.
	substituted int
	// anyStatus is a command whose status makes no difference.
	anyStatus *syntax.CallExpr
	// locals are the variables that the functions being called declared, with what they hide.
	locals []map[string]variable
}

// variable is what is known of a shell variable.
type variable struct {
	value        string
	set, unknown bool
}

// stmts follows a list of statements. A failing one ends the script under -e, and so the proof.
func (e *evaluator) stmts(list []*syntax.Stmt) (int, error) {
	status := 0
	for _, s := range list {
		var err error
		if status, err = e.stmt(s); err != nil {
			return status, err
		}
		if status != 0 && e.errexit && e.tested == 0 && !excused(s) {
			return status, refuse(s, "fails: %s", source(s))
		}
		e.last = status
	}
	return status, nil
}

// excused tells whether -e overlooks the failure of a statement: of a negation, and of the left side of &&. That of its
// right side has ended the proof before.
func excused(s *syntax.Stmt) bool {
	b, ok := s.Cmd.(*syntax.BinaryCmd)
	return s.Negated || ok && b.Op == syntax.AndStmt
}

// condition follows statements whose status is asked for.
func (e *evaluator) condition(list []*syntax.Stmt) (int, error) {
	e.tested++
	defer func() { e.tested-- }()
	return e.stmts(list)
}

func (e *evaluator) stmt(s *syntax.Stmt) (int, error) {
	if e.steps++; e.steps > maxSteps {
		return 0, refuse(s, "takes more than %d steps", maxSteps)
	}
	if s.Background || s.Coprocess || s.Disown {
		return 0, refuse(s, "runs in the background: %s", source(s))
	}
	if err := e.redirects(s); err != nil {
		return 0, err
	}
	if s.Cmd == nil {
		return 0, nil
	}
	if s.Negated {
		e.tested++
		defer func() { e.tested-- }()
	}
	status, err := e.command(s)
	if err == nil && s.Negated {
		status = not(status)
	}
	return status, err
}

func not(status int) int {
	if status == 0 {
		return 1
	}
	return 0
}

// redirects allows output to nowhere and to what is open already.
func (e *evaluator) redirects(s *syntax.Stmt) error {
	for _, r := range s.Redirs {
		if r.N != nil && !isDescriptor(r.N.Value) {
			return refuse(s, "redirects: %s", source(s))
		}
		switch r.Op {
		case syntax.DplOut, syntax.DplIn:
			if to := r.Word.Lit(); to == "-" || isDescriptor(to) {
				continue // any other word is a file, for bash
			}
		case syntax.RdrOut, syntax.AppOut, syntax.RdrIn, syntax.RdrAll, syntax.AppAll, syntax.RdrClob:
			if target, err := e.single(r.Word); err == nil && target == "/dev/null" {
				continue
			}
		}
		return refuse(s, "redirects: %s", source(s))
	}
	return nil
}

func isDescriptor(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

func (e *evaluator) command(s *syntax.Stmt) (int, error) {
	switch c := s.Cmd.(type) {
	case *syntax.CallExpr:
		return e.call(c)
	case *syntax.DeclClause:
		return e.declare(c)
	case *syntax.IfClause:
		return e.ifClause(c)
	case *syntax.CaseClause:
		return e.caseClause(c)
	case *syntax.ForClause:
		return e.forClause(c)
	case *syntax.BinaryCmd:
		return e.binary(c)
	case *syntax.Block:
		return e.stmts(c.Stmts)
	case *syntax.Subshell:
		return e.subshell(c)
	case *syntax.FuncDecl:
		if c.Name == nil {
			return 0, refuse(s, "function without a name")
		}
		if isSpecial(c.Name.Value) {
			return 0, refuse(s, "function with a name of the shell's own: %s", c.Name.Value)
		}
		e.funcs[c.Name.Value] = c
		return 0, nil
	}
	return 0, refuse(s, "%s", source(s))
}

func (e *evaluator) ifClause(c *syntax.IfClause) (int, error) {
	for ; c != nil; c = c.Else {
		if len(c.Cond) == 0 { // else
			return e.stmts(c.Then)
		}
		status, err := e.condition(c.Cond)
		if err != nil {
			return 0, err
		}
		if status == 0 {
			return e.stmts(c.Then)
		}
	}
	return 0, nil
}

func (e *evaluator) caseClause(c *syntax.CaseClause) (int, error) {
	word, err := e.single(c.Word)
	if err != nil {
		return 0, err
	}
	for _, item := range c.Items {
		for _, p := range item.Patterns {
			matches, err := e.matches(p, word)
			if err != nil {
				return 0, err
			}
			if !matches {
				continue
			}
			if item.Op != syntax.Break {
				return 0, refuse(item, "falls through to the next case")
			}
			return e.stmts(item.Stmts)
		}
	}
	return 0, nil
}

// matches tells whether a word matches a pattern of a case.
func (e *evaluator) matches(p *syntax.Word, word string) (bool, error) {
	text, err := e.pattern(p)
	if err != nil {
		return false, err
	}
	if len(text) > maxPattern || len(word) > maxPattern {
		return false, refuse(p, "a pattern or what it is for is too long")
	}
	expr, err := pattern.Regexp(text, pattern.EntireString)
	if err != nil {
		return false, refuse(p, "pattern %q", text)
	}
	re, err := regexp.Compile(expr)
	if err != nil {
		return false, refuse(p, "pattern %q", text)
	}
	return re.MatchString(word), nil
}

func (e *evaluator) forClause(c *syntax.ForClause) (int, error) {
	loop, ok := c.Loop.(*syntax.WordIter)
	if !ok || c.Select {
		return 0, refuse(c, "%s", source(c))
	}
	items := e.args
	if loop.InPos.IsValid() {
		var err error
		if items, err = e.fields(loop.Items); err != nil {
			return 0, err
		}
	}
	status := 0
	for _, item := range items {
		if err := e.assign(c, loop.Name.Value, item); err != nil {
			return 0, err
		}
		var err error
		if status, err = e.stmts(c.Do); err != nil {
			return status, err
		}
	}
	return status, nil
}

func (e *evaluator) binary(c *syntax.BinaryCmd) (int, error) {
	if c.Op != syntax.AndStmt && c.Op != syntax.OrStmt {
		return 0, refuse(c, "pipe: %s", source(c))
	}
	if call, ok := c.X.Cmd.(*syntax.CallExpr); ok && c.Op == syntax.OrStmt && e.isTrue(c.Y) {
		e.anyStatus = call
	}
	status, err := e.condition([]*syntax.Stmt{c.X})
	if err != nil || (status == 0) != (c.Op == syntax.AndStmt) {
		return status, err
	}
	status, err = e.stmt(c.Y)
	if err == nil && status != 0 && c.Op == syntax.AndStmt && e.errexit && e.tested == 0 {
		return status, refuse(c.Y, "fails: %s", source(c.Y))
	}
	return status, err
}

// subshell follows a list whose assignments and exit end with it.
func (e *evaluator) subshell(c *syntax.Subshell) (int, error) {
	inner := *e
	inner.vars, inner.unknown, inner.funcs = maps.Clone(e.vars), maps.Clone(e.unknown), maps.Clone(e.funcs)
	inner.locals = nil
	for _, l := range e.locals {
		inner.locals = append(inner.locals, maps.Clone(l))
	}
	status, err := inner.stmts(c.Stmts)
	e.steps = inner.steps
	if inner.unknown["?"] {
		e.unknown["?"] = true
	}
	var exit exitFlow
	if errors.As(err, &exit) {
		return exit.status, nil
	}
	var ret returnFlow
	if errors.As(err, &ret) {
		return ret.status, nil // from the subshell, not from the function around it
	}
	return status, err
}

// callFunction follows a function of the script.
func (e *evaluator) callFunction(f *syntax.FuncDecl, args []string) (int, error) {
	if e.depth++; e.depth > maxDepth {
		return 0, refuse(f, "functions call each other more than %d deep", maxDepth)
	}
	outer := e.args
	e.args = args
	e.locals = append(e.locals, make(map[string]variable))
	status, err := e.stmt(f.Body)
	e.endLocals()
	e.args = outer
	e.depth--
	var ret returnFlow
	if errors.As(err, &ret) {
		return ret.status, nil
	}
	return status, err
}

// source prints a command in one line, for a person.
func source(n syntax.Node) string {
	var b strings.Builder
	if err := syntax.NewPrinter(syntax.SingleLine(true)).Print(&b, n); err != nil {
		return "a command"
	}
	text := strings.Join(strings.Fields(b.String()), " ")
	const limit = 80
	if len(text) > limit {
		text = text[:limit] + "…"
	}
	return text
}
