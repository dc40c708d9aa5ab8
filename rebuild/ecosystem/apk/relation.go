package apk

import (
	"slices"
	"strconv"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
)

// Dependency is one word of a list of relations: "so:libz.so.1", "busybox>=1.36", "!uclibc", "curl@edge". It is what
// apk_blob_pull_dep (src/package.c) reads.
type Dependency struct {
	Name string
	// Tag is the repository that a word of etc/apk/world pins the package to, without the "@".
	Tag string
	// Op is "", or of the characters <, =, > and ~ in the order written; Version what it is compared with.
	Op, Version string
	// Conflict says that nothing may be installed that meets the rest of the word.
	Conflict bool
}

// ParseDependencies reads a list of words. One that has no name is left out.
func ParseDependencies(list string) []Dependency {
	var all []Dependency
	for word := range strings.FieldsSeq(list) {
		var d Dependency
		word, d.Conflict = strings.CutPrefix(word, "!")
		name := strings.IndexAny(word, "<>=~@")
		if name < 0 {
			name = len(word)
		}
		d.Name, word = word[:name], word[name:]
		word, d.Tag, _ = strings.Cut(word, "@")
		if op, version, ok := strings.Cut(d.Tag, "="); ok && word == "" {
			// The tag may come before the version, too.
			d.Tag, word = op, "="+version
		}
		rest := strings.TrimLeft(word, "<>=~")
		d.Op, d.Version = word[:len(word)-len(rest)], rest
		if d.Name != "" {
			all = append(all, d)
		}
	}
	return all
}

// Fuzzy tells whether a version need only begin as Version does.
func (d Dependency) Fuzzy() bool { return strings.Contains(d.Op, "~") }

// requirements turns a list of dependencies into clauses and conflicts.
func requirements(list string) ([]ecosystem.Clause, []ecosystem.Relation) {
	var requires []ecosystem.Clause
	var conflicts []ecosystem.Relation
	for _, d := range ParseDependencies(list) {
		relations := d.Relations()
		if d.Conflict {
			conflicts = append(conflicts, relations[0])
			continue
		}
		for _, r := range relations {
			requires = append(requires, ecosystem.Clause{r})
		}
	}
	return requires, conflicts
}

// Relations spells a dependency with the ordinary operators. All of them must hold: a fuzzy one is a range. A relation by
// checksum ("><", which apk uses for virtual packages of its own making) is one by name.
func (d Dependency) Relations() []ecosystem.Relation {
	if d.Fuzzy() {
		low, high := fuzzyRange(d.Version)
		var all []ecosystem.Relation
		if !strings.Contains(d.Op, "<") {
			all = append(all, ecosystem.Relation{Name: d.Name, Op: ">=", Version: low})
		}
		if !strings.Contains(d.Op, ">") && high != "" {
			all = append(all, ecosystem.Relation{Name: d.Name, Op: "<", Version: high})
		}
		if len(all) > 0 {
			return all
		}
		return []ecosystem.Relation{{Name: d.Name}}
	}
	switch d.Op {
	case "<", "<=", "=", ">=", ">":
		return []ecosystem.Relation{{Name: d.Name, Op: d.Op, Version: d.Version}}
	case "==":
		return []ecosystem.Relation{{Name: d.Name, Op: "=", Version: d.Version}}
	}
	return []ecosystem.Relation{{Name: d.Name}}
}

// oldest makes a version older than all that begin as it does: each further "_alpha" is older still, and nobody writes
// three.
const oldest = "_alpha_alpha_alpha"

// fuzzyRange gives the least version that begins as v does, and the least that is beyond all of them; "" if there is
// none that can be spelt.
func fuzzyRange(v string) (low, high string) {
	digits := len(strings.TrimRight(v, "0123456789"))
	switch last := len(v) - 1; {
	case strings.Contains(v, "~") || v == "":
		return v, ""
	case digits == len(v) && last > 0 && v[last-1] >= '0' && v[last-1] <= '9' && v[last] < 'z':
		return v + oldest, v[:last] + string(rune(v[last]+1)) + oldest
	case digits == len(v):
		return v + oldest, ""
	}
	if digits > 1 && strings.HasSuffix(v[:digits], "-r") {
		n, err := strconv.ParseUint(v[digits:], 10, 63)
		if err != nil {
			return v, ""
		}
		return v, v[:digits] + strconv.FormatUint(n+1, 10)
	}
	if v[digits] == '0' && digits > 0 && v[digits-1] == '.' {
		// A component that begins with a zero is compared as text: what comes next has one more character.
		return v + oldest, v + "0" + oldest
	}
	n, err := strconv.ParseUint(v[digits:], 10, 63)
	if err != nil {
		return v + oldest, ""
	}
	return v + oldest, v[:digits] + strconv.FormatUint(n+1, 10) + oldest
}

// provisions reads what a package provides.
func provisions(list string) []ecosystem.Relation {
	var all []ecosystem.Relation
	for _, d := range ParseDependencies(list) {
		r := ecosystem.Relation{Name: d.Name}
		if d.Op == "=" {
			r.Op, r.Version = "=", d.Version
		}
		all = append(all, r)
	}
	return all
}

// exclusions are the conflicts that come with provided names: of a name with a version there is one provider. Names
// without one ("/bin/sh") have any number of them, and a relation with an operator does not mean these.
func exclusions(provides []ecosystem.Relation) []ecosystem.Relation {
	var all []ecosystem.Relation
	for _, p := range provides {
		if p.Op == "=" {
			all = append(all, ecosystem.Relation{Name: p.Name, Op: ">=", Version: "0" + oldest})
		}
	}
	return slices.Clip(all)
}
