package maintscript

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// searchPath is where dpkg looks for commands.
var searchPath = []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}

// notFound is the shell's status for a command that does not exist.
const notFound = 127

// call follows a simple command.
func (e *evaluator) call(c *syntax.CallExpr) (int, error) {
	if e.steps++; e.steps > maxSteps {
		return 0, refuse(c, "takes more than %d steps", maxSteps)
	}
	e.substituted = 0
	args, err := e.fields(c.Args)
	if err == nil && len(args) == 0 {
		// What such a command returns is the status of its last command substitution.
		err = e.assignments(c.Assigns)
		delete(e.unknown, "?")
		return e.substituted, err
	}
	if err != nil {
		return 0, err
	}
	if e.unknown["?"] && len(args) == 1 && (args[0] == "exit" || args[0] == "return") {
		return 0, refuse(c, "%s: the status of the last command is not known", source(c))
	}
	delete(e.unknown, "?")
	if len(c.Assigns) > 0 && args[0] != "invoke-rc.d" {
		return 0, refuse(c, "environment of %s", source(c))
	}
	if f, ok := e.funcs[args[0]]; ok {
		return e.callFunction(f, args[1:])
	}
	return e.run(c, args)
}

// run follows a command that is no function of the script: the shell's own, or a program of the image.
func (e *evaluator) run(c *syntax.CallExpr, args []string) (int, error) {
	name, args := args[0], args[1:]
	if status, ok, err := e.builtin(c, name, args); ok || err != nil {
		return status, err
	}
	if strings.HasPrefix(name, "db_") {
		return e.debconf(c, name)
	}
	e.steps += programCost
	if isBuiltin(name) || isMounted(name) {
		return 0, refuse(c, "%s", source(c))
	}
	p, found := e.find(name)
	if !found {
		return notFound, nil
	}
	model, ok := programs[path.Base(p)]
	if !ok || !isKnown(p) {
		return 0, refuse(c, "%s", source(c))
	}
	status, known := model(e, args)
	if !known {
		return 0, refuse(c, "%s", source(c))
	}
	return status, nil
}

// builtin follows the shell's own commands, and those that print without having any other effect.
func (e *evaluator) builtin(c *syntax.CallExpr, name string, args []string) (status int, ok bool, err error) {
	switch name {
	case ":", "true", "echo", "printf", "umask": // no file is made that a mask could matter for
		if name == "printf" && len(args) > 0 && strings.HasPrefix(args[0], "-") {
			return 0, true, refuse(c, "%s", source(c))
		}
		return 0, true, nil
	case "false":
		return 1, true, nil
	case "[", "test":
		status, err = e.test(c, name, args)
		return status, true, err
	case "exit", "return":
		return 0, true, e.leave(c, name, args)
	case "shift":
		return e.shift(args), true, nil
	case "set":
		return 0, true, e.set(c, args)
	case "local", "export", "readonly":
		return 0, true, e.declareWords(c, name, args)
	case "unset":
		return 0, true, e.unset(c, args)
	case "command":
		if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
			status, err = e.run(c, args)
			return status, true, err
		}
		fallthrough
	case "type":
		status, err = e.which(c, args)
		return status, true, err
	case "which":
		p, found := e.find(name)
		if !found {
			return notFound, true, nil
		}
		if !isKnown(p) {
			return 0, true, refuse(c, "%s", source(c))
		}
		status, err = e.which(c, args)
		return status, true, err
	case ".":
		// debconf's shell library: its questions are asked below. Any other file could do anything.
		if len(args) > 0 && args[0] == "/usr/share/debconf/confmodule" {
			return 0, true, nil
		}
		return 0, true, refuse(c, "%s", source(c))
	}
	return 0, false, nil
}

// specialBuiltins cannot be hidden by functions; otherBuiltins are commands of dash or bash that need no program either.
var (
	specialBuiltins = []string{
		":", ".", "break", "continue", "eval", "exec", "exit", "export", "readonly", "return", "set", "shift", "source", "times",
		"trap", "unset",
	}
	otherBuiltins = []string{
		"[", "alias", "bg", "bind", "builtin", "caller", "cd", "chdir", "command", "compgen", "complete", "compopt", "declare", "dirs",
		"disown", "echo", "enable", "false", "fc", "fg", "getopts", "hash", "help", "history", "jobs", "kill", "let", "local", "logout",
		"mapfile", "popd", "printf", "pushd", "pwd", "read", "readarray", "shopt", "suspend", "test", "true", "type", "typeset",
		"ulimit", "umask", "unalias", "wait",
	}
)

func isSpecial(name string) bool { return slices.Contains(specialBuiltins, name) }

func isBuiltin(name string) bool { return isSpecial(name) || slices.Contains(otherBuiltins, name) }

// isKnown tells whether a program is at a place where packages of the distribution have theirs: one elsewhere may have
// the same name and do anything.
func isKnown(p string) bool {
	return path.Clean(p) == p && slices.Contains(searchPath, path.Dir(p)) && !strings.HasPrefix(p, "/usr/local/")
}

// leave handles exit and return.
func (e *evaluator) leave(c *syntax.CallExpr, name string, args []string) error {
	status := e.last
	if len(args) > 0 {
		var err error
		if status, err = strconv.Atoi(args[0]); err != nil {
			return refuse(c, "%s", source(c))
		}
	}
	if name == "exit" || e.depth == 0 {
		return exitFlow{status}
	}
	return returnFlow{status}
}

func (e *evaluator) shift(args []string) int {
	n := 1
	if len(args) > 0 {
		n, _ = strconv.Atoi(args[0])
	}
	if n < 0 || n > len(e.args) {
		return 1
	}
	e.args = e.args[n:]
	return 0
}

func (e *evaluator) set(c *syntax.CallExpr, args []string) error {
	for i, a := range args {
		switch a {
		case "--":
			e.args = args[i+1:]
			return nil
		case "-e", "-eu", "-ue", "-u", "+e", "+u":
			on := a[0] == '-'
			if strings.Contains(a, "e") {
				e.errexit = on
			}
			if strings.Contains(a, "u") {
				e.nounset = on
			}
		default:
			return refuse(c, "%s", source(c))
		}
	}
	return nil
}

// which tells whether commands exist: command -v, which, type.
func (e *evaluator) which(c *syntax.CallExpr, args []string) (int, error) {
	if len(args) > 0 && args[0] == "-v" {
		args = args[1:]
	}
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return 0, refuse(c, "%s", source(c))
	}
	for _, name := range args {
		if !e.exists(name) {
			return 1, nil
		}
	}
	return 0, nil
}

// exists tells whether the script could call a command.
func (e *evaluator) exists(name string) bool {
	if _, ok := e.funcs[name]; ok {
		return true
	}
	_, found := e.find(name)
	return found || isBuiltin(name)
}

// find gives the path of a program.
func (e *evaluator) find(name string) (string, bool) {
	if strings.Contains(name, "/") {
		return name, e.executable(name)
	}
	for _, dir := range searchPath {
		if p := path.Join(dir, name); e.executable(p) {
			return p, true
		}
	}
	return "", false
}

func (e *evaluator) executable(p string) bool {
	mode, ok := e.root.Stat(p)
	return ok && mode.IsRegular() && mode.Perm()&0o111 != 0
}

// debconf follows the shell library's commands. Questions were asked when the package was installed, and without a
// person to answer the answers stay; debconf's own database is not kept up to date, it is rebuilt from the packages'
// templates whenever it is needed. Answers are not known here.
func (e *evaluator) debconf(c *syntax.CallExpr, name string) (int, error) {
	if e.tested > 0 && e.anyStatus != c {
		return 0, refuse(c, "the status of %s is not known", source(c))
	}
	e.unknown["?"] = true
	switch name {
	case "db_version", "db_capb", "db_stop", "db_title", "db_settitle", "db_info", "db_beginblock", "db_endblock",
		"db_input", "db_go", "db_subst", "db_purge", "db_unregister", "db_get", "db_fget", "db_metaget":
		e.unknown["RET"] = true
		return 0, nil
	}
	return 0, refuse(c, "%s", source(c))
}
