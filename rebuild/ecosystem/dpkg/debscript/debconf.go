package debscript

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
)

// debconf is the session of one script with the frontend (debconf-devel(7)). It answers from the database and the
// templates; nothing is asked and nothing written.
type debconf struct {
	questions map[string]*question
	templates map[string]map[string]string
	// pending is what the script has written of a line; answers what it has not read yet.
	pending []byte
	answers bytes.Buffer
	escape  bool
	// stopped says that the script closed the session.
	stopped bool
	err     error
}

type question struct {
	template string
	value    string
	isSet    bool
	flags    map[string]bool
	// variables are what SUBST puts into the texts of the template.
	variables map[string]string
}

func newQuestion(template string) *question {
	return &question{template: template, flags: make(map[string]bool), variables: make(map[string]string)}
}

const debconfDir = "/var/cache/debconf/"

// frontend is what a script turns itself into when it sources the confmodule: the frontend runs the package's config
// script and then the script itself once more, talking to both.
func frontend(p *script.Process) (int, error) {
	s := of(p)
	if len(p.Args) < 2 {
		return 0, p.Unknownf("starts debconf for nothing")
	}
	if s.debconf != nil {
		return 0, p.Unknownf("starts debconf twice")
	}
	d, err := newDebconf(p)
	if err != nil {
		return 0, err
	}
	s.debconf = d
	defer func() { s.debconf = nil }()
	extra := map[string]string{"DEBIAN_HAS_FRONTEND": "1", "DEBCONF_REDIR": ""}
	if own := s.path(s.Kind); p.Args[1] != own { // a program of its own, such as ucf
		text, err := p.Tree().ReadFile(p.Abs(p.Args[1]))
		if err != nil {
			return 0, p.Unknownf("starts debconf for %s: %v", p.Args[1], err)
		}
		status, err := p.RunScript(p.Args[1], p.Args[1], text, p.Args[2:], extra, d, d)
		return status, d.failed(err)
	}
	if s.Kind == "postinst" && len(s.Config) > 0 && len(p.Args) > 2 && (p.Args[2] == "configure" || p.Args[2] == "reconfigure") {
		name := s.path("config")
		status, err := p.RunScript("config", name, s.Config, p.Args[2:], extra, d, d)
		if err = d.failed(err); err != nil || status != 0 {
			return status, err
		}
		d.reset()
	}
	status, err := p.RunScript(s.Kind, p.Args[1], s.Script, p.Args[2:], extra, d, d)
	return status, d.failed(err)
}

func (d *debconf) failed(err error) error {
	if d.err != nil {
		return d.err
	}
	return err
}

func (d *debconf) reset() {
	d.pending, d.stopped, d.escape = nil, false, false
	d.answers.Reset()
}

func newDebconf(p *script.Process) (*debconf, error) {
	d := &debconf{questions: make(map[string]*question), templates: make(map[string]map[string]string)}
	for _, name := range []string{"templates.dat", "config.dat"} {
		data, err := p.Tree().ReadFile(debconfDir + name)
		if err := known(err); err != nil {
			return nil, err
		}
		if err := p.Spend(2 * len(data)); err != nil {
			return nil, err
		}
		for _, f := range stanzas(data) {
			if name == "templates.dat" {
				d.templates[f["name"]] = f
				continue
			}
			q := newQuestion(f["template"])
			q.value, q.isSet = f["value"]
			for line := range strings.SplitSeq(f["variables"], "\n") {
				if name, value, ok := strings.Cut(line, " = "); ok {
					q.variables[strings.TrimSpace(name)] = value
				}
			}
			for _, flag := range strings.Split(f["flags"], ",") {
				q.flags[strings.TrimSpace(flag)] = true
			}
			d.questions[f["name"]] = q
		}
	}
	for _, f := range stanzas(of(p).Templates) {
		name := f["template"]
		d.templates[name] = f
		if d.questions[name] == nil {
			d.questions[name] = newQuestion(name)
		}
	}
	return d, nil
}

// stanzas reads files of stanzas, with the names of fields in lower case.
func stanzas(data []byte) []map[string]string {
	var all []map[string]string
	for _, text := range strings.Split(string(data), "\n\n") {
		fields := make(map[string]string)
		last := ""
		for line := range strings.SplitSeq(text, "\n") {
			if strings.HasPrefix(line, " ") {
				fields[last] += "\n" + line
				continue
			}
			name, value, ok := strings.Cut(line, ":")
			if ok && !strings.HasPrefix(line, "#") {
				last = strings.ToLower(name)
				fields[last] = strings.TrimSpace(value)
			}
		}
		if len(fields) > 0 {
			all = append(all, fields)
		}
	}
	return all
}

// Write takes what the script says.
func (d *debconf) Write(b []byte) (int, error) {
	d.pending = append(d.pending, b...)
	for {
		line, rest, ok := bytes.Cut(d.pending, []byte{'\n'})
		if !ok {
			return len(b), nil
		}
		d.pending = bytes.Clone(rest)
		if len(d.pending) > 1<<20 {
			return 0, &script.UnknownError{Detail: "says too much to debconf"}
		}
		if d.stopped {
			continue
		}
		answer, err := d.command(string(line))
		if err != nil {
			d.err = err
			return 0, err
		}
		if answer != "" {
			d.answers.WriteString(answer + "\n")
		}
	}
}

// Read gives the answers.
func (d *debconf) Read(b []byte) (int, error) {
	if d.answers.Len() == 0 {
		return 0, io.EOF
	}
	return d.answers.Read(b)
}

// command answers one line: a status, 0 for success, and a text.
func (d *debconf) command(line string) (string, error) {
	words := strings.Fields(line)
	if len(words) == 0 {
		return "20 Unsupported command", nil
	}
	args := words[1:]
	q := (*question)(nil)
	if len(args) > 0 {
		q = d.questions[args[0]]
	}
	missing := "10 no such question"
	switch strings.ToUpper(words[0]) {
	case "STOP":
		d.stopped = true
		return "", nil
	case "VERSION":
		return "0 2.0", nil
	case "CAPB":
		d.escape = slices.Contains(args, "escape")
		return "0 multiselect escape", nil
	case "TITLE", "SETTITLE", "INFO", "BEGINBLOCK", "ENDBLOCK", "PROGRESS", "CLEAR", "X_LOADTEMPLATEFILE", "PURGE":
		return "0", nil
	case "GO":
		return "0 ok", nil
	case "INPUT":
		if len(args) < 2 || d.questions[args[1]] == nil {
			return `10 "` + strings.Join(args[min(1, len(args)):], " ") + `" doesn't exist`, nil
		}
		return "30 question skipped", nil
	case "UNREGISTER":
		delete(d.questions, strings.Join(args, " "))
		return "0", nil
	case "REGISTER":
		if len(args) != 2 || d.templates[args[0]] == nil {
			return missing, nil
		}
		if d.questions[args[1]] == nil {
			d.questions[args[1]] = newQuestion(args[0])
		}
		return "0", nil
	}
	if q == nil {
		switch strings.ToUpper(words[0]) {
		case "GET", "SET", "SUBST", "RESET", "FGET", "FSET", "METAGET", "EXIST", "VISIBLE":
			return missing, nil
		}
		return "", &script.UnknownError{Detail: fmt.Sprintf("sends %.40q to debconf", line)}
	}
	return d.about(q, strings.ToUpper(words[0]), line, args)
}

// about answers a command about a question.
func (d *debconf) about(q *question, command, line string, args []string) (string, error) {
	t := d.templates[q.template]
	switch command {
	case "GET":
		if t["type"] == "password" {
			return "", &script.UnknownError{Detail: "asks debconf for a password"}
		}
		if q.isSet {
			return d.answer(q.value), nil
		}
		return d.answer(t["default"]), nil
	case "SET":
		_, value, _ := strings.Cut(line, " ")
		_, value, _ = strings.Cut(strings.TrimLeft(value, " "), " ")
		q.value, q.isSet = value, true
		return "0 value set", nil
	case "SUBST":
		if parts := strings.SplitN(line, " ", 4); len(parts) >= 3 {
			q.variables[parts[2]] = strings.Join(parts[3:], "")
			return "0", nil
		}
	case "RESET":
		q.isSet = false
		return "0", nil
	case "FGET":
		if len(args) == 2 {
			return fmt.Sprintf("0 %t", q.flags[args[1]]), nil
		}
	case "FSET":
		if len(args) == 3 {
			q.flags[args[1]] = args[2] == "true"
			return fmt.Sprintf("0 %s", args[2]), nil
		}
	case "METAGET":
		if len(args) == 2 && (args[1] == "default" || args[1] == "type" || args[1] == "choices" || args[1] == "description") {
			text, _, _ := strings.Cut(t[args[1]], "\n")
			return d.answer(q.expand(text)), nil
		}
	case "EXIST":
		return "0 true", nil
	}
	return "", &script.UnknownError{Detail: fmt.Sprintf("sends %.40q to debconf", line)}
}

// expand puts the variables into a text: "${name}".
func (q *question) expand(text string) string {
	if !strings.Contains(text, "${") {
		return text
	}
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(q.variables)) {
		pairs = append(pairs, "${"+name+"}", q.variables[name])
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

func (d *debconf) answer(value string) string {
	if !d.escape {
		return "0 " + value
	}
	return "1 " + strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(value)
}

// debconfEscape is debconf-escape(1).
func debconfEscape(p *script.Process) (int, error) {
	data, err := p.ReadAll()
	if err != nil {
		return 0, err
	}
	switch {
	case len(p.Args) == 2 && (p.Args[1] == "-u" || p.Args[1] == "--unescape"):
		return 0, p.Print(strings.NewReplacer(`\\`, `\`, `\n`, "\n").Replace(string(data)))
	case len(p.Args) == 2 && (p.Args[1] == "-e" || p.Args[1] == "--escape"):
		return 0, p.Print(strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(string(data)))
	}
	return 0, p.Unknownf("has operands that are not modelled")
}
