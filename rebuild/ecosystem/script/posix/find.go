package posix

import (
	"archive/tar"
	"path"
	"regexp"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/pattern"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
	"github.com/nanopatch/nanopatch/rebuild/layer"
)

// finder is one run of find.
type finder struct {
	p        *script.Process
	args     []string
	min, max int
	depth    bool
	follow   bool
	acts     bool
	status   int
	// batch collects the files of -exec … +.
	batches []*batch
}

type batch struct {
	args  []string
	files []string
}

// found is one file that is looked at.
type found struct {
	name  string
	entry *layer.Entry
	prune bool
}

// predicate is a part of find's expression.
type predicate func(f *found) (bool, error)

func find(p *script.Process) (int, error) {
	f := &finder{p: p, max: 1 << 30}
	args := p.Args[1:]
	for len(args) > 0 && (args[0] == "-H" || args[0] == "-P" || args[0] == "-L") {
		f.follow = args[0] == "-L"
		if args[0] == "-H" {
			return 0, p.Unknownf("has the option -H, which is not modelled")
		}
		args = args[1:]
	}
	var starts []string
	for len(args) > 0 && !strings.HasPrefix(args[0], "-") && args[0] != "(" && args[0] != "!" {
		starts, args = append(starts, args[0]), args[1:]
	}
	if len(starts) == 0 {
		starts = []string{"."}
	}
	f.args = args
	expr, err := f.or()
	if err != nil {
		return 0, err
	}
	if len(f.args) > 0 {
		return 0, p.Unknownf("has the predicate %.20q, which is not modelled", f.args[0])
	}
	for _, start := range starts {
		if err := f.walk(start, 0, expr); err != nil {
			return 0, err
		}
	}
	for _, b := range f.batches {
		if len(b.files) == 0 {
			continue
		}
		status, err := p.Run(append(b.args[:len(b.args):len(b.args)], b.files...))
		if err != nil {
			return 0, err
		}
		if status != 0 {
			f.status = 1
		}
	}
	return f.status, nil
}

func (f *finder) walk(name string, depth int, expr predicate) error {
	if err := f.p.Step(); err != nil {
		return err
	}
	stat := f.p.Tree().Lstat
	if f.follow {
		stat = f.p.Tree().Stat
	}
	_, e, err := stat(f.p.Abs(name))
	if err != nil && f.follow && passed(err) == nil {
		_, e, err = f.p.Tree().Lstat(f.p.Abs(name))
	}
	if err != nil {
		f.status, err = f.p.FailFile(1, name, err)
		return err
	}
	it := &found{name: name, entry: e}
	visit := func() error {
		if depth < f.min {
			return nil
		}
		yes, err := expr(it)
		if err == nil && yes && !f.acts {
			err = f.p.Print(name + "\n")
		}
		return err
	}
	if !f.depth {
		if err := visit(); err != nil {
			return err
		}
	}
	if e.IsDir() && !it.prune && depth < f.max {
		names, err := f.p.Tree().ReadDir(f.p.Abs(name))
		if err != nil {
			return err
		}
		for _, child := range names {
			if err := f.walk(strings.TrimSuffix(name, "/")+"/"+child, depth+1, expr); err != nil {
				return err
			}
		}
	}
	if f.depth {
		return visit()
	}
	return nil
}

func (f *finder) or() (predicate, error) {
	left, err := f.and()
	for err == nil && len(f.args) > 0 && (f.args[0] == "-o" || f.args[0] == "-or") {
		f.args = f.args[1:]
		a := left
		var b predicate
		if b, err = f.and(); err == nil {
			left = func(it *found) (bool, error) {
				if yes, err := a(it); yes || err != nil {
					return yes, err
				}
				return b(it)
			}
		}
	}
	return left, err
}

func (f *finder) and() (predicate, error) {
	all := func(*found) (bool, error) { return true, nil }
	for len(f.args) > 0 && f.args[0] != "-o" && f.args[0] != "-or" && f.args[0] != ")" {
		if f.args[0] == "-a" || f.args[0] == "-and" {
			f.args = f.args[1:]
			continue
		}
		a := all
		b, err := f.primary()
		if err != nil {
			return nil, err
		}
		all = func(it *found) (bool, error) {
			if yes, err := a(it); !yes || err != nil {
				return false, err
			}
			return b(it)
		}
	}
	return all, nil
}

func (f *finder) primary() (predicate, error) {
	op := f.args[0]
	f.args = f.args[1:]
	switch op {
	case "!", "-not":
		if len(f.args) == 0 {
			return nil, f.unknown(op)
		}
		x, err := f.primary()
		return func(it *found) (bool, error) { yes, err := x(it); return !yes, err }, err
	case "(":
		x, err := f.or()
		if err != nil || len(f.args) == 0 {
			return nil, f.unknown(op)
		}
		f.args = f.args[1:]
		return x, nil
	case "-print", "-print0":
		f.acts = true
		end := map[string]string{"-print": "\n", "-print0": "\x00"}[op]
		return func(it *found) (bool, error) { return true, f.p.Print(it.name + end) }, nil
	case "-prune":
		return func(it *found) (bool, error) { it.prune = true; return true, nil }, nil
	case "-depth":
		f.depth = true
		return f.yes, nil
	case "-true", "-xdev", "-mount", "-noleaf":
		return f.yes, nil
	case "-empty":
		return f.empty, nil
	case "-delete":
		f.depth, f.acts = true, true
		return func(it *found) (bool, error) {
			err := f.p.Tree().Remove(f.p.Abs(it.name), it.entry.IsDir())
			if err != nil {
				f.status, err = f.p.FailFile(1, it.name, err)
			}
			return err == nil, err
		}, nil
	case "-exec", "-ok", "-execdir":
		return f.exec(op)
	}
	return f.withOperand(op)
}

func (f *finder) yes(*found) (bool, error) { return true, nil }

func (f *finder) unknown(op string) error {
	return f.p.Unknownf("has the predicate %.20q, which is not modelled", op)
}

func (f *finder) empty(it *found) (bool, error) {
	if it.entry.IsDir() {
		names, err := f.p.Tree().ReadDir(f.p.Abs(it.name))
		return len(names) == 0, err
	}
	return it.entry.IsRegular() && it.entry.Size == 0, nil
}

func (f *finder) withOperand(op string) (predicate, error) {
	if len(f.args) == 0 {
		return nil, f.unknown(op)
	}
	arg := f.args[0]
	f.args = f.args[1:]
	switch op {
	case "-maxdepth", "-mindepth":
		n, err := strconv.Atoi(arg)
		if err != nil {
			return nil, f.unknown(op)
		}
		if op == "-maxdepth" {
			f.max = n
		} else {
			f.min = n
		}
		return f.yes, nil
	case "-name", "-iname", "-path", "-wholename":
		mode := pattern.EntireString
		if op == "-iname" {
			mode |= pattern.NoGlobCase
		}
		expr, err := pattern.Regexp(arg, mode)
		if err != nil {
			return nil, f.unknown(op)
		}
		re, err := regexp.Compile(expr)
		if err != nil {
			return nil, f.unknown(op)
		}
		return func(it *found) (bool, error) {
			if op == "-name" || op == "-iname" {
				return re.MatchString(path.Base(it.name)), nil
			}
			return re.MatchString(it.name), nil
		}, nil
	case "-type":
		kinds := map[string]byte{
			"f": tar.TypeReg, "d": tar.TypeDir, "l": tar.TypeSymlink, "c": tar.TypeChar, "b": tar.TypeBlock, "p": tar.TypeFifo, "s": 0,
		}
		kind, ok := kinds[arg]
		if !ok {
			return nil, f.unknown(op)
		}
		return func(it *found) (bool, error) { return it.entry.Type == kind, nil }, nil
	case "-user", "-group", "-uid", "-gid":
		return f.owner(op, arg)
	case "-perm":
		return f.perm(arg)
	case "-printf":
		return f.printf(arg)
	}
	return nil, f.unknown(op)
}

func (f *finder) owner(op, arg string) (predicate, error) {
	user := op == "-user" || op == "-uid"
	var uid, gid int
	var err error
	if user {
		uid, _, err = owners(f.p, arg, "")
	} else {
		_, gid, err = owners(f.p, "", arg)
	}
	return func(it *found) (bool, error) {
		if user {
			return it.entry.UID == uid, nil
		}
		return it.entry.GID == gid, nil
	}, err
}

// printf prints the name of a file, with or without its directories.
func (f *finder) printf(format string) (predicate, error) {
	f.acts = true
	if rest := strings.NewReplacer("%f", "", "%p", "", `\n`, "", `\0`, "").Replace(format); strings.ContainsAny(rest, `%\`) {
		return nil, f.unknown("-printf")
	}
	return func(it *found) (bool, error) {
		text := strings.NewReplacer("%f", lastName(it.name), "%p", it.name, `\n`, "\n", `\0`, "\x00").Replace(format)
		return true, f.p.Print(text)
	}, nil
}

func (f *finder) perm(arg string) (predicate, error) {
	how := byte(0)
	if arg != "" && (arg[0] == '-' || arg[0] == '/' || arg[0] == '+') {
		how, arg = arg[0], arg[1:]
	}
	mode, err := strconv.ParseInt(arg, 8, 64)
	if err != nil {
		return nil, f.unknown("-perm")
	}
	return func(it *found) (bool, error) {
		switch how {
		case '-':
			return it.entry.Mode&mode == mode, nil
		case '/', '+':
			return it.entry.Mode&mode != 0 || mode == 0, nil
		}
		return it.entry.Mode == mode, nil
	}, nil
}

func (f *finder) exec(op string) (predicate, error) {
	if op != "-exec" {
		return nil, f.unknown(op)
	}
	f.acts = true
	for i, arg := range f.args {
		if arg == ";" {
			args := f.args[:i]
			f.args = f.args[i+1:]
			return func(it *found) (bool, error) {
				full := make([]string, len(args))
				for j, a := range args {
					full[j] = strings.ReplaceAll(a, "{}", it.name)
				}
				status, err := f.p.Run(full)
				return status == 0, err
			}, nil
		}
		if arg == "+" && i > 0 && f.args[i-1] == "{}" {
			b := &batch{args: f.args[:i-1]}
			f.args = f.args[i+1:]
			f.batches = append(f.batches, b)
			return func(it *found) (bool, error) { b.files = append(b.files, it.name); return true, nil }, nil
		}
	}
	return nil, f.unknown(op)
}
