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
	root   Root
	args   []string
	vars   map[string]string
	// unknown are variables that were set to something not known.
	unknown map[string]bool
	funcs   map[string]*syntax.FuncDecl
	// errexit and nounset are the shell's -e and -u.
	errexit, nounset bool
	// tested counts the conditions around a command, whose failure -e does not mind there.
	tested       int
	steps, depth int
	last         int
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
		switch r.Op {
		case syntax.DplOut, syntax.DplIn:
			continue
		case syntax.RdrOut, syntax.AppOut, syntax.RdrIn, syntax.RdrAll, syntax.AppAll, syntax.RdrClob:
			if target, err := e.single(r.Word); err == nil && target == "/dev/null" {
				continue
			}
		}
		return refuse(s, "redirects: %s", source(s))
	}
	return nil
}

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
		e.assign(loop.Name.Value, item)
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
	inner.vars, inner.unknown = maps.Clone(e.vars), maps.Clone(e.unknown)
	status, err := inner.stmts(c.Stmts)
	e.steps = inner.steps
	var exit exitFlow
	if errors.As(err, &exit) {
		return exit.status, nil
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
	status, err := e.stmt(f.Body)
	e.args = outer
	e.depth--
	var ret returnFlow
	if errors.As(err, &ret) {
		return ret.status, nil
	}
	return status, err
}

func (e *evaluator) assign(name, value string) {
	delete(e.unknown, name)
	e.vars[name] = value
}

// assignments sets variables; what is not known only matters where it is used.
func (e *evaluator) assignments(list []*syntax.Assign) error {
	for _, a := range list {
		if a.Append || a.Array != nil || a.Index != nil || a.Name == nil {
			return refuse(a, "assignment: %s", source(a))
		}
		if a.Naked {
			continue
		}
		if a.Value == nil {
			e.assign(a.Name.Value, "")
			continue
		}
		value, err := e.single(a.Value)
		if err != nil {
			return err
		}
		e.assign(a.Name.Value, value)
	}
	return nil
}

// declare follows local, export and readonly. Shells that know no local variables treat local as a plain assignment;
// that a function's variables outlive it here can only make a value known that would be unset.
func (e *evaluator) declare(c *syntax.DeclClause) (int, error) {
	switch c.Variant.Value {
	case "local", "export", "readonly", "declare":
	default:
		return 0, refuse(c, "%s", source(c))
	}
	return 0, e.assignments(c.Args)
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
