package debscript

import (
	"archive/tar"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
)

const (
	alternativesDB  = "/" + adminDir + "/alternatives/"
	alternativesDir = "/etc/alternatives/"
)

// alternative is one link group as dpkg's utils/update-alternatives.c keeps it.
type alternative struct {
	p      *script.Process
	name   string
	manual bool
	link   string
	slaves []slave
	// choices are sorted by file when written.
	choices []choice
}

// slave is a link that follows the master's.
type slave struct{ name, link string }

// choice is what the links may lead to: a file, and for each slave by name another.
type choice struct {
	file     string
	priority int
	slaves   map[string]string
}

// loadAlternative reads a group's file; nil if there is none:
//
//	auto|manual
//	LINK
//	SLAVE NAME, SLAVE LINK…, empty line
//	FILE, PRIORITY, FILE OF EACH SLAVE…, … empty line
func loadAlternative(p *script.Process, name string) (*alternative, error) {
	data, err := p.Tree().ReadFile(alternativesDB + name)
	if err != nil {
		return nil, known(err)
	}
	lines := strings.Split(string(data), "\n")
	next := func() string {
		if len(lines) == 0 {
			return ""
		}
		line := lines[0]
		lines = lines[1:]
		return line
	}
	status := next()
	a := &alternative{p: p, name: name, manual: status == "manual", link: next()}
	for {
		line := next()
		if line == "" {
			break
		}
		a.slaves = append(a.slaves, slave{line, next()})
	}
	for {
		file := next()
		if file == "" {
			break
		}
		c := choice{file: file, slaves: make(map[string]string)}
		if c.priority, err = strconv.Atoi(next()); err != nil {
			return nil, p.Unknownf("reads %s, which is malformed", alternativesDB+name)
		}
		for _, s := range a.slaves {
			if target := next(); target != "" {
				c.slaves[s.name] = target
			}
		}
		a.choices = append(a.choices, c)
	}
	if status != "auto" && status != "manual" || a.link == "" {
		return nil, p.Unknownf("reads %s, which is malformed", alternativesDB+name)
	}
	return a, nil
}

func (a *alternative) text() string {
	used := func(s slave) bool {
		return slices.ContainsFunc(a.choices, func(c choice) bool { return c.slaves[s.name] != "" })
	}
	a.slaves = slices.DeleteFunc(a.slaves, func(s slave) bool { return !used(s) })
	slices.SortFunc(a.slaves, func(x, y slave) int { return strings.Compare(x.name, y.name) })
	slices.SortFunc(a.choices, func(x, y choice) int { return strings.Compare(x.file, y.file) })
	var b strings.Builder
	b.WriteString(map[bool]string{false: "auto", true: "manual"}[a.manual] + "\n" + a.link + "\n")
	for _, s := range a.slaves {
		b.WriteString(s.name + "\n" + s.link + "\n")
	}
	b.WriteString("\n")
	for _, c := range a.choices {
		b.WriteString(c.file + "\n" + itoa(c.priority) + "\n")
		for _, s := range a.slaves {
			b.WriteString(c.slaves[s.name] + "\n")
		}
	}
	b.WriteString("\n")
	return b.String()
}

// current is what the links lead to, "" if nothing.
func (a *alternative) current() string {
	target, err := a.p.Tree().Readlink(alternativesDir + a.name)
	if err != nil {
		return ""
	}
	return target
}

func (a *alternative) find(file string) *choice {
	for i := range a.choices {
		if a.choices[i].file == file {
			return &a.choices[i]
		}
	}
	return nil
}

// best is the choice of the highest priority, of several the first.
func (a *alternative) best() *choice {
	var best *choice
	for i := range a.choices {
		if best == nil || a.choices[i].priority > best.priority {
			best = &a.choices[i]
		}
	}
	return best
}

// save writes the group's file if it changed.
func (a *alternative) save() error {
	text := a.text()
	old, err := a.p.Tree().ReadFile(alternativesDB + a.name)
	if err := known(err); err != nil {
		return err
	}
	if err == nil && string(old) == text {
		return nil
	}
	return replaceFile(a.p, alternativesDB+a.name, text)
}

// prepare makes the links lead to a choice. A slave whose file does not exist has no links.
func (a *alternative) prepare(c *choice) error {
	if err := a.place(a.name, c.file, a.link); err != nil {
		return err
	}
	for _, s := range a.slaves {
		target := c.slaves[s.name]
		if target != "" && a.p.Tree().Exists(target) {
			if !a.p.Tree().Exists(dirOf(s.link)) {
				return a.p.Unknownf("fails half-way, because there is no directory for the link %s", s.link)
			}
			if err := a.place(s.name, target, s.link); err != nil {
				return err
			}
			continue
		}
		if err := a.dropLinks(s.name, s.link); err != nil {
			return err
		}
	}
	return nil
}

func dirOf(name string) string {
	dir, _ := splitPath(name)
	return strings.TrimRight(dir, "/") + "/"
}

// place makes the two links of one name.
func (a *alternative) place(name, target, link string) error {
	if err := a.symlink(target, alternativesDir+name); err != nil {
		return err
	}
	_, e, err := a.p.Tree().Lstat(link)
	if err := known(err); err != nil {
		return err
	}
	if err == nil && e.Type != tar.TypeSymlink {
		return nil // a real file is in the way: it stays, with a warning
	}
	return a.symlink(alternativesDir+name, link)
}

func (a *alternative) symlink(target, name string) error {
	old, err := a.p.Tree().Readlink(name)
	if err := known(err); err != nil {
		return err
	}
	if err == nil && old == target {
		return nil
	}
	if lexists(a.p, name) {
		if err := a.p.Tree().Remove(name, false); err != nil {
			return err
		}
	}
	return a.p.Tree().Symlink(target, name)
}

// dropLinks takes the two links of one name away; a real file in their place stays.
func (a *alternative) dropLinks(name, link string) error {
	for _, l := range []string{alternativesDir + name, link} {
		_, e, err := a.p.Tree().Lstat(l)
		if err := known(err); err != nil {
			return err
		}
		if err == nil && e.Type == tar.TypeSymlink {
			if err := a.p.Tree().Remove(l, false); err != nil {
				return err
			}
		}
	}
	return nil
}

// update brings the links to the state of the group, given which choice was current and which is wanted (main in
// update-alternatives.c).
func (a *alternative) update(current, wanted string) (int, error) {
	if len(a.choices) == 0 {
		if err := a.dropLinks(a.name, a.link); err != nil {
			return 0, err
		}
		for _, s := range a.slaves {
			if err := a.dropLinks(s.name, s.link); err != nil {
				return 0, err
			}
		}
		if lexists(a.p, alternativesDB+a.name) {
			return 0, a.p.Tree().Remove(alternativesDB+a.name, false)
		}
		return 0, nil
	}
	if wanted == "" {
		wanted = current
	}
	if c := a.find(wanted); c != nil {
		if err := a.prepare(c); err != nil {
			return 0, err
		}
	}
	return 0, a.save()
}

// updateAlternatives is update-alternatives(1).
func updateAlternatives(p *script.Process) (int, error) {
	args := p.Args[1:]
	for len(args) > 0 && (args[0] == "--quiet" || args[0] == "--force") {
		if args[0] == "--force" {
			return 0, p.Unknownf("has the option --force, which is not modelled")
		}
		args = args[1:]
	}
	if len(args) < 2 {
		return 0, p.Unknownf("has operands that are not modelled")
	}
	action, args := args[0], args[1:]
	if action == "--install" {
		return installAlternative(p, args)
	}
	if !slices.Contains([]string{"--list", "--query", "--display", "--remove", "--remove-all", "--auto", "--set"}, action) {
		return 0, p.Unknownf("has the action %.20q, which is not modelled", action)
	}
	a, err := loadAlternative(p, args[0])
	if err != nil {
		return 0, err
	}
	switch {
	case action == "--list" && len(args) == 1, action == "--query" && len(args) == 1, action == "--display" && len(args) == 1:
		return a.show(p, action)
	case action == "--remove" && len(args) == 2:
		return a.remove(args[1])
	case action == "--remove-all" && len(args) == 1:
		if a == nil {
			return 0, nil
		}
		a.choices = nil
		return a.update("", "")
	case a == nil:
		return p.Fail(2, "no alternatives for %s", args[0])
	case action == "--auto" && len(args) == 1:
		a.manual = false
		return a.update(a.current(), a.best().file)
	case action == "--set" && len(args) == 2:
		if a.find(args[1]) == nil {
			return p.Fail(2, "alternative %s for %s not registered", args[1], args[0])
		}
		a.manual = true
		return a.update(a.current(), args[1])
	}
	return 0, p.Unknownf("has operands that are not modelled")
}

func (a *alternative) show(p *script.Process, action string) (int, error) {
	if a == nil {
		return p.Fail(2, "no alternatives")
	}
	switch action {
	case "--query":
		return 0, p.Print(a.query())
	case "--display":
		return 0, p.Print(a.display())
	}
	for _, c := range a.choices {
		if err := p.Print(c.file + "\n"); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

func (a *alternative) status() string {
	if a.manual {
		return "manual"
	}
	return "auto"
}

// query spells the group as --query does.
func (a *alternative) query() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Name: %s\nLink: %s\n", a.name, a.link)
	if len(a.slaves) > 0 {
		b.WriteString("Slaves:\n")
		for _, s := range a.slaves {
			fmt.Fprintf(&b, " %s %s\n", s.name, s.link)
		}
	}
	fmt.Fprintf(&b, "Status: %s\n", a.status())
	if best := a.best(); best != nil {
		fmt.Fprintf(&b, "Best: %s\n", best.file)
	}
	value := a.current()
	if value == "" {
		value = "none"
	}
	fmt.Fprintf(&b, "Value: %s\n", value)
	for _, c := range a.choices {
		fmt.Fprintf(&b, "\nAlternative: %s\nPriority: %d\n", c.file, c.priority)
		if len(a.slaves) > 0 {
			b.WriteString("Slaves:\n")
		}
		for _, s := range a.slaves {
			if c.slaves[s.name] != "" {
				fmt.Fprintf(&b, " %s %s\n", s.name, c.slaves[s.name])
			}
		}
	}
	return b.String()
}

// display spells the group as --display does.
func (a *alternative) display() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s - %s mode\n", a.name, a.status())
	if best := a.best(); best != nil {
		fmt.Fprintf(&b, "  link best version is %s\n", best.file)
	} else {
		b.WriteString("  link best version not available\n")
	}
	if current := a.current(); current != "" {
		fmt.Fprintf(&b, "  link currently points to %s\n", current)
	} else {
		b.WriteString("  link currently absent\n")
	}
	fmt.Fprintf(&b, "  link %s is %s\n", a.name, a.link)
	for _, s := range a.slaves {
		fmt.Fprintf(&b, "  slave %s is %s\n", s.name, s.link)
	}
	for _, c := range a.choices {
		fmt.Fprintf(&b, "%s - priority %d\n", c.file, c.priority)
		for _, s := range a.slaves {
			if c.slaves[s.name] != "" {
				fmt.Fprintf(&b, "  slave %s: %s\n", s.name, c.slaves[s.name])
			}
		}
	}
	return b.String()
}

func (a *alternative) remove(file string) (int, error) {
	if a == nil || a.find(file) == nil {
		return 0, nil
	}
	current := a.current()
	a.choices = slices.DeleteFunc(a.choices, func(c choice) bool { return c.file == file })
	if current == file {
		a.manual = false
	}
	if current != "" && a.find(current) == nil {
		a.manual = false
	}
	wanted := ""
	if best := a.best(); best != nil && !a.manual {
		wanted = best.file
	}
	return a.update(current, wanted)
}

// installAlternative is --install LINK NAME FILE PRIORITY [--slave LINK NAME FILE]….
func installAlternative(p *script.Process, args []string) (int, error) {
	if len(args) < 4 {
		return 0, p.Unknownf("has operands that are not modelled")
	}
	link, name, file := args[0], args[1], args[2]
	priority, err := strconv.Atoi(args[3])
	if err != nil || !strings.HasPrefix(link, "/") || !strings.HasPrefix(file, "/") || strings.ContainsAny(name, "/ \t\n") {
		return 0, p.Unknownf("has operands that are not modelled")
	}
	if !p.Tree().Exists(file) {
		return p.Fail(2, "error: alternative path %s doesn't exist", file)
	}
	c := choice{file: file, priority: priority, slaves: make(map[string]string)}
	var slavesOf []slave
	for args = args[4:]; len(args) > 0; args = args[4:] {
		if len(args) < 4 || args[0] != "--slave" || !strings.HasPrefix(args[1], "/") || !strings.HasPrefix(args[3], "/") {
			return 0, p.Unknownf("has operands that are not modelled")
		}
		slavesOf = append(slavesOf, slave{name: args[2], link: args[1]})
		c.slaves[args[2]] = args[3]
	}
	a, err := loadAlternative(p, name)
	if err != nil {
		return 0, err
	}
	if a == nil {
		a = &alternative{p: p, name: name, link: link}
	}
	if a.link != link {
		return 0, p.Unknownf("renames the link %s of a group", a.link)
	}
	for _, s := range slavesOf {
		i := slices.IndexFunc(a.slaves, func(old slave) bool { return old.name == s.name })
		switch {
		case i < 0:
			a.slaves = append(a.slaves, s)
		case a.slaves[i].link != s.link:
			return 0, p.Unknownf("renames the link %s of a group", a.slaves[i].link)
		}
	}
	return a.install(c)
}

func (a *alternative) install(c choice) (int, error) {
	current := a.current()
	if old := a.find(c.file); old != nil {
		*old = c
	} else {
		a.choices = append(a.choices, c)
	}
	if current != "" && a.find(current) == nil {
		if a.p.Tree().Exists(current) {
			a.manual = true // set by hand to what is no choice
			return 0, a.save()
		}
		a.manual = false
	}
	if current == "" {
		a.manual = false
	}
	if !a.manual {
		return a.update(current, a.best().file)
	}
	if current != c.file {
		return 0, a.save()
	}
	return a.update(current, current)
}
