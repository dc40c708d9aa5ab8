package posix

import (
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
)

// ls lists names, one a line as where the output is no terminal.
func ls(p *script.Process) (int, error) {
	opts, args, err := p.Options("1 d a A L U")
	if err != nil {
		return 0, err
	}
	if len(args) == 0 {
		args = []string{"."}
	}
	status := 0
	var files []string
	var dirs []string
	for _, arg := range args {
		_, e, err := p.Tree().Stat(p.Abs(arg))
		if err != nil && passed(err) == nil && !script.Has(opts, "L") {
			_, e, err = p.Tree().Lstat(p.Abs(arg))
		}
		switch {
		case err != nil:
			if status, err = p.FailFile(2, "cannot access "+arg, err); err != nil {
				return 0, err
			}
		case e.IsDir() && !script.Has(opts, "d"):
			dirs = append(dirs, arg)
		default:
			files = append(files, arg)
		}
	}
	if len(dirs) > 1 || len(dirs) > 0 && len(files) > 0 || script.Has(opts, "a") {
		return 0, p.Unknownf("lists several directories")
	}
	if !script.Has(opts, "U") {
		slices.Sort(files)
	}
	if err := printLines(p, files); err != nil {
		return 0, err
	}
	for _, dir := range dirs {
		names, err := p.Tree().ReadDir(p.Abs(dir))
		if err != nil {
			return 0, err
		}
		for _, name := range names {
			if strings.HasPrefix(name, ".") && !script.Has(opts, "A") {
				continue
			}
			if err := p.Print(name + "\n"); err != nil {
				return 0, err
			}
		}
	}
	return status, nil
}

// getopt is util-linux's getopt(1): it sorts the options of a script before its operands and quotes all.
func getopt(p *script.Process) (int, error) {
	args := p.Args[1:]
	short, at := "", -1
	var longs []string
	alternative := false // long options may begin with a single dash
	for i := 0; i < len(args) && at < 0; i++ {
		switch arg := args[i]; {
		case arg == "--":
			at = i + 1
		case (arg == "-o" || arg == "--options") && i+1 < len(args):
			i++
			short = args[i]
		case (arg == "-l" || arg == "--long" || arg == "--longoptions") && i+1 < len(args):
			i++
			longs = append(longs, strings.Split(args[i], ",")...)
		case strings.HasPrefix(arg, "--long="):
			longs = append(longs, strings.Split(arg[7:], ",")...)
		case (arg == "-n" || arg == "--name") && i+1 < len(args):
			i++
		case arg == "-a" || arg == "--alternative":
			alternative = true
		default:
			return 0, p.Unknownf("has operands that are not modelled")
		}
	}
	if at < 0 || strings.ContainsAny(short, "+-") {
		return 0, p.Unknownf("has operands that are not modelled")
	}
	for _, arg := range args[at:] {
		if alternative && len(arg) > 2 && arg[0] == '-' && arg[1] != '-' {
			return 0, p.Unknownf("reads the option %.20q", arg)
		}
	}
	spec := optionSpec(short, longs)
	inner := *p
	inner.Args = append([]string{p.Args[0]}, args[at:]...)
	found, operands, err := inner.Options(strings.Join(spec, " "))
	if err != nil {
		return 0, err
	}
	var b strings.Builder
	for _, o := range found {
		if len(o.Name) == 1 {
			b.WriteString(" -" + o.Name)
		} else {
			b.WriteString(" --" + o.Name)
		}
		for _, s := range spec {
			if s == o.Name+":" || s == o.Name+"=" {
				b.WriteString(" " + quoted(o.Value))
			}
		}
	}
	b.WriteString(" --")
	for _, operand := range operands {
		b.WriteString(" " + quoted(operand))
	}
	return 0, p.Print(b.String() + "\n")
}

// optionSpec spells getopt's options as Process.Options reads them.
func optionSpec(short string, longs []string) []string {
	var spec []string
	for i, c := range short {
		switch rest := short[i+1:]; {
		case c == ':':
		case strings.HasPrefix(rest, "::"):
			spec = append(spec, string(c)+"=")
		case strings.HasPrefix(rest, ":"):
			spec = append(spec, string(c)+":")
		default:
			spec = append(spec, string(c))
		}
	}
	for _, l := range longs {
		if name, optional := strings.CutSuffix(l, "::"); optional {
			l = name + "="
		}
		spec = append(spec, l)
	}
	return spec
}

func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
