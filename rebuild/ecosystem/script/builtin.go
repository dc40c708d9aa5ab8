package script

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// builtin is a command of the shell itself. args[0] is its name.
type builtin func(sh *shell, args []string) (int, error)

// makeBuiltins lists those that are modelled; the others of dash and bash are there to be unknown.
func makeBuiltins() map[string]builtin {
	b := map[string]builtin{
		":": ok, "true": ok, "false": func(*shell, []string) (int, error) { return 1, nil },
		"exit": (*shell).exit, "return": (*shell).ret, "break": (*shell).loop, "continue": (*shell).loop,
		"shift": (*shell).shift, "set": (*shell).setOptions, "unset": (*shell).unset,
		"export": (*shell).export, "readonly": (*shell).export, "local": (*shell).local,
		"eval": (*shell).evalBuiltin, ".": (*shell).source, "source": (*shell).source, "exec": (*shell).exec,
		"cd": (*shell).cd, "pwd": (*shell).pwd, "command": (*shell).commandBuiltin, "type": (*shell).typeBuiltin,
		"trap": (*shell).trap, "umask": (*shell).umaskBuiltin, "read": (*shell).read, "echo": (*shell).echo,
		"printf": (*shell).printf, "test": (*shell).test, "[": (*shell).test, "wait": ok, "hash": ok,
		"getopts": (*shell).getopts,
	}
	for _, name := range []string{
		"alias", "bg", "fg", "jobs", "kill", "times", "ulimit", "unalias", "let", "declare", "typeset", "shopt", "builtin",
		"mapfile", "readarray", "pushd", "popd", "dirs", "disown", "enable", "help", "history", "logout", "suspend", "caller",
		"compgen", "complete", "compopt", "bind", "fc",
	} {
		b[name] = func(sh *shell, _ []string) (int, error) {
			switch {
			case sh.flavor == dash && !slices.Contains([]string{"alias", "bg", "fg", "jobs", "kill", "times", "ulimit", "unalias"}, name):
				return 127, sh.complain("%s: not found", name)
			}
			return 0, sh.unknown("is not modelled")
		}
	}
	return b
}

func specialBuiltin(name string) bool {
	switch name {
	case ":", "break", ".", "continue", "eval", "exec", "exit", "export", "readonly", "return", "set", "shift", "times", "trap", "unset":
		return true
	}
	return false
}

func ok(*shell, []string) (int, error) { return 0, nil }

// status reads the optional status operand of exit and return.
func (sh *shell) status(args []string) (int, error) {
	if len(args) < 2 {
		return sh.last, nil
	}
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return 0, sh.unknown("has the status %.20q", args[1])
	}
	return n & 0xff, nil
}

func (sh *shell) exit(args []string) (int, error) {
	n, err := sh.status(args)
	if err != nil {
		return 0, err
	}
	if n != 0 && (sh.m.failed.command == "" || len(args) > 1) {
		sh.m.failed.line, sh.m.failed.command = sh.line, short(args)
	}
	return n, exitFlow{n}
}

func (sh *shell) ret(args []string) (int, error) {
	n, err := sh.status(args)
	if err != nil {
		return 0, err
	}
	return n, returnFlow{n}
}

func (sh *shell) loop(args []string) (int, error) {
	levels := 1
	if len(args) > 1 {
		n, err := strconv.Atoi(args[1])
		if err != nil || n < 1 {
			return 0, sh.unknown("has the count %.20q", args[1])
		}
		levels = n
	}
	if sh.loops == 0 {
		return 0, nil
	}
	return 0, loopFlow{min(levels, sh.loops), args[0] == "continue"}
}

func (sh *shell) shift(args []string) (int, error) {
	n := 1
	if len(args) > 1 {
		var err error
		if n, err = strconv.Atoi(args[1]); err != nil || n < 0 {
			return 0, sh.unknown("has the count %.20q", args[1])
		}
	}
	if n > len(sh.params) {
		if sh.flavor == dash { // an error of a special builtin ends the shell
			return 2, exitFlow{2}
		}
		return 1, nil
	}
	sh.params = sh.params[n:]
	return 0, nil
}

func (sh *shell) setOptions(args []string) (int, error) {
	if len(args) == 1 {
		return 0, sh.unknown("lists its variables")
	}
	for i := 1; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			sh.params = slices.Clone(args[i+1:])
			return 0, nil
		case arg == "-o" || arg == "+o":
			if i++; i == len(args) {
				return 0, sh.unknown("lists its options")
			}
			if err := sh.option(args[i], arg[0] == '-'); err != nil {
				return 0, err
			}
		case len(arg) > 1 && (arg[0] == '-' || arg[0] == '+'):
			for _, c := range arg[1:] {
				if err := sh.option(string(c), arg[0] == '-'); err != nil {
					return 0, err
				}
			}
		default:
			sh.params = slices.Clone(args[i:])
			return 0, nil
		}
	}
	return 0, nil
}

func (sh *shell) option(name string, on bool) error {
	switch name {
	case "e", "errexit":
		sh.errexit = on
	case "u", "nounset":
		sh.nounset = on
	case "f", "noglob":
		sh.noglob = on
	case "x", "xtrace", "v", "h", "b", "m":
		// What is printed on the way does not matter.
	case "pipefail":
		if sh.flavor == dash {
			return sh.unknown("sets the option pipefail, which the shell does not have")
		}
		sh.pipefail = on
	default:
		return sh.unknown("sets the option %.20q", name)
	}
	return nil
}

func (sh *shell) unset(args []string) (int, error) {
	for _, name := range args[1:] {
		switch {
		case name == "-v" || name == "-f":
			continue
		case sh.vars[name].readonly:
			return 0, sh.unknown("unsets the read-only variable %s", name)
		case slices.Contains(args, "-f"):
			delete(sh.funcs, name)
		default:
			delete(sh.vars, name)
		}
	}
	return 0, nil
}

func (sh *shell) export(args []string) (int, error) {
	if len(args) == 1 || args[1] == "-p" {
		return 0, sh.unknown("lists its variables")
	}
	for _, arg := range args[1:] {
		name, value, has := strings.Cut(arg, "=")
		if !syntax.ValidName(name) {
			return 0, sh.unknown("has the name %.40q", name)
		}
		if has {
			if err := sh.set(name, value); err != nil {
				return 0, err
			}
		}
		v, exists := sh.vars[name]
		if !exists {
			v.unset = true
		}
		if args[0] == "export" {
			v.exported = true
		} else {
			v.readonly = true
		}
		sh.vars[name] = v
	}
	return 0, nil
}

func (sh *shell) local(args []string) (int, error) {
	if len(sh.locals) == 0 {
		return 2, sh.complain("local: not in a function")
	}
	top := sh.locals[len(sh.locals)-1]
	for _, arg := range args[1:] {
		if arg == "-r" && sh.flavor == bash {
			continue // a script that runs to its end sets none of those again
		}
		name, value, has := strings.Cut(arg, "=")
		if !syntax.ValidName(name) {
			return 0, sh.unknown("has the name %.40q", name)
		}
		if _, already := top[name]; !already {
			top[name] = sh.remember(name)
			if sh.flavor == bash {
				sh.vars[name] = variable{unset: true} // dash keeps the outer value
			}
		}
		if has {
			if err := sh.set(name, value); err != nil {
				return 0, err
			}
		}
	}
	return 0, nil
}

func (sh *shell) evalBuiltin(args []string) (int, error) { return sh.eval(strings.Join(args[1:], " ")) }

// source runs a file of the tree in this shell.
func (sh *shell) source(args []string) (int, error) {
	if len(args) != 2 {
		return 0, sh.unknown("has %d operands", len(args)-1)
	}
	name := args[1]
	if !strings.Contains(name, "/") {
		return 0, sh.unknown("looks for %.40q in its path", name)
	}
	data, err := sh.m.tree.ReadFile(sh.abs(name))
	if e := known(err); e != nil {
		return 0, e
	}
	if err != nil {
		if err := sh.complain(".: cannot open %s: No such file", name); err != nil {
			return 0, err
		}
		return 2, exitFlow{2}
	}
	if err := sh.m.enter(); err != nil {
		return 0, err
	}
	defer sh.m.leave()
	outer, line := sh.name, sh.line
	sh.name = name
	defer func() { sh.name, sh.line = outer, line }()
	file, err := sh.parse(data)
	if err != nil {
		return 0, err
	}
	status, err := sh.stmts(file.Stmts)
	var ret returnFlow
	if errors.As(err, &ret) {
		return ret.status, nil
	}
	return status, sh.locate(err)
}

// exec runs a command in place of the shell.
func (sh *shell) exec(args []string) (int, error) {
	if len(args) == 1 {
		return 0, nil
	}
	if strings.HasPrefix(args[1], "-") {
		return 0, sh.unknown("has the option %.20q", args[1])
	}
	status, err := sh.program(args[1:])
	if err != nil {
		return 0, err
	}
	sh.exitTrap = ""
	return status, exitFlow{status}
}

func (sh *shell) cd(args []string) (int, error) {
	if len(args) == 2 && args[1] == "-" || len(args) != 2 {
		return 0, sh.unknown("has operands that are not modelled")
	}
	at, e, err := sh.m.tree.Stat(sh.abs(args[1]))
	if e2 := known(err); e2 != nil {
		return 0, e2
	}
	if cdpath, _ := sh.get("CDPATH"); cdpath != "" {
		return 0, sh.unknown("uses CDPATH")
	}
	if err != nil || !e.IsDir() {
		return 2, sh.complain("cd: can't cd to %s", args[1])
	}
	if at == "." {
		at = ""
	}
	old := sh.dir
	// The shell's own idea of its directory keeps symbolic links; only pwd without -P would tell.
	sh.dir = "/" + at
	sh.vars["OLDPWD"] = variable{value: old, exported: true}
	sh.vars["PWD"] = variable{value: sh.dir, exported: true}
	return 0, nil
}

func (sh *shell) pwd(args []string) (int, error) {
	if len(args) > 1 && args[1] != "-P" {
		return 0, sh.unknown("has operands that are not modelled")
	}
	return 0, sh.print(1, sh.dir+"\n")
}

func (sh *shell) commandBuiltin(args []string) (int, error) {
	if len(args) == 1 {
		return 0, nil
	}
	if args[1] != "-v" && args[1] != "-V" {
		if strings.HasPrefix(args[1], "-") {
			return 0, sh.unknown("has the option %.20q", args[1])
		}
		if b, ok := sh.m.builtins[args[1]]; ok {
			return b(sh, args[1:])
		}
		return sh.program(args[1:])
	}
	status := 0
	for _, name := range args[2:] {
		found, err := sh.whereIs(name)
		if err != nil {
			return 0, err
		}
		if found == "" {
			status = 127
			continue
		}
		if err := sh.print(1, found+"\n"); err != nil {
			return 0, err
		}
	}
	if status != 0 && sh.flavor == bash {
		status = 1
	}
	return status, nil
}

// whereIs tells what a name would run.
func (sh *shell) whereIs(name string) (string, error) {
	_, isFunc := sh.funcs[name]
	_, isBuiltin := sh.m.builtins[name]
	if isFunc || isBuiltin {
		return name, nil
	}
	p, found, err := sh.find(name)
	if !found || err != nil {
		return "", err
	}
	return p.Path, nil
}

func (sh *shell) typeBuiltin(args []string) (int, error) {
	status := 0
	for _, name := range args[1:] {
		if strings.HasPrefix(name, "-") {
			return 0, sh.unknown("has the option %.20q", name)
		}
		found, err := sh.whereIs(name)
		switch {
		case err != nil:
			return 0, err
		case found == "":
			status = 127
			if sh.flavor == bash {
				status = 1
			}
			err = sh.print(1, name+": not found\n")
		default:
			err = sh.print(1, fmt.Sprintf("%s is %s\n", name, found))
		}
		if err != nil {
			return 0, err
		}
	}
	return status, nil
}

// trap keeps what is to run at the end. Signals never come.
func (sh *shell) trap(args []string) (int, error) {
	if len(args) > 1 && args[1] == "--" {
		args = slices.Delete(slices.Clone(args), 1, 2)
	}
	if len(args) < 2 {
		return 0, sh.unknown("lists its traps")
	}
	action, signals := args[1], args[2:]
	if len(signals) == 0 {
		action, signals = "-", args[1:]
	}
	for _, s := range signals {
		switch strings.TrimPrefix(s, "SIG") {
		case "0", "EXIT":
			sh.exitTrap = action
			if action == "-" {
				sh.exitTrap = ""
			}
		case "ERR", "DEBUG", "RETURN":
			return 0, sh.unknown("sets a trap for %s", s)
		}
	}
	return 0, nil
}

func (sh *shell) umaskBuiltin(args []string) (int, error) {
	if len(args) == 1 {
		return 0, sh.print(1, fmt.Sprintf("%04o\n", sh.umask))
	}
	n, err := strconv.ParseInt(args[1], 8, 64)
	if err != nil || n < 0 || n > 0o777 || len(args) > 2 {
		return 0, sh.unknown("has the mask %.20q", args[1])
	}
	sh.umask = n
	return 0, nil
}

func (sh *shell) getopts(args []string) (int, error) {
	if len(args) < 3 {
		return 0, sh.unknown("has too few operands")
	}
	params := sh.params
	if len(args) > 3 {
		params = args[3:]
	}
	i := sh.optind
	if i > len(params) || !strings.HasPrefix(params[i-1], "-") || params[i-1] == "-" {
		return 1, sh.set(args[2], "?")
	}
	word := params[i-1]
	if word == "--" {
		if err := sh.set("OPTIND", strconv.Itoa(i+1)); err != nil {
			return 0, err
		}
		return 1, sh.set(args[2], "?")
	}
	at := strings.IndexByte(strings.TrimPrefix(args[1], ":"), word[1])
	if len(word) != 2 || at < 0 || word[1] == ':' {
		return 0, sh.unknown("reads the option %.20q", word)
	}
	i++
	if spec := strings.TrimPrefix(args[1], ":"); at+1 < len(spec) && spec[at+1] == ':' {
		if i > len(params) {
			return 0, sh.unknown("reads the option %.20q", word)
		}
		if err := sh.set("OPTARG", params[i-1]); err != nil {
			return 0, err
		}
		i++
	}
	if i == sh.optind+1 {
		if err := sh.set("OPTARG", ""); err != nil {
			return 0, err
		}
	}
	if err := sh.set("OPTIND", strconv.Itoa(i)); err != nil {
		return 0, err
	}
	return 0, sh.set(args[2], word[1:])
}
