package script

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"strconv"
	"syscall"

	"mvdan.cc/sh/v3/syntax"
)

// redirect applies one redirection. A status that is not 0 says that it failed and was complained about.
func (sh *shell) redirect(r *syntax.Redirect) (int, error) {
	fd := 1
	switch r.Op {
	case syntax.RdrIn, syntax.DplIn, syntax.Hdoc, syntax.DashHdoc, syntax.WordHdoc, syntax.RdrInOut:
		fd = 0
	}
	if r.N != nil {
		n, err := strconv.Atoi(r.N.Value)
		if err != nil || n > 9 {
			return 0, sh.unknown("redirects %s", r.N.Value)
		}
		fd = n
	}
	switch r.Op {
	case syntax.Hdoc, syntax.DashHdoc:
		text, err := sh.hereDocument(r)
		sh.fds[fd] = &stream{bytes.NewReader([]byte(text))}
		return 0, err
	}
	word, err := sh.single(r.Word)
	if err != nil {
		return 0, err
	}
	switch r.Op {
	case syntax.WordHdoc:
		sh.fds[fd] = &stream{bytes.NewReader([]byte(word + "\n"))}
	case syntax.DplIn, syntax.DplOut:
		return sh.duplicate(fd, word)
	case syntax.RdrIn:
		return sh.openInput(fd, word)
	case syntax.RdrOut, syntax.RdrClob:
		return sh.openOutput(word, Truncate, fd)
	case syntax.AppOut:
		return sh.openOutput(word, Append, fd)
	case syntax.RdrAll:
		return sh.openOutput(word, Truncate, 1, 2)
	case syntax.AppAll:
		return sh.openOutput(word, Append, 1, 2)
	default:
		return 0, sh.unknown("redirects with %s", r.Op)
	}
	return 0, nil
}

// duplicate makes one file descriptor the same as another.
func (sh *shell) duplicate(fd int, word string) (int, error) {
	if word == "-" {
		delete(sh.fds, fd)
		return 0, nil
	}
	from, err := strconv.Atoi(word)
	if err != nil {
		return 0, sh.unknown("redirects to the file descriptor %.20q", word)
	}
	f, ok := sh.fds[from]
	if !ok {
		return 2, sh.complain("%d: Bad file descriptor", from)
	}
	sh.fds[fd] = f
	return 0, nil
}

func (sh *shell) openInput(fd int, name string) (int, error) {
	if sh.abs(name) == "/dev/null" {
		sh.fds[fd] = &stream{bytes.NewReader(nil)}
		return 0, nil
	}
	data, err := sh.m.tree.ReadFile(sh.abs(name))
	if err != nil {
		return sh.openFailed(name, err)
	}
	if err := sh.m.spend(len(data)); err != nil {
		return 0, err
	}
	sh.fds[fd] = &stream{bytes.NewReader(data)}
	return 0, nil
}

func (sh *shell) openOutput(name string, how int, fds ...int) (int, error) {
	var w io.Writer
	switch at := sh.abs(name); at {
	case "/dev/null":
		w = io.Discard
	case "/dev/stdout", "/dev/fd/1":
		return sh.duplicate(fds[0], "1")
	case "/dev/stderr", "/dev/fd/2":
		return sh.duplicate(fds[0], "2")
	default:
		f, err := sh.m.tree.Create(at, how, 0o666&^sh.umask)
		if err != nil {
			return sh.openFailed(name, err)
		}
		w = f
	}
	for _, fd := range fds {
		sh.fds[fd] = w
	}
	return 0, nil
}

// openFailed complains about a file that cannot be opened.
func (sh *shell) openFailed(name string, err error) (int, error) {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return 0, err
	}
	status := 2
	if sh.flavor != dash {
		status = 1
	}
	reason := errno.Error()
	if errors.Is(err, fs.ErrNotExist) {
		reason = "No such file"
	}
	sh.m.failed.line, sh.m.failed.command = sh.line, "redirection to "+short([]string{name})
	return status, sh.complain("cannot open %s: %s", name, reason)
}

// abs makes a path absolute, without cleaning it: ".." after a symbolic link is the tree's to follow.
func (sh *shell) abs(p string) string {
	if p == "" || p[0] == '/' {
		return p
	}
	return sh.dir + "/" + p
}
