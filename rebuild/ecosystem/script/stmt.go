package script

import (
	"bytes"
	"errors"
	"io"

	"mvdan.cc/sh/v3/syntax"
)

func (sh *shell) stmts(list []*syntax.Stmt) (int, error) {
	status := 0
	for _, s := range list {
		var err error
		if status, err = sh.stmt(s); err != nil {
			return status, err
		}
	}
	return status, nil
}

// condition runs statements whose status is asked for, so that -e does not mind their failure.
func (sh *shell) condition(list []*syntax.Stmt) (int, error) {
	sh.tested++
	defer func() { sh.tested-- }()
	return sh.stmts(list)
}

// stmt runs one statement. Under -e the failure of a simple command, a pipeline or a subshell ends the shell, unless it
// is in a condition; other compound commands pass on what happened in them.
func (sh *shell) stmt(s *syntax.Stmt) (int, error) {
	sh.line = s.Pos().Line()
	if s.Background || s.Coprocess || s.Disown {
		return 0, sh.unknown("runs a command in the background")
	}
	if err := sh.m.step(); err != nil {
		return 0, sh.locate(err)
	}
	if s.Negated {
		sh.tested++
	}
	status, err := sh.redirected(s)
	if s.Negated {
		sh.tested--
	}
	if err != nil {
		return status, sh.locate(err)
	}
	if s.Negated {
		status = not(status)
	} else if status != 0 && sh.errexit && sh.tested == 0 && fatal(s.Cmd) {
		return status, exitFlow{status}
	}
	sh.last = status
	return status, nil
}

// fatal tells whether -e minds the failure of a command itself.
func fatal(c syntax.Command) bool {
	switch c := c.(type) {
	case *syntax.BinaryCmd:
		return c.Op == syntax.Pipe || c.Op == syntax.PipeAll
	case *syntax.CallExpr, *syntax.Subshell, *syntax.DeclClause, *syntax.TestClause, *syntax.ArithmCmd, *syntax.LetClause, nil:
		return true
	}
	return false
}

func not(status int) int {
	if status == 0 {
		return 1
	}
	return 0
}

// redirected runs the command of a statement with its redirections.
func (sh *shell) redirected(s *syntax.Stmt) (int, error) {
	if len(s.Redirs) == 0 {
		return sh.command(s.Cmd)
	}
	saved := make(map[int]any, len(sh.fds))
	for fd, f := range sh.fds {
		saved[fd] = f
	}
	for _, r := range s.Redirs {
		if status, err := sh.redirect(r); err != nil || status != 0 {
			sh.fds = saved
			if err == nil && sh.flavor != bash && special(s.Cmd) {
				err = exitFlow{status} // what fails for a special builtin ends the shell
			}
			return status, err
		}
	}
	if isExec(s.Cmd) {
		return 0, nil // exec without a command keeps its redirections
	}
	status, err := sh.command(s.Cmd)
	sh.fds = saved
	return status, err
}

func special(c syntax.Command) bool {
	call, ok := c.(*syntax.CallExpr)
	return ok && len(call.Args) > 0 && specialBuiltin(call.Args[0].Lit())
}

func isExec(c syntax.Command) bool {
	call, ok := c.(*syntax.CallExpr)
	return ok && len(call.Args) == 1 && len(call.Assigns) == 0 && call.Args[0].Lit() == "exec"
}

func (sh *shell) command(cmd syntax.Command) (int, error) {
	switch c := cmd.(type) {
	case nil:
		return 0, nil
	case *syntax.CallExpr:
		return sh.call(c)
	case *syntax.DeclClause:
		return sh.declare(c)
	case *syntax.IfClause:
		return sh.ifClause(c)
	case *syntax.CaseClause:
		return sh.caseClause(c)
	case *syntax.ForClause:
		return sh.forClause(c)
	case *syntax.WhileClause:
		return sh.whileClause(c)
	case *syntax.BinaryCmd:
		return sh.binary(c)
	case *syntax.Block:
		return sh.stmts(c.Stmts)
	case *syntax.Subshell:
		return sh.subshell(c.Stmts)
	case *syntax.FuncDecl:
		if c.Name == nil {
			return 0, sh.unknown("declares a function without a name")
		}
		sh.funcs[c.Name.Value] = c.Body
		return 0, nil
	case *syntax.TestClause:
		yes, err := sh.testClause(c.X)
		return truth(yes), err
	case *syntax.ArithmCmd:
		n, err := sh.arithm(c.X)
		return truth(n != 0), err
	}
	return 0, sh.unknown("uses shell syntax that is not modelled: %T", cmd)
}

func truth(yes bool) int {
	if yes {
		return 0
	}
	return 1
}

func (sh *shell) ifClause(c *syntax.IfClause) (int, error) {
	for ; c != nil; c = c.Else {
		if len(c.Cond) == 0 { // else
			return sh.stmts(c.Then)
		}
		status, err := sh.condition(c.Cond)
		if err != nil {
			return 0, err
		}
		if status == 0 {
			return sh.stmts(c.Then)
		}
	}
	return 0, nil
}

func (sh *shell) caseClause(c *syntax.CaseClause) (int, error) {
	subject, err := sh.single(c.Word)
	if err != nil {
		return 0, err
	}
	through := false
	for _, item := range c.Items {
		matched := through
		for _, p := range item.Patterns {
			if matched {
				break
			}
			if matched, err = sh.matches(p, subject); err != nil {
				return 0, err
			}
		}
		if !matched {
			continue
		}
		status, err := sh.stmts(item.Stmts)
		if err != nil || item.Op == syntax.Break {
			return status, err
		}
		if item.Op != syntax.Fallthrough {
			return 0, sh.unknown("uses %s in a case", item.Op)
		}
		through = true
	}
	return 0, nil
}

func (sh *shell) forClause(c *syntax.ForClause) (int, error) {
	loop, ok := c.Loop.(*syntax.WordIter)
	if !ok || c.Select {
		return 0, sh.unknown("uses a for loop that is not modelled")
	}
	items := sh.params
	if loop.InPos.IsValid() {
		var err error
		if items, err = sh.fields(loop.Items); err != nil {
			return 0, err
		}
	}
	status := 0
	for _, item := range items {
		if err := sh.set(loop.Name.Value, item); err != nil {
			return 0, err
		}
		var done bool
		var err error
		if status, done, err = sh.round(c.Do); err != nil || done {
			return status, err
		}
	}
	return status, nil
}

func (sh *shell) whileClause(c *syntax.WhileClause) (int, error) {
	status := 0
	for {
		if err := sh.m.step(); err != nil {
			return 0, err
		}
		sh.loops++
		cond, err := sh.condition(c.Cond)
		sh.loops--
		if _, done, err := loopEnd(cond, err); err != nil || done {
			return 0, err
		}
		if (cond == 0) == c.Until {
			return status, nil
		}
		var done bool
		if status, done, err = sh.round(c.Do); err != nil || done {
			return status, err
		}
	}
}

// round runs a loop's body once.
func (sh *shell) round(list []*syntax.Stmt) (status int, done bool, err error) {
	sh.loops++
	status, err = sh.stmts(list)
	sh.loops--
	return loopEnd(status, err)
}

// loopEnd handles break and continue.
func loopEnd(status int, err error) (int, bool, error) {
	var flow loopFlow
	if !errors.As(err, &flow) {
		return status, false, err
	}
	if flow.levels > 1 {
		return 0, true, loopFlow{flow.levels - 1, flow.next}
	}
	return 0, !flow.next, nil
}

func (sh *shell) binary(c *syntax.BinaryCmd) (int, error) {
	if c.Op == syntax.Pipe {
		return sh.pipe(c)
	}
	if c.Op != syntax.AndStmt && c.Op != syntax.OrStmt {
		return 0, sh.unknown("uses the operator %s", c.Op)
	}
	sh.tested++
	status, err := sh.stmt(c.X)
	sh.tested--
	if err != nil || (status == 0) != (c.Op == syntax.AndStmt) {
		return status, err
	}
	return sh.stmt(c.Y)
}

// pipe runs the left side to its end and then the right side over its output. Each is a subshell.
func (sh *shell) pipe(c *syntax.BinaryCmd) (int, error) {
	out := &buffer{m: sh.m}
	left := sh.sub()
	left.fds[1] = io.Writer(out)
	first, err := ended(left.stmt(c.X))
	if err != nil {
		return 0, err
	}
	right := sh.sub()
	right.fds[0] = &stream{bytes.NewReader(out.Bytes())}
	status, err := ended(right.stmt(c.Y))
	if sh.pipefail && status == 0 {
		status = first
	}
	return status, err
}

func (sh *shell) subshell(list []*syntax.Stmt) (int, error) {
	if err := sh.m.enter(); err != nil {
		return 0, err
	}
	defer sh.m.leave()
	return sh.sub().body(list)
}

// eval runs text as part of the shell.
func (sh *shell) eval(text string) (int, error) {
	if err := sh.m.enter(); err != nil {
		return 0, err
	}
	defer sh.m.leave()
	file, err := sh.parse([]byte(text))
	if err != nil {
		return 0, err
	}
	line := sh.line
	status, err := sh.stmts(file.Stmts)
	sh.line = line
	return status, err
}
