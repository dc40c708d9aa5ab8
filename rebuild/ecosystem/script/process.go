package script

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Command is what a known program does. It returns its exit status, 0 to 255. The error is an *UnknownError, where
// what the program would do is not known; its Script, Line and Command are filled in by the engine.
type Command func(p *Process) (int, error)

// Process is one run of a Command.
type Process struct {
	// Args are the arguments, the name first.
	Args    []string
	Program Program
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	// Vendor is Input.Vendor.
	Vendor any

	sh *shell
}

// Tree is the tree that the script sees and edits.
func (p *Process) Tree() *Tree { return p.sh.m.tree }

// Time is the time that it is for the script.
func (p *Process) Time() time.Time { return p.sh.m.tree.time }

// Abs makes a path absolute without cleaning it, so that ".." keeps its meaning behind a symbolic link.
func (p *Process) Abs(path string) string { return p.sh.abs(path) }

// Getenv returns an exported variable.
func (p *Process) Getenv(name string) string {
	if v := p.sh.vars[name]; v.exported && !v.unset {
		return v.value
	}
	return ""
}

// Environ lists the names of the exported variables, sorted.
func (p *Process) Environ() []string {
	var names []string
	for name, v := range p.sh.vars {
		if v.exported && !v.unset {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Captured tells whether somebody reads what the command prints: a file of the tree, another command, the script itself.
func (p *Process) Captured() bool {
	switch p.Stdout.(type) {
	case *Writer, *buffer:
		return true
	}
	return false
}

// Umask is the file mode creation mask.
func (p *Process) Umask() int64 { return p.sh.umask }

// Script is the name of the script that runs the command.
func (p *Process) Script() string { return p.sh.name }

// Step counts a piece of work.
func (p *Process) Step() error { return p.sh.m.step() }

// Spend counts bytes that are handled.
func (p *Process) Spend(n int) error { return p.sh.m.spend(n) }

// Unknownf makes the error for what is not known.
func (p *Process) Unknownf(format string, args ...any) error {
	return &UnknownError{Script: p.sh.name, Line: p.sh.line, Command: short(p.Args), Detail: fmt.Sprintf(format, args...)}
}

// Printf prints to standard output.
func (p *Process) Printf(format string, args ...any) error {
	return p.Print(fmt.Sprintf(format, args...))
}

// Print prints text to standard output.
func (p *Process) Print(text string) error {
	if err := p.Spend(len(text)); err != nil {
		return err
	}
	_, err := io.WriteString(p.Stdout, text)
	return err
}

// Fail prints a message, "NAME: MESSAGE", to standard error and returns status.
func (p *Process) Fail(status int, format string, args ...any) (int, error) {
	_, err := fmt.Fprintf(p.Stderr, "%s: %s\n", base(p.Args[0]), fmt.Sprintf(format, args...))
	return status, err
}

// FailFile is Fail for what the tree refuses: a file that does not exist, say. Other errors pass through.
func (p *Process) FailFile(status int, name string, err error) (int, error) {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return 0, err
	}
	return p.Fail(status, "%s: %v", name, errno)
}

// ReadAll reads standard input to its end.
func (p *Process) ReadAll() ([]byte, error) {
	limit := int64(16 * p.sh.m.limits.Value)
	data, err := io.ReadAll(io.LimitReader(p.Stdin, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = p.Unknownf("reads more than %d bytes", limit)
	}
	if err == nil {
		err = p.Spend(len(data))
	}
	return data, err
}

// ReadFiles reads the named files one behind the other: "-" and no name at all stand for standard input. each gets the
// name and content of one, or the error if it cannot be read.
func (p *Process) ReadFiles(names []string, each func(name string, data []byte, err error) error) error {
	if len(names) == 0 {
		names = []string{"-"}
	}
	for _, name := range names {
		data, err := p.ReadFile(name)
		if e := known(err); e != nil {
			return e
		}
		if err := each(name, data, err); err != nil {
			return err
		}
	}
	return nil
}

// ReadFile reads one file, standard input if the name is "-".
func (p *Process) ReadFile(name string) ([]byte, error) {
	switch {
	case name == "-" || name == "/dev/stdin":
		return p.ReadAll()
	case p.Abs(name) == "/dev/null":
		return nil, nil
	}
	data, err := p.Tree().ReadFile(p.Abs(name))
	if err == nil {
		err = p.Spend(len(data))
	}
	return data, err
}

// Run runs another command with the same input and output.
func (p *Process) Run(args []string) (int, error) {
	if err := p.Step(); err != nil {
		return 0, err
	}
	return p.sh.program(args)
}

// Find looks a program up in the tree's PATH.
func (p *Process) Find(name string) (Program, bool, error) { return p.sh.find(name) }

// Options reads the options of a command as getopt_long(3) does. known spells them as words: "n", "name" for flags,
// "o:", "output:" for those with a value, "i=" and "color=" for those whose value is attached or missing; "+" stops at
// the first operand. found lists them in order, operands are what is left. An option that is not among them is unknown.
func (p *Process) Options(known string) (found []Option, operands []string, err error) {
	spec := strings.Fields(known)
	args := p.Args[1:]
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		switch {
		case arg == "--":
			return found, append(operands, args...), nil
		case arg == "-" || !strings.HasPrefix(arg, "-"):
			operands = append(operands, arg)
			if slices.Contains(spec, "+") {
				return found, append(operands, args...), nil
			}
		case strings.HasPrefix(arg, "--"):
			if found, args, err = p.long(spec, found, arg, args); err != nil {
				return nil, nil, err
			}
		default:
			if found, args, err = p.shorts(spec, found, arg, args); err != nil {
				return nil, nil, err
			}
		}
	}
	return found, operands, nil
}

// Option is one option of a command, without dashes.
type Option struct{ Name, Value string }

func (p *Process) long(spec []string, found []Option, arg string, args []string) ([]Option, []string, error) {
	name, value, has := strings.Cut(arg[2:], "=")
	switch {
	case slices.Contains(spec, name) && len(name) > 1 && !has, slices.Contains(spec, name+"=") && len(name) > 1:
		return append(found, Option{name, value}), args, nil
	case slices.Contains(spec, name+":") && len(name) > 1:
		if !has {
			if len(args) == 0 {
				return nil, nil, p.Unknownf("has no value for %s", arg)
			}
			value, args = args[0], args[1:]
		}
		return append(found, Option{name, value}), args, nil
	}
	return nil, nil, p.Unknownf("has the option %.40q, which is not modelled", arg)
}

func (p *Process) shorts(spec []string, found []Option, arg string, args []string) ([]Option, []string, error) {
	for rest := arg[1:]; rest != ""; {
		name := rest[:1]
		rest = rest[1:]
		switch {
		case slices.Contains(spec, name):
			found = append(found, Option{Name: name})
		case slices.Contains(spec, name+":"):
			if rest == "" {
				if len(args) == 0 {
					return nil, nil, p.Unknownf("has no value for -%s", name)
				}
				rest, args = args[0], args[1:]
			}
			found = append(found, Option{name, rest})
			rest = ""
		case slices.Contains(spec, name+"="):
			found = append(found, Option{name, rest})
			rest = ""
		default:
			return nil, nil, p.Unknownf("has the option -%s, which is not modelled", name)
		}
	}
	return found, args, nil
}

// Has tells whether one of the options was given.
func Has(found []Option, names ...string) bool {
	return slices.ContainsFunc(found, func(o Option) bool { return slices.Contains(names, o.Name) })
}
