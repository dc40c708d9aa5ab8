package cli

import (
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/rebuild/version"
	"github.com/nanopatch/nanopatch/sbom/diff"
)

// failOn is the value of --fail-on: what is to end the program with a code of its own.
type failOn []string

// The kinds of --fail-on: those that a plan answers, and those that a diff does. Both know levels.
var (
	planKinds = []string{"held", "held-security", "unmanaged", "eol"}
	diffKinds = []string{"added", "removed", "downgraded"}
)

// levelPrefix begins the kind that names a level: "level>=minor".
const levelPrefix = "level>="

func failOnHelp(kinds []string) string {
	return "exit 5 if any of these is found: " + strings.Join(kinds, ", ") + ", or a level as in level>=minor"
}

// check makes sure that a command knows each of the kinds.
func (f failOn) check(kinds ...string) error {
	for _, v := range f {
		if name, ok := strings.CutPrefix(v, levelPrefix); ok {
			if _, err := version.ParseLevel(name); err != nil {
				return usagef("--fail-on %s: %w", v, err)
			}
		} else if !slices.Contains(kinds, v) {
			return usagef("--fail-on %s: want a list of %s, %sLEVEL", v, strings.Join(kinds, ", "), levelPrefix)
		}
	}
	return nil
}

// found returns the error that ends the program where something is there that the list names, in plans or in diffs.
func (f failOn) found(plans []*plan.Plan, diffs ...*diff.Diff) error {
	hit := slices.ContainsFunc(plans, f.inPlan) || slices.ContainsFunc(diffs, f.inDiff)
	if len(plans) == 0 { // else the plan has the levels, as its policy counts them
		hit = hit || slices.ContainsFunc(diffs, f.farInDiff)
	}
	if hit {
		return &exitError{exitFound}
	}
	return nil
}

func (f failOn) inPlan(p *plan.Plan) bool {
	return slices.Contains(f, "held") && len(p.Held) > 0 ||
		slices.Contains(f, "held-security") && slices.ContainsFunc(p.Held, func(h plan.Hold) bool { return h.Security }) ||
		slices.Contains(f, "unmanaged") && len(p.Unmanaged) > 0 ||
		slices.Contains(f, "eol") && p.EOL != nil ||
		slices.ContainsFunc(p.Updates, func(u plan.Update) bool { return f.reached(u.Level) })
}

// inDiff looks through a diff, and what shipped inside an updated package.
func (f failOn) inDiff(d *diff.Diff) bool {
	added := func(c diff.Consequence) bool { return c.From == "" }
	removed := func(c diff.Consequence) bool { return c.To == "" }
	downgraded := func(c diff.Change) bool { return c.Direction == diff.Downgrade }
	return slices.Contains(f, "added") && (len(d.Added) > 0 || slices.ContainsFunc(d.Consequences, added)) ||
		slices.Contains(f, "removed") && (len(d.Removed) > 0 || slices.ContainsFunc(d.Consequences, removed)) ||
		slices.Contains(f, "downgraded") && slices.ContainsFunc(d.Changed, downgraded)
}

func (f failOn) farInDiff(d *diff.Diff) bool {
	return slices.ContainsFunc(d.Changed, func(c diff.Change) bool { return f.reached(c.Level) })
}

// reached tells whether a level is one that the list names, or is above it. A level that is not known is none.
func (f failOn) reached(name string) bool {
	level, err := version.ParseLevel(name)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(f, func(v string) bool {
		least, ok := strings.CutPrefix(v, levelPrefix)
		if !ok {
			return false
		}
		l, err := version.ParseLevel(least)
		return err == nil && level >= l
	})
}
