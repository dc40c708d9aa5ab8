package apt

import (
	"fmt"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
)

// parseRelations reads a dependency field of a binary package: "libc6 (>= 2.36), python3:any | pypy3"
// (deb-control(5)). A relation without an architecture gets defaultArch.
//
// Operators come out in the shared form: "<<" as "<", ">>" as ">", and dpkg's obsolete "<" and ">" as what
// dpkg takes them for, "<=" and ">=".
func parseRelations(value, defaultArch string) ([]ecosystem.Clause, error) {
	var clauses []ecosystem.Clause
	for value = strings.TrimSpace(value); value != ""; {
		var part string
		part, value, _ = strings.Cut(value, ",")
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		var clause ecosystem.Clause
		for alternative := range strings.SplitSeq(part, "|") {
			r, err := parseRelation(strings.TrimSpace(alternative))
			if err != nil {
				return nil, err
			}
			if r.Arch == "" {
				r.Arch = defaultArch
			}
			clause = append(clause, r)
		}
		clauses = append(clauses, clause)
	}
	return clauses, nil
}

func parseRelation(s string) (ecosystem.Relation, error) {
	name, constraint, versioned := strings.Cut(s, "(")
	name, arch, _ := strings.Cut(strings.TrimSpace(name), ":")
	r := ecosystem.Relation{Name: name, Arch: arch}
	if name == "" || strings.ContainsAny(name, " \t\n)<>=[]") || strings.ContainsAny(arch, " \t\n)") {
		return r, fmt.Errorf("malformed relation %.80q", s)
	}
	if !versioned {
		return r, nil
	}
	constraint, rest, closed := strings.Cut(constraint, ")")
	constraint = strings.TrimSpace(constraint)
	n := strings.IndexFunc(constraint, func(c rune) bool { return !strings.ContainsRune("<>=", c) })
	if n < 0 || !closed || strings.TrimSpace(rest) != "" {
		return r, fmt.Errorf("malformed relation %.80q", s)
	}
	r.Version = canonicalVersion(strings.TrimSpace(constraint[n:]))
	switch op := constraint[:n]; op {
	case "<<":
		r.Op = "<"
	case ">>":
		r.Op = ">"
	case "<", "<=":
		r.Op = "<="
	case ">", ">=":
		r.Op = ">="
	case "", "=":
		r.Op = "="
	default:
		return r, fmt.Errorf("unknown operator %q in relation %.80q", op, s)
	}
	if r.Version == "" || strings.ContainsAny(r.Version, " \t\n") {
		return r, fmt.Errorf("malformed relation %.80q", s)
	}
	return r, nil
}

// parseFlat reads a field without alternatives.
func parseFlat(value, defaultArch string) ([]ecosystem.Relation, error) {
	clauses, err := parseRelations(value, defaultArch)
	if err != nil {
		return nil, err
	}
	var out []ecosystem.Relation
	for _, c := range clauses {
		out = append(out, c...)
	}
	return out, nil
}

// canonicalVersion drops a zero epoch, which dpkg never writes into its database: the two must compare
// equal as text.
func canonicalVersion(v string) string { return strings.TrimPrefix(v, "0:") }
