package cli

import (
	"errors"
	"strings"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/sbom/diff"
)

// TestFailOn: each kind finds what it names, and nothing else does.
func TestFailOn(t *testing.T) {
	withLevel := func(level string) *plan.Plan { return &plan.Plan{Updates: []plan.Update{{Level: level}}} }
	changed := func(c diff.Change) *diff.Diff { return &diff.Diff{Changed: []diff.Change{c}} }
	far := &diff.Diff{Changed: []diff.Change{{Direction: diff.Upgrade, Level: "major"}}}
	for _, c := range []struct {
		kinds string
		plan  *plan.Plan
		diff  *diff.Diff
		want  bool
	}{
		{"held", &plan.Plan{Held: []plan.Hold{{}}}, nil, true},
		{"held-security", &plan.Plan{Held: []plan.Hold{{}}}, nil, false},
		{"held-security", &plan.Plan{Held: []plan.Hold{{}, {Security: true}}}, nil, true},
		{"unmanaged", &plan.Plan{Unmanaged: []plan.Unmanaged{{}}}, nil, true},
		{"eol", &plan.Plan{EOL: &plan.Date{}}, nil, true},
		{"held,unmanaged,eol,held-security", &plan.Plan{}, nil, false},
		{"level>=minor", withLevel("minor"), nil, true},
		{"level>=minor", withLevel("major"), nil, true},
		{"level>=minor", withLevel("patch"), nil, false},
		{"level>=revision", withLevel("revision"), nil, true},
		{"level>=minor", withLevel(""), nil, false},
		{"added", nil, &diff.Diff{Added: []diff.Package{{}}}, true},
		{"added", nil, &diff.Diff{Removed: []diff.Package{{}}}, false},
		{"added", &plan.Plan{}, &diff.Diff{Consequences: []diff.Consequence{{To: "1"}}}, true},
		{"added", &plan.Plan{}, &diff.Diff{Consequences: []diff.Consequence{{From: "1", To: "2"}}}, false},
		{"removed", nil, &diff.Diff{Removed: []diff.Package{{}}}, true},
		{"removed", &plan.Plan{}, &diff.Diff{Consequences: []diff.Consequence{{From: "1"}}}, true},
		{"downgraded", nil, changed(diff.Change{Direction: diff.Downgrade}), true},
		{"downgraded", nil, changed(diff.Change{Direction: diff.Upgrade}), false},
		{"level>=minor", nil, far, true},
		{"level>=minor", withLevel("patch"), far, false}, // the plan's policy has counted it
		{"level>=minor", nil, changed(diff.Change{}), false},
	} {
		var plans []*plan.Plan
		if c.plan != nil {
			plans = append(plans, c.plan)
		}
		var diffs []*diff.Diff
		if c.diff != nil {
			diffs = append(diffs, c.diff)
		}
		err := failOn(strings.Split(c.kinds, ",")).found(plans, diffs...)
		var exit *exitError
		got := errors.As(err, &exit) && exit.code == exitFound
		if got != c.want {
			t.Errorf("%s of %+v and %+v: found %v, want %v", c.kinds, c.plan, c.diff, got, c.want)
		}
	}
	for kinds, good := range map[string]bool{"added": true, "level>=minor": true, "level>=tiny": false, "held": false, "level": false} {
		if err := failOn(strings.Split(kinds, ",")).check(diffKinds...); (err == nil) != good {
			t.Errorf("%s for diff: error %v", kinds, err)
		}
	}
}
