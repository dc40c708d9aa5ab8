//go:build e2e

package oracle

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/plan"
)

var images = flag.String("images", "brief", "the images to run: brief, all, or names separated by commas")

// maxShown is how many differing paths of an image are printed.
const maxShown = 60

// row is what the report says of an image.
type row struct {
	name                       string
	packages, updates, byApt   int
	held, byScript             int
	equal, allowed, differing  int
	planning, applying, apting time.Duration
}

// TestOracle compares every chosen image with what apt makes of it and prints the report.
func TestOracle(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("chroots take root")
	}
	var rows []row
	for _, r := range chosen(t) {
		t.Run(r.name, func(t *testing.T) {
			row := row{name: r.name}
			defer func() { rows = append(rows, row) }()
			hold(t, &r, &row)
		})
	}
	report(t, rows)
}

// chosen are the recipes that -images names.
func chosen(t *testing.T) []recipe {
	t.Helper()
	names := strings.Split(*images, ",")
	var found []recipe
	for _, r := range recipes {
		if *images == "all" || *images == "brief" && r.brief || slices.Contains(names, r.name) {
			found = append(found, r)
		}
	}
	if len(found) == 0 {
		t.Fatalf("-images=%s names no image", *images)
	}
	return found
}

// hold holds nanopatch's result for one image against apt's.
func hold(t *testing.T, r *recipe, row *row) {
	source := build(t, r)
	apts := &chroot{root: unpack(t, source, tag), release: r.release}
	original := take(t, apts.root) // before anything runs in it
	before, findings := versions(t, apts.root), verify(t, apts)
	wanted := upgradable(t, apts)
	row.packages, row.byApt = len(before), len(wanted)

	p, result := rebuilt(t, source, nil, row)
	ours := &chroot{root: unpack(t, result, tag), release: r.release}
	row.updates = len(p.Updates)
	countHolds(t, p, wanted, row)

	a := studyAuthor(t, source, apts.root, original, p)
	began := time.Now()
	upgrade(t, apts, heldNames(p))
	row.apting = time.Since(began)

	// The trees are read before anything else runs in them.
	our, apt := take(t, ours.root), take(t, apts.root)
	checkBytecode(t, ours.root, our, a.source)
	timed := shipped(t, apts.root, apt, updatedNames(p))
	c := compare(our, apt, timed, a)
	row.equal, row.allowed, row.differing = c.equal, c.allowed, len(c.differing)
	for i, d := range c.differing {
		if i == maxShown {
			t.Logf("… and %d more", len(c.differing)-maxShown)
			break
		}
		t.Error(d)
	}
	for _, reason := range slices.Sorted(maps.Keys(c.reasons)) {
		t.Logf("%5d paths differ: %s", c.reasons[reason], reason)
	}
	compareVersions(t, versions(t, ours.root), versions(t, apts.root))
	compareChecks(t, ours, apts, findings)
	start(t, ours, r.services)
}

// countHolds counts what nanopatch holds, and says why. Those for scripts are those of apt's updates that are held for a
// script, or because they need one that is.
func countHolds(t *testing.T, p *plan.Plan, byApt []string, row *row) {
	t.Helper()
	for _, h := range p.Held {
		t.Logf("held: %s:%s %s → %s: %s: %s", h.Name, h.Arch, h.From, h.Candidate, h.Reason, h.Detail)
		row.held++
		scripts := h.Reason == ecosystem.ReasonMaintainerScript || h.Reason == ecosystem.ReasonDependency
		if scripts && slices.Contains(byApt, h.Name) {
			row.byScript++
		}
	}
	for _, u := range p.Unmanaged {
		t.Logf("unmanaged: %s:%s %s: %s", u.Name, u.Arch, u.Version, u.Why)
	}
	if row.byScript*4 > len(byApt) {
		t.Errorf("%d of %d updates are held for scripts: the comparison says little", row.byScript, len(byApt))
	}
	if len(p.Updates) == 0 {
		t.Error("nothing was updated: the oracle compares nothing")
	}
}

// updatedNames are the updated packages as dpkg-query takes them.
func updatedNames(p *plan.Plan) []string {
	var names []string
	for _, u := range p.Updates {
		names = append(names, qualified(u.Name, u.NewArch()))
	}
	return names
}

// report prints the table and fails the test where holds for scripts are too many.
func report(t *testing.T, rows []row) {
	t.Helper()
	w := table.NewWriter()
	w.AppendHeader(table.Row{"image", "packages", "apt would", "updated", "held", "by script", "paths equal", "allowed", "differing", "plan", "apply", "apt"})
	var sum row
	for _, r := range rows {
		w.AppendRow(r.cells())
		sum.packages += r.packages
		sum.byApt += r.byApt
		sum.updates += r.updates
		sum.held += r.held
		sum.byScript += r.byScript
		sum.equal += r.equal
		sum.allowed += r.allowed
		sum.differing += r.differing
	}
	sum.name = fmt.Sprintf("%d images", len(rows))
	w.AppendFooter(sum.cells())
	t.Logf("\n%s", w.RenderMarkdown())
	if all := sum.byApt; (*images == "all" || *images == "brief") && sum.byScript*100 >= all*3 {
		t.Errorf("%d of %d updates are held for their scripts, which is 3 %% or more", sum.byScript, all)
	}
}

func (r *row) cells() table.Row {
	cells := table.Row{r.name, r.packages, r.byApt, r.updates, r.held, r.byScript, r.equal, r.allowed, r.differing}
	for _, d := range []time.Duration{r.planning, r.applying, r.apting} {
		text := ""
		if d > 0 {
			text = d.Round(time.Second / 10).String()
		}
		cells = append(cells, text)
	}
	return cells
}
