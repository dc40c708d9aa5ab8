package script

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// flavor is the shell whose ways a script expects.
type flavor int

const (
	dash flavor = iota
	bash
	ash // busybox
)

// shell is the state of one shell; a subshell gets a copy.
type shell struct {
	m      *machine
	flavor flavor
	// name is the script for messages, arg0 its $0.
	name, arg0 string
	vars       map[string]variable
	funcs      map[string]*syntax.Stmt
	params     []string
	fds        map[int]any // *stream or io.Writer
	dir        string
	umask      int64
	exitTrap   string
	// The options -e, -u, -f and bash's pipefail.
	errexit, nounset, noglob, pipefail bool
	// tested counts the conditions around a command, whose failure -e does not mind there.
	tested int
	// calls and loops count the functions and loops around a command; locals are what the functions made local.
	calls, loops int
	locals       []map[string]*variable
	last         int
	line         uint
	// substituted is the status of the last command substitution of the current command.
	substituted int
	optind      int
	// whole says that the arithmetic at hand is a single word.
	whole bool
}

type variable struct {
	value              string
	exported, readonly bool
	// unset marks a local variable without a value.
	unset bool
}

// Control flow travels as errors.
type (
	exitFlow   struct{ status int }
	returnFlow struct{ status int }
	loopFlow   struct {
		levels int
		next   bool // continue, not break
	}
)

func (exitFlow) Error() string   { return "exit" }
func (returnFlow) Error() string { return "return" }
func (loopFlow) Error() string   { return "break" }

// program is a script that is to be run.
type program struct {
	name, arg0 string
	text       []byte
	args       []string
	env        map[string]string
	dir        string
	// fds are the files that are open besides the first three.
	fds map[int]any
}

// Bounds of a script's text. The parser is recursive: what it nests costs stack.
const (
	maxScript = 512 << 10
	maxNested = 2000
)

// runScript runs a script as a process of its own and returns its status.
func (m *machine) runScript(p program, in *stream, out, errs io.Writer) (int, error) {
	if err := m.enter(); err != nil {
		return 0, err
	}
	defer m.leave()
	sh := &shell{
		m: m, name: p.name, arg0: p.arg0, vars: make(map[string]variable), funcs: make(map[string]*syntax.Stmt),
		params: p.args, fds: map[int]any{0: in, 1: out, 2: errs}, dir: p.dir, umask: 0o022, optind: 1,
	}
	for fd, f := range p.fds {
		if fd > 2 {
			sh.fds[fd] = f
		}
	}
	if err := sh.shebang(p.text); err != nil {
		return 0, err
	}
	for k, v := range p.env {
		sh.vars[k] = variable{value: v, exported: true}
	}
	sh.vars["IFS"] = variable{value: " \t\n"}
	sh.vars["PWD"] = variable{value: sh.dir, exported: true}
	sh.vars["OPTIND"] = variable{value: "1"}
	sh.vars["PPID"] = variable{unset: true}
	file, err := sh.parse(p.text)
	if err != nil {
		return 0, err
	}
	status, err := sh.body(file.Stmts)
	return status, sh.locate(err)
}

// body runs the statements of a whole script or subshell and then its exit trap.
func (sh *shell) body(list []*syntax.Stmt) (int, error) {
	status, err := sh.stmts(list)
	status, err = ended(status, err)
	if err != nil || sh.exitTrap == "" {
		return status, err
	}
	sh.last, sh.tested = status, 0
	trap := sh.exitTrap
	sh.exitTrap = ""
	_, err = sh.eval(trap)
	var exit exitFlow
	if errors.As(err, &exit) {
		return exit.status, nil
	}
	return status, err
}

// ended turns the control flow that ends a shell into its status.
func ended(status int, err error) (int, error) {
	var exit exitFlow
	var ret returnFlow
	var loop loopFlow
	switch {
	case errors.As(err, &exit):
		return exit.status, nil
	case errors.As(err, &ret):
		return ret.status, nil
	case errors.As(err, &loop):
		return 0, nil
	}
	return status, err
}

// shebang finds out by the first line which shell runs a script.
func (sh *shell) shebang(text []byte) error {
	line, _, _ := bytes.Cut(text, []byte{'\n'})
	words := strings.Fields(strings.TrimPrefix(string(line), "#!"))
	if !bytes.HasPrefix(line, []byte("#!")) || len(words) == 0 {
		return &UnknownError{Script: sh.name, Line: 1, Detail: "is no shell script"}
	}
	if base(words[0]) == "env" && len(words) == 2 {
		words = []string{"/bin/" + words[1]}
	}
	at, _, err := sh.m.tree.Stat(words[0])
	if err != nil {
		return &UnknownError{Script: sh.name, Line: 1, Detail: fmt.Sprintf("its shell %.40q is not in the image", words[0])}
	}
	switch base(at) {
	case "dash":
		sh.flavor = dash
	case "bash":
		sh.flavor = bash
	case "busybox":
		sh.flavor = ash
	default:
		return &UnknownError{Script: sh.name, Line: 1, Detail: fmt.Sprintf("runs in %.40q", words[0])}
	}
	if n := base(words[0]); n != "sh" && n != "dash" && n != "bash" && n != "ash" {
		return &UnknownError{Script: sh.name, Line: 1, Detail: fmt.Sprintf("runs in %.40q", words[0])}
	}
	for _, option := range words[1:] {
		switch option {
		case "-e":
			sh.errexit = true
		case "-u":
			sh.nounset = true
		case "-eu", "-ue":
			sh.errexit, sh.nounset = true, true
		case "--", "-":
		default:
			return &UnknownError{Script: sh.name, Line: 1, Detail: fmt.Sprintf("has the shell option %.40q", option)}
		}
	}
	return nil
}

// parse reads shell text.
func (sh *shell) parse(text []byte) (*syntax.File, error) {
	if len(text) > maxScript {
		return nil, &UnknownError{Script: sh.name, Detail: fmt.Sprintf("has %d bytes", len(text))}
	}
	if nested(text) > maxNested {
		return nil, &UnknownError{Script: sh.name, Detail: "is nested too deeply"}
	}
	if err := sh.m.spend(8 * len(text)); err != nil {
		return nil, err
	}
	variant := syntax.LangPOSIX
	if sh.flavor != dash {
		variant = syntax.LangBash
	}
	file, err := syntax.NewParser(syntax.Variant(variant)).Parse(bytes.NewReader(text), "")
	if err != nil {
		return nil, &UnknownError{Script: sh.name, Line: sh.line, Detail: fmt.Sprintf("cannot be read: %v", err)}
	}
	return file, nil
}

// nested bounds from above how deeply text can nest: openings not closed by anything later. Text in quotes counts,
// which real scripts can afford.
func nested(text []byte) int {
	depth, most := 0, 0
	for _, c := range text {
		switch c {
		case '(', '{', '[':
			depth++
		case ')', '}', ']':
			depth = max(0, depth-1)
		}
		most = max(most, depth)
	}
	words := 0
	for _, w := range [...]string{"if ", "while ", "until ", "case ", "for ", "if\n", "while\n", "until\n", "then ", "do ", "else "} {
		words += bytes.Count(text, []byte(w))
	}
	return max(most, words/2, bytes.Count(text, []byte("! ")))
}

// sub copies a shell for a subshell.
func (sh *shell) sub() *shell {
	c := *sh
	c.vars, c.funcs, c.fds = maps.Clone(sh.vars), maps.Clone(sh.funcs), maps.Clone(sh.fds)
	c.exitTrap, c.loops = "", 0
	c.locals = make([]map[string]*variable, len(sh.locals))
	for i, l := range sh.locals {
		c.locals[i] = maps.Clone(l)
	}
	return &c
}

// unknown makes the error for what is not modelled.
func (sh *shell) unknown(format string, args ...any) error {
	return &UnknownError{Script: sh.name, Line: sh.line, Detail: fmt.Sprintf(format, args...)}
}

// locate says in an error where it arose, if that is not said yet.
func (sh *shell) locate(err error) error {
	var unknown *UnknownError
	if errors.As(err, &unknown) && unknown.Script == "" {
		unknown.Script, unknown.Line = sh.name, sh.line
	}
	return err
}

func (sh *shell) print(fd int, text string) error {
	w, ok := sh.fds[fd].(io.Writer)
	if !ok {
		return sh.unknown("writes to the closed file descriptor %d", fd)
	}
	if err := sh.m.spend(len(text)); err != nil {
		return err
	}
	_, err := io.WriteString(w, text)
	return err
}

// complain prints a message of the shell.
func (sh *shell) complain(format string, args ...any) error {
	return sh.print(2, fmt.Sprintf("%s: %d: %s\n", sh.arg0, sh.line, fmt.Sprintf(format, args...)))
}
