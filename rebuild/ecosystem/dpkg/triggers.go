package dpkg

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/overlay"
)

// interest is one directive of a package's triggers control file: that it wants to know of a trigger, or activates it.
type interest struct {
	// name is a path for a file trigger ("/usr/share/man"), else a word.
	name string
	// activate says that the package activates the trigger whenever its state changes.
	activate bool
	// noawait says that the other side does not wait for this.
	noawait bool
}

// file tells whether the trigger is about changes below a path.
func (i interest) file() bool { return strings.HasPrefix(i.name, "/") }

// parseTriggers reads a triggers control file (deb-triggers(5)).
func parseTriggers(data []byte) ([]interest, error) {
	var all []interest
	for i, line := range strings.Split(string(data), "\n") {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if len(words) != 2 {
			return nil, syntaxErrorf(i+1, "%.100q is not a directive and a trigger", line)
		}
		t := interest{name: words[1]}
		switch words[0] {
		case "interest", "interest-await":
		case "interest-noawait":
			t.noawait = true
		case "activate", "activate-await":
			t.activate = true
		case "activate-noawait":
			t.activate, t.noawait = true, true
		default:
			return nil, syntaxErrorf(i+1, "unknown directive %.50q", words[0])
		}
		if !t.file() && !validName(t.name) {
			return nil, syntaxErrorf(i+1, "impossible trigger %.100q", t.name)
		}
		all = append(all, t)
	}
	return all, nil
}

// triggersOf reads the triggers control file of an installed package.
func (u *upgrade) triggersOf(r *record) ([]interest, error) {
	data, err := u.db.info(r, infoTriggers)
	if err != nil {
		return nil, err
	}
	all, err := parseTriggers(data)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", u.db.infoPath(r, infoTriggers), err)
	}
	return all, nil
}

// qualified is a package's name as dpkg's trigger databases spell it.
func qualified(p ecosystem.Package) string {
	if p.MultiArch == "same" && p.Arch != "" {
		return p.Name + ":" + p.Arch
	}
	return p.Name
}

// editInterests brings a list of interested packages to a package's new state: one line for each, prefix before its
// name and "/noawait" behind it. Where nothing changed no line moves; dpkg itself would move the package's to the end,
// which has no meaning.
func editInterests(data []byte, old, next ecosystem.Package, lines []string) []byte {
	var kept []string
	var was []string
	for line := range bytes.Lines(data) {
		text := strings.TrimSuffix(string(line), "\n")
		fields := strings.Fields(text)
		owner := ""
		if len(fields) > 0 {
			owner, _, _ = strings.Cut(fields[len(fields)-1], "/")
		}
		if owner == qualified(old) || owner == qualified(next) {
			was = append(was, text)
			continue
		}
		kept = append(kept, text)
	}
	slices.Sort(was)
	if slices.Equal(was, slices.Sorted(slices.Values(lines))) {
		return data
	}
	var b bytes.Buffer
	for _, line := range append(kept, lines...) {
		b.WriteString(line + "\n")
	}
	return b.Bytes()
}

// interestLines spells a package's interests in file triggers, or in one other trigger.
func interestLines(p ecosystem.Package, interests []interest, trigger string) []string {
	var lines []string
	for _, i := range interests {
		if i.activate || (trigger == "") != i.file() || trigger != "" && i.name != trigger {
			continue
		}
		line := qualified(p)
		if i.file() {
			line = i.name + " " + line
		}
		if i.noawait {
			line += "/noawait"
		}
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return lines
}

// writeInterests brings the trigger databases to the new versions' interests.
func (u *upgrade) writeInterests() error {
	for _, in := range u.installs {
		if in.old.dropIn != "" {
			continue
		}
		before, err := u.triggersOf(in.old)
		if err != nil {
			return err
		}
		if err := u.writeInterestsOf(in, fileTriggersPath, ""); err != nil {
			return err
		}
		// Triggers that are no paths have a file each.
		var names []string
		for _, i := range append(slices.Clone(before), in.new.triggers...) {
			if i.activate || i.file() || slices.Contains(names, i.name) {
				continue
			}
			names = append(names, i.name)
			if err := u.writeInterestsOf(in, triggersDir+"/"+i.name, i.name); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeInterestsOf brings one database to a package's new interests, in a trigger or in paths.
func (u *upgrade) writeInterestsOf(in *install, p, trigger string) error {
	old, err := readFile(u.tree, p)
	if err != nil {
		return err
	}
	edited := editInterests(old, in.old.Package, in.new.pkg, interestLines(in.new.pkg, in.new.triggers, trigger))
	if bytes.Equal(old, edited) {
		return nil
	}
	return u.writeOrRemove(in.key(), p, edited)
}

// writeOrRemove writes a database that does not exist when it is empty.
func (u *upgrade) writeOrRemove(key ecosystem.Key, p string, content []byte) error {
	if len(content) > 0 {
		return u.write(key, p, content)
	}
	if at := u.tree.Place(p); u.tree.Exists(at) {
		u.tree.Remove(at, key, true)
	}
	return nil
}

// editFileTriggers brings a layer's own copy of the file triggers to the steps' interests.
func editFileTriggers(old []byte, steps []ecosystem.Step) ([]byte, error) {
	edited := old
	for _, s := range steps {
		d, ok := s.Payload.(*deb)
		if !ok {
			return nil, fmt.Errorf("upgrading %s: the payload is no Debian package", s.Installed.Key)
		}
		edited = editInterests(edited, s.Installed, d.pkg, interestLines(d.pkg, d.triggers, ""))
	}
	return edited, nil
}

// readFileTriggers reads the file triggers and who is interested: "PATH PACKAGE[/noawait]" on each line.
func readFileTriggers(t *overlay.Tree) (map[string][]string, error) {
	data, err := readFile(t, fileTriggersPath)
	if err != nil {
		return nil, err
	}
	all := make(map[string][]string)
	for line := range bytes.Lines(data) {
		name, owner, ok := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
		p, err := cleanPath(name)
		if !ok || err != nil {
			continue
		}
		owner, _, _ = strings.Cut(owner, "/")
		all[p] = append(all[p], owner)
	}
	return all, nil
}
