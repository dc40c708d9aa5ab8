package maintscript

import (
	"path"

	"mvdan.cc/sh/v3/syntax"
)

// substitution gives the output of the few commands whose output is known, and notes their status.
func (e *evaluator) substitution(c *syntax.CmdSubst) (string, error) {
	if len(c.Stmts) != 1 {
		return "", refuse(c, "output of %s", source(c))
	}
	s := c.Stmts[0]
	b, succeeds := s.Cmd.(*syntax.BinaryCmd)
	if succeeds {
		if b.Op != syntax.OrStmt || !e.isTrue(b.Y) || !isPlain(s) || len(s.Redirs) > 0 {
			return "", refuse(c, "output of %s", source(c))
		}
		s = b.X
	}
	call, ok := s.Cmd.(*syntax.CallExpr)
	if !ok || len(call.Assigns) > 0 || !isPlain(s) {
		return "", refuse(c, "output of %s", source(c))
	}
	for _, r := range s.Redirs {
		// What goes elsewhere is not the output.
		if r.Op != syntax.RdrIn && (r.N == nil || r.N.Value != "2") {
			return "", refuse(c, "output of %s", source(c))
		}
	}
	if err := e.redirects(s); err != nil {
		return "", err
	}
	args, err := e.fields(call.Args)
	if err != nil {
		return "", err
	}
	e.steps += programCost
	out, status, ok := e.output(args)
	if !ok {
		return "", refuse(c, "output of %s", source(call))
	}
	if succeeds {
		status = 0
	}
	e.substituted = status
	return out, nil
}

// isPlain tells whether a statement is a command without anything that changes its status or how it runs.
func isPlain(s *syntax.Stmt) bool { return !s.Negated && !s.Background && !s.Coprocess && !s.Disown }

// isTrue recognizes the commands that do nothing but succeed.
func (e *evaluator) isTrue(s *syntax.Stmt) bool {
	call, ok := s.Cmd.(*syntax.CallExpr)
	if !ok || !isPlain(s) || len(s.Redirs) > 0 || len(call.Assigns) > 0 || len(call.Args) != 1 {
		return false
	}
	name := call.Args[0].Lit()
	return name == "true" && e.funcs[name] == nil || name == ":"
}

// output gives what a command prints and its status, for those of which that is known.
func (e *evaluator) output(args []string) (out string, status int, ok bool) {
	if len(args) == 0 || e.funcs[args[0]] != nil {
		return "", 0, false
	}
	name := args[0]
	if name == "command" {
		if len(args) != 3 || args[1] != "-v" || e.funcs[args[2]] != nil {
			return "", 0, false
		}
		return e.where(args[2])
	}
	p, found := e.find(name)
	if !found {
		return "", notFound, !isBuiltin(name)
	}
	if !isKnown(p) {
		return "", 0, false
	}
	switch {
	case name == "which" && len(args) == 2:
		return e.where(args[1])
	case name == "dirname" && len(args) == 2:
		return path.Dir(args[1]), 0, true
	case name == "basename" && len(args) == 2:
		return path.Base(args[1]), 0, true
	case name == "uname" && (len(args) == 1 || len(args) == 2 && args[1] == "-s"):
		return "Linux", 0, true
	case name == "dpkg" && len(args) == 2 && args[1] == "--print-architecture" && e.script.Arch != "all":
		return e.script.Arch, 0, true
	}
	return "", 0, false
}

// where gives a program's path as which prints it.
func (e *evaluator) where(name string) (out string, status int, ok bool) {
	if isBuiltin(name) {
		return "", 0, false
	}
	p, found := e.find(name)
	if !found {
		return "", 1, true
	}
	return p, 0, true
}
