package maintscript

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// Script is one maintainer script and whose it is.
type Script struct {
	// Name is "preinst", "postinst", "prerm" or "postrm".
	Name string
	// Package and Arch name the package.
	Package, Arch string
	Content       []byte
}

// Verdict says whether a script is known to change nothing.
type Verdict struct {
	Inert bool
	// Why names the script, line and command that may change something: "postinst line 12: update-alternatives".
	Why string
}

// Root is the tree in which the script would run. Paths are absolute.
type Root interface {
	// Stat describes what a path leads to, all links followed, Lstat the path itself. They return false if nothing is
	// there.
	Stat(path string) (File, bool)
	Lstat(path string) (File, bool)
	// ReadFile returns the content of a small file, links followed.
	ReadFile(path string) ([]byte, error)
}

// File is what a script can find out about a file without reading it.
type File struct {
	fs.FileMode
	UID, GID int
}

// Bounds of a proof.
const (
	maxScript   = 1 << 20 // bytes
	maxSteps    = 10_000  // commands
	programCost = 10      // steps that a program counts for, which has to look at the tree
	maxDepth    = 30      // of function calls
	maxValue    = 1 << 16 // bytes of an expansion
	maxPattern  = 1 << 12 // bytes of a pattern, and of what is matched with it
)

// Check tells whether a script called with these arguments would change anything in root.
func Check(s Script, args []string, root Root) Verdict {
	err := prove(s, args, root)
	if err == nil {
		return Verdict{Inert: true}
	}
	return Verdict{Why: s.Name + " " + err.Error()}
}

func prove(s Script, args []string, root Root) error {
	if len(s.Content) > maxScript {
		return fmt.Errorf("has %d bytes", len(s.Content))
	}
	first, _, _ := bytes.Cut(s.Content, []byte{'\n'})
	variant, errexit, err := shebang(string(first))
	if err != nil {
		return err
	}
	file, err := syntax.NewParser(syntax.Variant(variant)).Parse(bytes.NewReader(s.Content), "")
	if err != nil {
		return fmt.Errorf("cannot be read: %w", err)
	}
	e := &evaluator{
		script: s, bash: variant == syntax.LangBash, root: root, args: args, funcs: make(map[string]*syntax.FuncDecl), errexit: errexit,
		vars: map[string]string{
			"DPKG_MAINTSCRIPT_NAME": s.Name, "DPKG_MAINTSCRIPT_PACKAGE": s.Package, "DPKG_MAINTSCRIPT_ARCH": s.Arch,
			"DPKG_ROOT": "", "PATH": strings.Join(searchPath, ":"),
		},
		unknown: make(map[string]bool),
	}
	for _, name := range environment {
		e.unknown[name] = true
	}
	status, err := e.stmts(file.Stmts)
	var exit exitFlow
	if errors.As(err, &exit) {
		status, err = exit.status, nil
	}
	if err != nil {
		return err
	}
	if status != 0 {
		return fmt.Errorf("fails with status %d", status)
	}
	return nil
}

// environment are variables that a script may find set, to what depends on where it runs. All others that it does not set
// itself are taken for unset.
var environment = []string{
	"DPKG_ADMINDIR", "DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT", "DPKG_MAINTSCRIPT_DEBUG", "DPKG_RUNNING_VERSION", "DPKG_FORCE",
	"DEBIAN_FRONTEND", "DEBIAN_PRIORITY", "DEBIAN_HAS_FRONTEND", "DEBCONF_FRONTEND", "DEBCONF_RECONFIGURE", "HOME", "USER",
	"LOGNAME", "SHELL", "TERM", "LANG", "LANGUAGE", "LC_ALL", "TZ", "PWD", "OLDPWD", "IFS", "HOSTNAME", "SUDO_USER", "UID", "EUID",
	"PPID", "RANDOM", "LINENO", "SECONDS",
}

// shebang tells by a script's first line which shell would run it.
func shebang(line string) (variant syntax.LangVariant, errexit bool, err error) {
	words := strings.Fields(strings.TrimPrefix(line, "#!"))
	if !strings.HasPrefix(line, "#!") || len(words) == 0 {
		return 0, false, fmt.Errorf("line 1: no shell script but %.40q", line)
	}
	switch words[0] {
	case "/bin/sh", "/bin/dash", "/usr/bin/sh", "/usr/bin/dash":
		variant = syntax.LangPOSIX
	case "/bin/bash", "/usr/bin/bash":
		variant = syntax.LangBash
	default:
		return 0, false, fmt.Errorf("line 1: runs in %.40q", words[0])
	}
	for _, option := range words[1:] {
		if option != "-e" {
			return 0, false, fmt.Errorf("line 1: shell option %.40q", option)
		}
		errexit = true
	}
	return variant, errexit, nil
}

// refusal ends a proof: a command may change something, or its effect is not known.
type refusal struct {
	line uint
	what string
}

func (r refusal) Error() string { return fmt.Sprintf("line %d: %s", r.line, r.what) }

func refuse(at syntax.Node, format string, args ...any) error {
	return refusal{line: at.Pos().Line(), what: fmt.Sprintf(format, args...)}
}

// exitFlow and returnFlow carry the exit and return commands to where they lead.
type exitFlow struct{ status int }

func (exitFlow) Error() string { return "exit" }

type returnFlow struct{ status int }

func (returnFlow) Error() string { return "return" }
