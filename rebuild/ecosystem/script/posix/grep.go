package posix

import (
	"path"
	"regexp"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
)

// grepper is one run of grep.
type grepper struct {
	p                                        *script.Process
	patterns                                 []*regexp.Regexp
	invert, count, quiet, list, only, silent bool
	word, line, names, numbers, recursive    bool
	found, failed                            bool
}

func grep(p *script.Process) (int, error) {
	opts, args, err := p.Options("E F G i y v c q l L o s w x h H n r R e: f: m: P a " +
		"extended-regexp fixed-strings ignore-case invert-match count quiet silent files-with-matches only-matching " +
		"no-messages word-regexp line-regexp no-filename with-filename recursive regexp: file: max-count: color= colour= text")
	if err != nil {
		return 0, err
	}
	has := func(names ...string) bool { return script.Has(opts, names...) }
	g := &grepper{
		p: p, invert: has("v", "invert-match"), count: has("c", "count"), quiet: has("q", "quiet", "silent"),
		list: has("l", "files-with-matches"), only: has("o", "only-matching"), silent: has("s", "no-messages"),
		word: has("w", "word-regexp"), line: has("x", "line-regexp"), numbers: has("n"), recursive: has("r", "R", "recursive"),
	}
	if has("P", "L", "m", "max-count") || has("R") || g.only && g.invert {
		return 0, p.Unknownf("has options that are not modelled")
	}
	var texts []string
	for _, o := range opts {
		switch o.Name {
		case "e", "regexp":
			texts = append(texts, strings.Split(o.Value, "\n")...)
		case "f", "file":
			data, err := p.ReadFile(o.Value)
			if err != nil {
				return p.FailFile(2, o.Value, err)
			}
			texts = append(texts, lines(data)...)
		}
	}
	if !has("e", "f", "regexp", "file") {
		if len(args) == 0 {
			return p.Fail(2, "missing pattern")
		}
		texts, args = strings.Split(args[0], "\n"), args[1:]
	}
	extended := has("E", "extended-regexp") || path.Base(p.Args[0]) == "egrep"
	fixed := has("F", "fixed-strings") || path.Base(p.Args[0]) == "fgrep"
	if err := g.compile(texts, extended, fixed, has("i", "y", "ignore-case")); err != nil {
		return 0, err
	}
	g.names = (len(args) > 1 || g.recursive || has("H", "with-filename")) && !has("h", "no-filename")
	return g.run(args)
}

func (g *grepper) compile(texts []string, extended, fixed, fold bool) error {
	for _, text := range texts {
		if fixed {
			text, extended = regexp.QuoteMeta(text), true
		}
		var re *regexp.Regexp
		var err error
		if fixed {
			if fold {
				text = "(?i)" + text
			}
			re, err = regexp.Compile(text)
		} else {
			re, err = script.Regexp(text, extended, fold)
		}
		if err != nil {
			return err
		}
		if err := g.p.Spend(200 * len(text)); err != nil {
			return err
		}
		g.patterns = append(g.patterns, re)
	}
	return nil
}

func (g *grepper) run(args []string) (int, error) {
	if g.recursive {
		if len(args) == 0 {
			return 0, g.p.Unknownf("searches its directory")
		}
		for _, arg := range args {
			if err := g.tree(arg); err != nil {
				return 0, err
			}
		}
	} else if _, err := eachFileQuiet(g.p, args, g.silent, &g.failed, g.file); err != nil {
		return 0, err
	}
	switch {
	case g.failed && !(g.quiet && g.found):
		return 2, nil
	case g.found:
		return 0, nil
	}
	return 1, nil
}

// eachFileQuiet is eachFile with messages only if they are wanted.
func eachFileQuiet(p *script.Process, names []string, silent bool, failed *bool, f func(string, []byte) error) (int, error) {
	return 0, p.ReadFiles(names, func(name string, data []byte, err error) error {
		if err != nil {
			*failed = true
			if silent {
				return nil
			}
			_, err = p.FailFile(2, name, err)
			return err
		}
		return f(name, data)
	})
}

// tree searches all files below a directory.
func (g *grepper) tree(name string) error {
	if err := g.p.Step(); err != nil {
		return err
	}
	_, e, err := g.p.Tree().Lstat(g.p.Abs(name))
	switch {
	case err != nil:
		g.failed = true
		return passed(err)
	case e.IsDir():
		names, err := g.p.Tree().ReadDir(g.p.Abs(name))
		if err != nil {
			return err
		}
		for _, child := range names {
			if err := g.tree(strings.TrimRight(name, "/") + "/" + child); err != nil {
				return err
			}
		}
		return nil
	case !e.IsRegular():
		return nil
	}
	data, err := g.p.ReadFile(name)
	if err != nil {
		return err
	}
	return g.file(name, data)
}

func (g *grepper) file(name string, data []byte) error {
	if strings.IndexByte(string(data), 0) >= 0 && !g.quiet && !g.list && !g.count {
		return g.p.Unknownf("searches the binary file %s", name)
	}
	prefix := ""
	if g.names {
		prefix = name + ":"
	}
	n := 0
	for i, line := range lines(data) {
		if err := g.p.Spend(len(line) + 1); err != nil {
			return err
		}
		if g.matches(line) == g.invert {
			continue
		}
		n++
		g.found = true
		if g.quiet {
			return nil
		}
		if g.list {
			return g.p.Print(name + "\n")
		}
		if g.count {
			continue
		}
		number := ""
		if g.numbers {
			number = itoa(i+1) + ":"
		}
		if err := g.print(prefix+number, line); err != nil {
			return err
		}
	}
	if g.count && !g.quiet && !g.list {
		return g.p.Printf("%s%d\n", prefix, n)
	}
	return nil
}

func (g *grepper) print(prefix, line string) error {
	if !g.only {
		return g.p.Print(prefix + line + "\n")
	}
	if len(g.patterns) != 1 || g.word || g.line {
		return g.p.Unknownf("prints parts of lines for several patterns")
	}
	for _, m := range g.patterns[0].FindAllString(line, -1) {
		if m == "" {
			continue
		}
		if err := g.p.Print(prefix + m + "\n"); err != nil {
			return err
		}
	}
	return nil
}

func (g *grepper) matches(line string) bool {
	for _, re := range g.patterns {
		switch {
		case g.line:
			if loc := re.FindStringIndex(line); loc != nil && fullMatch(re, line) {
				return true
			}
		case g.word:
			for _, loc := range re.FindAllStringIndex(line, -1) {
				if (loc[0] == 0 || !wordByte(line[loc[0]-1])) && (loc[1] == len(line) || !wordByte(line[loc[1]])) {
					return true
				}
			}
		case re.MatchString(line):
			return true
		}
	}
	return false
}

// fullMatch tells whether an expression, which prefers the longest match, matches a whole line.
func fullMatch(re *regexp.Regexp, line string) bool {
	whole, err := regexp.Compile(`\A(?:` + re.String() + `)\z`)
	return err == nil && whole.MatchString(line)
}

func wordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}
