package dpkg

import (
	"fmt"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
)

// relations is a dependency field: all of its clauses must hold, each by any of its alternatives.
type relations [][]relation

// relation is one package name in a dependency field, as dpkg's parser takes it apart.
type relation struct {
	name string
	// arch is the qualifier behind a colon, "" if there is none.
	arch string
	// op is "", "<<", "<=", "=", ">=" or ">>".
	op      string
	version string
}

// parseRelations reads a dependency field (Depends, Conflicts, Provides, …) of a package: deb-control(5).
//
// dpkg's own grammar is followed, obsolete forms included, and not that of source packages, because the status file
// must come out as dpkg writes it: f_dependency in lib/dpkg/fields.c.
func parseRelations(field, value string) (relations, error) {
	p := relationParser{field: field, rest: value}
	p.skip()
	if p.rest == "" {
		return nil, nil
	}
	var all relations
	for {
		clause, err := p.clause()
		if err != nil {
			return nil, err
		}
		all = append(all, clause)
		if p.rest == "" {
			return all, nil
		}
		p.rest = p.rest[1:] // the comma
		p.skip()
	}
}

type relationParser struct {
	field, rest string
}

func (p *relationParser) skip() { p.rest = strings.TrimLeft(p.rest, spaces) }

// word takes everything up to white space or one of the bytes in end.
func (p *relationParser) word(end string) string {
	n := strings.IndexAny(p.rest, spaces+end)
	if n < 0 {
		n = len(p.rest)
	}
	w := p.rest[:n]
	p.rest = p.rest[n:]
	return w
}

// clause reads alternatives up to a comma or the end.
func (p *relationParser) clause() ([]relation, error) {
	var clause []relation
	for {
		r, err := p.relation()
		if err != nil {
			return nil, err
		}
		clause = append(clause, r)
		if p.rest == "" || p.rest[0] == ',' {
			return clause, nil
		}
		if p.rest[0] != '|' {
			return nil, fmt.Errorf("field %s: syntax error after %q", p.field, r.name)
		}
		p.rest = p.rest[1:]
		p.skip()
	}
}

func (p *relationParser) relation() (relation, error) {
	r := relation{name: p.word(":(,|")}
	if !validName(r.name) {
		return r, fmt.Errorf("field %s: bad package name %.50q", p.field, r.name)
	}
	if strings.HasPrefix(p.rest, ":") {
		p.rest = p.rest[1:]
		if r.arch = p.word("(,|"); r.arch == "" {
			return r, fmt.Errorf("field %s: %s has a colon and no architecture", p.field, r.name)
		}
	}
	p.skip()
	if !strings.HasPrefix(p.rest, "(") {
		return r, nil
	}
	p.rest = p.rest[1:]
	p.skip()
	r.op = p.operator()
	p.skip()
	r.version = canonicalVersion(p.word("()"))
	p.skip()
	if !strings.HasPrefix(p.rest, ")") || r.version == "" {
		return r, fmt.Errorf("field %s: bad version behind %s", p.field, r.name)
	}
	p.rest = p.rest[1:]
	p.skip()
	return r, nil
}

// operator takes a relation sign. "<" and ">" are obsolete for "<=" and ">=", and no sign for "=".
func (p *relationParser) operator() string {
	for _, sign := range []struct{ text, op string }{
		{"<<", "<<"}, {">>", ">>"}, {"<=", "<="}, {">=", ">="}, {"<", "<="}, {">", ">="}, {"=", "="},
	} {
		if strings.HasPrefix(p.rest, sign.text) {
			p.rest = p.rest[len(sign.text):]
			return sign.op
		}
	}
	return "="
}

// String writes the relation as dpkg writes it into the status file: varbufdependency in lib/dpkg/dump.c.
func (r relation) String() string {
	s := r.name
	if r.arch != "" {
		s += ":" + r.arch
	}
	if r.op != "" {
		s += " (" + r.op + " " + r.version + ")"
	}
	return s
}

func (all relations) String() string {
	clauses := make([]string, len(all))
	for i, c := range all {
		alternatives := make([]string, len(c))
		for j, r := range c {
			alternatives[j] = r.String()
		}
		clauses[i] = strings.Join(alternatives, " | ")
	}
	return strings.Join(clauses, ", ")
}

// requirement translates into the shared form, where strict relations are spelt with one sign.
func (r relation) requirement() ecosystem.Relation {
	op := r.op
	switch op {
	case "<<":
		op = "<"
	case ">>":
		op = ">"
	}
	return ecosystem.Relation{Name: r.name, Arch: r.arch, Op: op, Version: r.version}
}

func (all relations) clauses() []ecosystem.Clause {
	var out []ecosystem.Clause
	for _, c := range all {
		var clause ecosystem.Clause
		for _, r := range c {
			clause = append(clause, r.requirement())
		}
		out = append(out, clause)
	}
	return out
}

// flat is for fields without alternatives. A relation without an architecture means defaultArch.
func (all relations) flat(defaultArch string) []ecosystem.Relation {
	var out []ecosystem.Relation
	for _, c := range all {
		for _, r := range c {
			req := r.requirement()
			if req.Arch == "" {
				req.Arch = defaultArch
			}
			out = append(out, req)
		}
	}
	return out
}

// canonicalVersion drops the zero epoch that dpkg never writes.
func canonicalVersion(v string) string {
	epoch, rest, ok := strings.Cut(v, ":")
	if !ok || epoch == "" || strings.Contains(rest, ":") || strings.Trim(epoch, "0123456789") != "" {
		return v
	}
	if epoch = strings.TrimLeft(epoch, "0"); epoch == "" {
		return rest
	}
	return epoch + ":" + rest
}

// validName tells whether a package may be called so: pkg_name_is_illegal in lib/dpkg/parsehelp.c.
func validName(name string) bool {
	if name == "" || !isAlnum(name[0]) {
		return false
	}
	for i := range len(name) {
		if !isAlnum(name[i]) && strings.IndexByte("-+._", name[i]) < 0 {
			return false
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
