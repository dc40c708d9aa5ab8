package script

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Input is one run of a script.
type Input struct {
	// Name names the script in messages: "postinst". It is also its $0 unless Arg0 is set.
	Name, Arg0 string
	Script     []byte
	Args       []string
	// Env is the environment; LC_ALL, PATH and such are the caller's to set.
	Env map[string]string
	// Tree is what the script sees and edits. After an error its edits are of no use.
	Tree *Tree
	// Commands are the programs that are known: by name those in the usual directories, by absolute path, or by "*/NAME"
	// those of a name anywhere.
	Commands map[string]Command
	// Stdin and Stdout talk to whoever started the script. Where Stdin is nil, reading it is unknown; where Stdout is
	// nil, output goes to Result.Output like that of standard error.
	Stdin  io.Reader
	Stdout io.Writer
	// Vendor is anything that the commands of the caller need; they find it in Process.Vendor.
	Vendor any
	Limits Limits
}

// Limits bound a run; a field that is 0 has its default.
type Limits struct {
	// Steps are commands, loop rounds and files looked at: 200 000.
	Steps int
	// Bytes are all bytes that are expanded, written or read: 256 MiB.
	Bytes int64
	// Value is the length of one value: 1 MiB.
	Value int
	// Depth is that of calls and nested scripts: 100.
	Depth int
	// Output is what is kept of the output: 64 KiB.
	Output int
}

func (l Limits) withDefaults() Limits {
	set := func(v *int, n int) {
		if *v == 0 {
			*v = n
		}
	}
	set(&l.Steps, 200_000)
	set(&l.Value, 1<<20)
	set(&l.Depth, 100)
	set(&l.Output, 64<<10)
	if l.Bytes == 0 {
		l.Bytes = 256 << 20
	}
	return l
}

// Result is what came of a run.
type Result struct {
	// Output is the first part of what the script printed, standard error included.
	Output []byte
	// Steps is how much of Limits.Steps was used.
	Steps int
}

// UnknownError says that the effect of a script is not known.
type UnknownError struct {
	// Script and Line tell where; Command is the command, shortened.
	Script  string
	Line    uint
	Command string
	// Detail says why, as a phrase about the script: "reads /proc/mounts".
	Detail string
}

func (e *UnknownError) Error() string {
	var b strings.Builder
	if e.Script != "" {
		fmt.Fprintf(&b, "%s ", e.Script)
	}
	if e.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", e.Line)
	}
	if e.Command != "" {
		fmt.Fprintf(&b, "%s: ", e.Command)
	}
	return b.String() + e.Detail
}

// ExitError says that a script failed.
type ExitError struct {
	Script string
	Status int
	// Line and Command are those of the last command that failed.
	Line    uint
	Command string
	// Message is the last line that it printed.
	Message string
}

func (e *ExitError) Error() string {
	s := fmt.Sprintf("%s line %d: %s: the script fails with status %d", e.Script, e.Line, e.Command, e.Status)
	if e.Message != "" {
		s += ": " + e.Message
	}
	return s
}

// Run runs a script to its end. The error is an *UnknownError, an *ExitError where the script's status is not 0, or that of
// the context. A script that makes the interpreter or the parser panic is unknown, too.
func Run(ctx context.Context, in Input) (res Result, err error) {
	defer func() {
		if broken := recover(); broken != nil {
			err = &UnknownError{Script: in.Name, Detail: fmt.Sprintf("breaks the interpreter: %v", broken)}
		}
	}()
	return run(ctx, in)
}

func run(ctx context.Context, in Input) (Result, error) {
	m := &machine{ctx: ctx, tree: in.Tree, commands: in.Commands, builtins: makeBuiltins(), vendor: in.Vendor, limits: in.Limits.withDefaults()}
	m.output.limit = m.limits.Output
	out := in.Stdout
	if out == nil {
		out = &m.output
	}
	arg0 := in.Arg0
	if arg0 == "" {
		arg0 = in.Name
	}
	status, err := m.runScript(program{name: in.Name, arg0: arg0, text: in.Script, args: in.Args, env: in.Env, dir: "/"},
		&stream{r: in.Stdin}, out, &m.output)
	res := Result{Output: m.output.data, Steps: m.steps}
	if cause := ctx.Err(); cause != nil {
		var unknown *UnknownError
		if errors.As(err, &unknown) && errors.Is(cause, context.DeadlineExceeded) {
			unknown.Detail = "takes too long"
			return res, unknown
		}
		return res, cause
	}
	if err == nil && status != 0 {
		err = &ExitError{Script: in.Name, Status: status, Line: m.failed.line, Command: m.failed.command, Message: m.output.last()}
	}
	return res, err
}

// machine is what all shells of a run share.
type machine struct {
	ctx      context.Context //nolint:containedctx // a machine lives as long as one call of Run
	tree     *Tree
	commands map[string]Command
	builtins map[string]builtin
	vendor   any
	limits   Limits
	steps    int
	bytes    int64
	depth    int
	output   transcript
	failed   struct {
		line    uint
		command string
	}
	patterns map[string]*matcher
}

// step counts work and ends a script that does too much.
func (m *machine) step() error {
	if m.steps++; m.steps > m.limits.Steps {
		return &UnknownError{Detail: fmt.Sprintf("takes more than %d steps", m.limits.Steps)}
	}
	if m.ctx.Err() != nil {
		return &UnknownError{Detail: "is interrupted"}
	}
	return nil
}

// spend counts bytes that are handled.
func (m *machine) spend(n int) error {
	if m.bytes += int64(n); m.bytes > m.limits.Bytes {
		return &UnknownError{Detail: fmt.Sprintf("handles more than %d bytes", m.limits.Bytes)}
	}
	if m.ctx.Err() != nil {
		return &UnknownError{Detail: "is interrupted"}
	}
	return nil
}

// value checks one value.
func (m *machine) value(s string) error {
	if len(s) > m.limits.Value {
		return &UnknownError{Detail: fmt.Sprintf("makes a value of more than %d bytes", m.limits.Value)}
	}
	return m.spend(len(s))
}

// enter counts nested calls; leave undoes it.
func (m *machine) enter() error {
	if m.depth++; m.depth > m.limits.Depth {
		return &UnknownError{Detail: fmt.Sprintf("nests more than %d calls", m.limits.Depth)}
	}
	return nil
}

func (m *machine) leave() { m.depth-- }

// transcript keeps the first bytes of the output.
type transcript struct {
	data  []byte
	limit int
}

func (t *transcript) Write(b []byte) (int, error) {
	t.data = append(t.data, b[:min(len(b), max(0, t.limit-len(t.data)))]...)
	return len(b), nil
}

func (t *transcript) last() string {
	text := bytes.TrimSpace(t.data)
	return string(text[bytes.LastIndexByte(text, '\n')+1:])
}

// stream is an open file to read from.
type stream struct{ r io.Reader }

func (s *stream) Read(b []byte) (int, error) {
	if s == nil || s.r == nil {
		return 0, &UnknownError{Detail: "reads its standard input"}
	}
	return s.r.Read(b)
}

// buffer collects the output of a command in memory.
type buffer struct {
	bytes.Buffer
	m *machine
}

func (b *buffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > 16*b.m.limits.Value {
		return 0, &UnknownError{Detail: fmt.Sprintf("prints more than %d bytes", 16*b.m.limits.Value)}
	}
	if err := b.m.spend(len(p)); err != nil {
		return 0, err
	}
	return b.Buffer.Write(p)
}
