package script

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"strings"
	"syscall"

	"mvdan.cc/sh/v3/syntax"
)

// call runs a simple command.
func (sh *shell) call(c *syntax.CallExpr) (int, error) {
	sh.substituted = 0
	var args []string
	var err error
	if len(c.Args) > 0 {
		if declares(c.Args[0].Lit()) {
			args, err = sh.declareArgs(c.Args)
		} else {
			args, err = sh.fields(c.Args)
		}
	}
	if err != nil {
		return 0, err
	}
	if len(args) == 0 {
		for _, a := range c.Assigns {
			if err := sh.assign(a); err != nil {
				return 0, err
			}
		}
		return sh.substituted, nil
	}
	line := c.Pos().Line()
	sh.line = line
	name := args[0]
	special := specialBuiltin(name)
	var saved map[string]*variable
	if len(c.Assigns) > 0 && !special {
		saved = make(map[string]*variable)
	}
	for _, a := range c.Assigns {
		if saved != nil {
			saved[a.Name.Value] = sh.remember(a.Name.Value)
		}
		if err := sh.assign(a); err != nil {
			return 0, err
		}
		if saved != nil {
			v := sh.vars[a.Name.Value]
			v.exported = true
			sh.vars[a.Name.Value] = v
		}
	}
	status, err := sh.invoke(args)
	for name, v := range saved {
		sh.restore(name, v)
	}
	err = sh.blame(err, line, args)
	if status != 0 && err == nil {
		sh.m.failed.line, sh.m.failed.command = line, short(args)
	}
	return status, err
}

// blame says in an error which command it is about.
func (sh *shell) blame(err error, line uint, args []string) error {
	var unknown *UnknownError
	if errors.As(err, &unknown) {
		if unknown.Script == "" {
			unknown.Script, unknown.Line = sh.name, line
		}
		if unknown.Command == "" {
			unknown.Command = short(args)
		}
	}
	return err
}

// short spells a command for messages.
func short(args []string) string {
	s := strings.Join(args, " ")
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\n", " "), "?")
	if len(s) > 100 {
		s = strings.ToValidUTF8(s[:100], "") + "…"
	}
	return s
}

func (sh *shell) remember(name string) *variable {
	if v, ok := sh.vars[name]; ok {
		return &v
	}
	return nil
}

func (sh *shell) restore(name string, v *variable) {
	if v == nil {
		delete(sh.vars, name)
		return
	}
	sh.vars[name] = *v
}

func (sh *shell) assign(a *syntax.Assign) error {
	if a.Index != nil || a.Array != nil || a.Name == nil {
		return sh.unknown("uses an array")
	}
	value, err := sh.assigned(a.Value)
	if err != nil {
		return err
	}
	if a.Append {
		old, _ := sh.get(a.Name.Value)
		value = old + value
	}
	return sh.set(a.Name.Value, value)
}

// assigned expands the value of an assignment.
func (sh *shell) assigned(w *syntax.Word) (string, error) {
	if w == nil {
		return "", nil
	}
	return sh.single(w)
}

// declares tells of the builtins whose arguments are assignments.
func declares(name string) bool {
	return name == "export" || name == "readonly" || name == "local"
}

// declareArgs expands the arguments of such a builtin: those that look like assignments are not split.
func (sh *shell) declareArgs(words []*syntax.Word) ([]string, error) {
	args := []string{words[0].Lit()}
	for _, w := range words[1:] {
		if lit, ok := w.Parts[0].(*syntax.Lit); ok {
			if name, _, ok := strings.Cut(lit.Value, "="); ok && syntax.ValidName(name) {
				value, err := sh.single(w)
				if err != nil {
					return nil, err
				}
				args = append(args, value)
				continue
			}
		}
		more, err := sh.fields([]*syntax.Word{w})
		if err != nil {
			return nil, err
		}
		args = append(args, more...)
	}
	return args, nil
}

// declare runs export, readonly, local and bash's declare where they are syntax.
func (sh *shell) declare(c *syntax.DeclClause) (int, error) {
	args := []string{c.Variant.Value}
	for _, a := range c.Args {
		switch {
		case a.Name == nil:
			more, err := sh.fields([]*syntax.Word{a.Value})
			if err != nil {
				return 0, err
			}
			args = append(args, more...)
		case a.Naked:
			args = append(args, a.Name.Value)
		default:
			if a.Index != nil || a.Array != nil || a.Append {
				return 0, sh.unknown("uses an array")
			}
			value, err := sh.assigned(a.Value)
			if err != nil {
				return 0, err
			}
			args = append(args, a.Name.Value+"="+value)
		}
	}
	status, err := sh.invoke(args)
	return status, sh.blame(err, c.Pos().Line(), args)
}

// invoke runs a command by name: a special builtin, a function, a builtin or a program.
func (sh *shell) invoke(args []string) (int, error) {
	if err := sh.m.step(); err != nil {
		return 0, err
	}
	name := args[0]
	if !specialBuiltin(name) {
		if body, ok := sh.funcs[name]; ok {
			return sh.function(body, args[1:])
		}
	}
	if b, ok := sh.m.builtins[name]; ok {
		return b(sh, args)
	}
	return sh.program(args)
}

func (sh *shell) function(body *syntax.Stmt, args []string) (int, error) {
	if err := sh.m.enter(); err != nil {
		return 0, err
	}
	defer sh.m.leave()
	params, loops, line := sh.params, sh.loops, sh.line
	sh.params, sh.loops = args, 0
	sh.calls++
	sh.locals = append(sh.locals, make(map[string]*variable))
	status, err := sh.stmt(body)
	top := sh.locals[len(sh.locals)-1]
	sh.locals = sh.locals[:len(sh.locals)-1]
	for name, v := range top {
		sh.restore(name, v)
	}
	sh.calls--
	sh.params, sh.loops, sh.line = params, loops, line
	var ret returnFlow
	if errors.As(err, &ret) {
		return ret.status, nil
	}
	return status, err
}

// Program is a program file that a name leads to in the tree.
type Program struct {
	// Path is the name as it was found, absolute; Physical the file that it leads to.
	Path, Physical string
}

// find looks a program up as execvp(3) would. Only what the tree has exists.
func (sh *shell) find(name string) (Program, bool, error) {
	if strings.Contains(name, "/") {
		return sh.executable(sh.abs(name))
	}
	dirs, _ := sh.get("PATH")
	for _, dir := range strings.Split(dirs, ":") {
		if dir == "" {
			dir = sh.dir
		}
		p, ok, err := sh.executable(sh.abs(dir) + "/" + name)
		if ok || err != nil {
			return p, ok, err
		}
	}
	return Program{}, false, nil
}

func (sh *shell) executable(p string) (Program, bool, error) {
	at, e, err := sh.m.tree.Stat(p)
	if err != nil {
		return Program{}, false, known(err)
	}
	if !e.IsRegular() || e.Mode&0o111 == 0 {
		return Program{}, false, nil
	}
	return Program{Path: p, Physical: at}, true, nil
}

// program runs a program of the tree: one that is known, or a shell script.
func (sh *shell) program(args []string) (int, error) {
	p, ok, err := sh.find(args[0])
	if err != nil {
		return 0, err
	}
	if !ok {
		return 127, sh.complain("%s: not found", args[0])
	}
	proc := &Process{
		Args: args, Program: p, Vendor: sh.m.vendor, sh: sh, Stdin: sh.input(0), Stdout: sh.writer(1), Stderr: sh.writer(2),
	}
	switch base(p.Physical) {
	case "dash", "bash":
		return proc.shell()
	case "test", "[": // the program is called by others, find for one, and is like the builtin
		return sh.test(args)
	}
	if c := sh.m.command(p); c != nil {
		status, err := c(proc)
		var errno syscall.Errno
		if errors.As(err, &errno) { // what the model did not expect
			err = proc.Unknownf("%v", err)
		}
		return status & 0xff, err
	}
	return proc.runFile(p, args[1:])
}

// command finds the model of a program: by its path, by its name if it lies where distributions put theirs, or by "*/NAME"
// wherever it lies.
func (m *machine) command(p Program) Command {
	if c, ok := m.commands[p.Path]; ok {
		return c
	}
	dir, name := splitPath(p.Path)
	switch dir {
	case "/bin", "/sbin", "/usr/bin", "/usr/sbin":
		return m.commands[name]
	}
	return m.commands["*/"+name]
}

func splitPath(p string) (dir, name string) {
	i := strings.LastIndexByte(p, '/')
	return strings.TrimRight(p[:i+1], "/"), p[i+1:]
}

func (sh *shell) input(fd int) io.Reader {
	if s, ok := sh.fds[fd].(*stream); ok {
		return s
	}
	return &stream{}
}

func (sh *shell) writer(fd int) io.Writer {
	if w, ok := sh.fds[fd].(io.Writer); ok {
		return w
	}
	return closed{}
}

// closed is a file descriptor that nothing can be written to.
type closed struct{}

func (closed) Write([]byte) (int, error) {
	return 0, &UnknownError{Detail: "writes to a closed file descriptor"}
}

// environment is what a program inherits.
func (sh *shell) environment() map[string]string {
	env := make(map[string]string)
	for name, v := range sh.vars {
		if v.exported && !v.unset {
			env[name] = v.value
		}
	}
	return env
}

// runFile runs a program that is a shell script.
func (p *Process) runFile(f Program, args []string) (int, error) {
	data, err := p.sh.m.tree.ReadFile(f.Path)
	if err != nil {
		return 0, p.Unknownf("is not modelled, and it cannot be read: %v", err)
	}
	if !bytes.HasPrefix(data, []byte("#!")) {
		return 0, p.Unknownf("is not modelled")
	}
	return p.RunScript(f.Path, f.Path, data, args, nil, p.Stdin, p.Stdout)
}

// shell runs a script that is named as an operand of a shell.
func (p *Process) shell() (int, error) {
	args := p.Args[1:]
	first := "#!" + p.Program.Path
	for len(args) > 0 && (args[0] == "-e" || args[0] == "-u" || args[0] == "-eu") {
		first += " " + args[0]
		args = args[1:]
	}
	if len(args) > 1 && args[0] == "-c" {
		arg0 := base(p.Args[0])
		if len(args) > 2 {
			arg0 = args[2]
		}
		return p.RunScript(p.Program.Path, arg0, []byte(first+"\n"+args[1]), args[min(3, len(args)):], nil, p.Stdin, p.Stdout)
	}
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return 0, p.Unknownf("starts a shell in a way that is not modelled")
	}
	data, err := p.sh.m.tree.ReadFile(p.Abs(args[0]))
	if err != nil {
		return p.FailFile(2, args[0], err)
	}
	if i := bytes.IndexByte(data, '\n'); bytes.HasPrefix(data, []byte("#!")) && i >= 0 {
		data = data[i:]
	} else {
		data = append([]byte{'\n'}, data...) // its lines count from 2 in messages
	}
	return p.RunScript(args[0], args[0], append([]byte(first), data...), args[1:], nil, p.Stdin, p.Stdout)
}

// RunScript runs a script as a program of its own, with extra variables in its environment.
func (p *Process) RunScript(
	name, arg0 string, text []byte, args []string, extra map[string]string, in io.Reader, out io.Writer,
) (int, error) {
	env := p.sh.environment()
	maps.Copy(env, extra)
	s, ok := in.(*stream)
	if !ok {
		s = &stream{in}
	}
	status, err := p.sh.m.runScript(program{
		name: name, arg0: arg0, text: text, args: args, env: env, dir: p.sh.dir, fds: p.sh.fds,
	}, s, out, p.Stderr)
	var unknown *UnknownError
	if errors.As(err, &unknown) && name == p.Program.Path {
		// The caller's line says more than that of the program.
		unknown.Detail = unknown.Error()
		unknown.Script, unknown.Line, unknown.Command = p.sh.name, p.sh.line, short(p.Args)
	}
	return status, err
}
