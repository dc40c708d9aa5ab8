package posix

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
)

func basename(p *script.Process) (int, error) {
	opts, args, err := p.Options("+ s: suffix: a multiple z zero")
	if err != nil {
		return 0, err
	}
	suffix, many := "", false
	for _, o := range opts {
		switch o.Name {
		case "s", "suffix":
			suffix, many = o.Value, true
		case "a", "multiple":
			many = true
		default:
			return 0, p.Unknownf("has the option -%s, which is not modelled", o.Name)
		}
	}
	switch {
	case len(args) == 0:
		return p.Fail(1, "missing operand")
	case !many && len(args) > 2:
		return p.Fail(1, "extra operand")
	case !many && len(args) == 2:
		suffix, args = args[1], args[:1]
	}
	for _, arg := range args {
		name := lastName(arg)
		if name != suffix {
			name = strings.TrimSuffix(name, suffix)
		}
		if err := p.Print(name + "\n"); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

func lastName(arg string) string {
	trimmed := strings.TrimRight(arg, "/")
	if trimmed == "" && arg != "" {
		return "/"
	}
	return trimmed[strings.LastIndexByte(trimmed, '/')+1:]
}

func dirname(p *script.Process) (int, error) {
	_, args, err := p.Options("+")
	if err != nil {
		return 0, err
	}
	if len(args) == 0 {
		return p.Fail(1, "missing operand")
	}
	for _, arg := range args {
		if err := p.Print(dirOf(arg) + "\n"); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

func dirOf(arg string) string {
	trimmed := strings.TrimRight(arg, "/")
	if trimmed == "" && arg != "" {
		return "/"
	}
	i := strings.LastIndexByte(trimmed, '/')
	if i < 0 {
		return "."
	}
	if dir := strings.TrimRight(trimmed[:i], "/"); dir != "" {
		return dir
	}
	return "/"
}

// readlink prints a link's target; with -f, -e or -m the path that it leads to in the end.
func readlink(p *script.Process) (int, error) {
	opts, args, err := p.Options("f e m n q s canonicalize canonicalize-existing canonicalize-missing no-newline quiet silent")
	if err != nil {
		return 0, err
	}
	if len(args) == 0 {
		return p.Fail(1, "missing operand")
	}
	newline := "\n"
	if script.Has(opts, "n", "no-newline") && len(args) == 1 {
		newline = ""
	}
	mode := ""
	for _, o := range opts {
		switch o.Name {
		case "f", "canonicalize":
			mode = "f"
		case "e", "canonicalize-existing":
			mode = "e"
		case "m", "canonicalize-missing":
			mode = "m"
		}
	}
	status := 0
	for _, arg := range args {
		target, err := resolve(p, arg, mode)
		if err != nil {
			if e := passed(err); e != nil {
				return 0, e
			}
			status = 1
			continue
		}
		if err := p.Print(target + newline); err != nil {
			return 0, err
		}
	}
	return status, nil
}

func realpath(p *script.Process) (int, error) {
	opts, args, err := p.Options("e m q s canonicalize-existing canonicalize-missing quiet no-symlinks")
	if err != nil {
		return 0, err
	}
	if script.Has(opts, "s", "no-symlinks") {
		if !script.Has(opts, "m", "canonicalize-missing") {
			return 0, p.Unknownf("has the option -s, which is not modelled")
		}
		for _, arg := range args {
			if err := p.Print(path.Clean(p.Abs(arg)) + "\n"); err != nil {
				return 0, err
			}
		}
		return 0, nil
	}
	mode := "f"
	if script.Has(opts, "e", "canonicalize-existing") {
		mode = "e"
	}
	if script.Has(opts, "m", "canonicalize-missing") {
		mode = "m"
	}
	status := 0
	for _, arg := range args {
		target, err := resolve(p, arg, mode)
		if err != nil {
			if e := passed(err); e != nil {
				return 0, e
			}
			if _, err := p.Fail(1, "%s: No such file or directory", arg); err != nil {
				return 0, err
			}
			status = 1
			continue
		}
		if err := p.Print(target + "\n"); err != nil {
			return 0, err
		}
	}
	return status, nil
}

// resolve follows a path: the link alone if mode is empty, else to its end, of which with mode f the last component
// need not exist and with mode e must.
func resolve(p *script.Process, arg, mode string) (string, error) {
	t := p.Tree()
	switch mode {
	case "":
		return t.Readlink(p.Abs(arg))
	case "m":
		at, err := t.Resolve(p.Abs(arg), true)
		if err != nil {
			return "", p.Unknownf("resolves %s, of which directories are missing", arg)
		}
		return rooted(at), nil
	case "e":
		if _, _, err := t.Stat(p.Abs(arg)); err != nil {
			return "", err
		}
	}
	if arg == "" {
		return "", fs.ErrNotExist
	}
	at, err := t.Resolve(p.Abs(arg), true)
	return rooted(at), err
}

func rooted(at string) string {
	if at == "." {
		return "/"
	}
	return "/" + at
}

// passed returns errors about what is unknown, and nil for those that a program would complain about.
func passed(err error) error {
	var unknown *script.UnknownError
	if errors.As(err, &unknown) {
		return unknown
	}
	return nil
}

// which prints where programs are, as debianutils' does.
func which(p *script.Process) (int, error) {
	opts, args, err := p.Options("a s")
	if err != nil {
		return 0, err
	}
	if script.Has(opts, "a") {
		return 0, p.Unknownf("has the option -a, which is not modelled")
	}
	status := 0
	if len(args) == 0 {
		status = 1
	}
	for _, arg := range args {
		f, ok, err := p.Find(arg)
		switch {
		case err != nil:
			return 0, err
		case !ok:
			status = 1
		case !script.Has(opts, "s"):
			if err := p.Print(f.Path + "\n"); err != nil {
				return 0, err
			}
		}
	}
	return status, nil
}
