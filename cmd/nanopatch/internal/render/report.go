package render

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/pipeline"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/sbom"
	"github.com/nanopatch/nanopatch/sbom/diff"
	"github.com/nanopatch/nanopatch/sbom/report"
	"github.com/nanopatch/nanopatch/sbom/report/page"
)

// Run is what a report says of the run that made it.
type Run struct {
	// Now is the run's clock: how long an update had been waiting is counted up to it.
	Now time.Time
	// Version is the program's.
	Version string
}

func (r Run) footer() string {
	return fmt.Sprintf("Made by nanopatch %s on %s. An update's days are counted from the date on which its package was built.",
		r.Version, r.Now.UTC().Format("2 January 2006, 15:04 UTC"))
}

// PlanHTML writes plans as a page.
func PlanHTML(w io.Writer, plans []*plan.Plan, run Run) error {
	p := &page.Page{Kind: "Plan", Footer: run.footer()}
	for _, one := range plans {
		p.Title = one.Image.Ref
		p.Parts = append(p.Parts, part(one, nil, len(plans) > 1, run.Now))
	}
	p.Verdict = planVerdict(plans)
	for _, one := range plans {
		facts, err := planFacts(one)
		if err != nil {
			return err
		}
		p.Facts = append(p.Facts, facts...)
	}
	return page.HTML(w, p)
}

// ResultHTML writes a rebuild's result as a page.
func ResultHTML(w io.Writer, r *pipeline.Result, run Run) error {
	p := &page.Page{Kind: "Rebuild", Title: r.Image.Ref, Footer: run.footer(), Verdict: "Nothing to update: the image is the source itself."}
	if r.Changed() {
		p.Verdict = resultVerdict(r)
	}
	p.Facts = resultFacts(r)
	plans := r.Plans()
	for i, one := range plans {
		shown := part(one, r.Platforms[i].Layers, len(plans) > 1, run.Now)
		shown.Tables = append(shown.Tables, report.Consequences(r.Platforms[i].Diff))
		p.Parts = append(p.Parts, shown)
		p.Facts = append(p.Facts, originFacts(one)...)
	}
	return page.HTML(w, p)
}

// DiffHTML writes a diff as a page. older and newer are the layers of both sides, as far as they are known.
func DiffHTML(w io.Writer, d *diff.Diff, older, newer []sbom.Layer, run Run) error {
	p := report.DiffPage(d)
	p.Parts[0].Layers = diffBars(older, newer)
	p.Footer = fmt.Sprintf("Made by nanopatch %s on %s.", run.Version, run.Now.UTC().Format("2 January 2006, 15:04 UTC"))
	return page.HTML(w, p)
}

func planVerdict(plans []*plan.Plan) string {
	updates, held, layers := 0, 0, 0
	for _, p := range plans {
		updates, held, layers = updates+len(p.Updates), held+len(p.Held), layers+p.Rewritten()
	}
	if updates == 0 {
		return "Nothing to update." + heldToo(held)
	}
	return fmt.Sprintf("%s to bring up to date by rewriting %s.%s", count(updates, "package"), count(layers, "layer"), heldToo(held))
}

func resultVerdict(r *pipeline.Result) string {
	updates, held, layers := 0, 0, 0
	for _, p := range r.Platforms {
		updates, held = updates+len(p.Updates), held+len(p.Held)
		for _, l := range p.Layers {
			if l.OldDigest != l.NewDigest {
				layers++
			}
		}
	}
	return fmt.Sprintf("%s brought up to date by rewriting %s; nothing else changed.%s", count(updates, "package"), count(layers, "layer"), heldToo(held))
}

func heldToo(held int) string {
	if held == 0 {
		return ""
	}
	return fmt.Sprintf(" %s held back.", count(held, "update"))
}

// count is "1 package", "2 packages".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// layerRow is one layer before and after.
type layerRow struct {
	plan.Layer
	newDigest v1.Hash
	newSize   int64
}

// part shows one image's plan; of a rebuilt one with the layers that came out.
func part(p *plan.Plan, applied []appliedLayer, titled bool, now time.Time) page.Part {
	out := page.Part{Alerts: alerts(p, now)}
	if titled {
		out.Title = p.Image.Platform
	}
	var cves []string
	security, heldSecurity := 0, 0
	for _, u := range p.Updates {
		cves = append(cves, u.CVEs...)
		security += one(u.Security)
	}
	for _, h := range p.Held {
		heldSecurity += one(h.Security)
	}
	slices.Sort(cves)
	for _, f := range []page.Figure{
		{Value: strconv.Itoa(len(p.Updates)), Label: "updates"},
		{Value: strconv.Itoa(security), Label: "of them security"},
		{Value: strconv.Itoa(len(slices.Compact(cves))), Label: "CVEs fixed", Tone: page.Good},
		{Value: strconv.Itoa(len(p.Held)), Label: "held", Tone: page.Warn},
		{Value: strconv.Itoa(heldSecurity), Label: "held security", Tone: page.Bad},
		{Value: strconv.Itoa(len(p.Unmanaged)), Label: "unmanaged", Tone: page.Warn},
	} {
		if f.Value != "0" || f.Label == "updates" {
			out.Figures = append(out.Figures, f)
		}
	}
	out.Figures = append(out.Figures, page.Figure{Value: fmt.Sprintf("%d of %d", p.Rewritten(), len(p.Layers)), Label: "layers rewritten"})
	rows := make([]layerRow, len(p.Layers))
	for i, l := range p.Layers {
		rows[i] = layerRow{Layer: l}
		if i < len(applied) {
			rows[i].newDigest, rows[i].newSize = applied[i].NewDigest, applied[i].NewSize
		}
	}
	out.Layers = layerBars(rows)
	out.Tables = []page.Table{updateTable(p.Updates, now), heldTable(p.Held), unmanagedTable(p.Unmanaged), overrideTable(p.Overridden, p.KeptFiles)}
	return out
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

func alerts(p *plan.Plan, now time.Time) []page.Alert {
	var out []page.Alert
	if p.EOL != nil {
		out = append(out, page.Alert{Tone: page.Bad, Title: "End of life.", Text: fmt.Sprintf(
			"%s has been without support since %s, %s ago: it gets no more fixes, and being up to date here says little.",
			distro(p.Distro), p.EOL.Format("2 January 2006"), days(p.EOL.Time, now))})
	}
	if n := slices.IndexFunc(p.Held, func(h plan.Hold) bool { return h.Security }); n >= 0 {
		out = append(out, page.Alert{Tone: page.Bad, Title: "Security updates are held.", Text: "The packages below marked with security keep a known weakness until what holds them is resolved."})
	}
	if n := len(p.Unmanaged); n > 0 {
		out = append(out, page.Alert{Tone: page.Warn, Title: count(n, "unmanaged package") + ".", Text: "No configured repository serves them: whether they are up to date is not known."})
	}
	return out
}

// days is how long ago something was, in whole days; empty where that is not known.
func days(since, now time.Time) string {
	if since.IsZero() {
		return ""
	}
	return count(int(max(now.Sub(since), 0)/(24*time.Hour)), "day")
}

func updateTable(list []plan.Update, now time.Time) page.Table {
	t := page.Table{ID: "updates", Title: "Updates", Columns: []string{"Package", "Version", "Level", "Layer", "Waiting", "Fixed CVEs"}}
	for _, u := range list {
		name := page.Cell{Text: u.Name, Detail: u.Arch}
		if u.ToArch != "" {
			name.Detail += " → " + u.ToArch
		}
		if u.Security {
			name.Badge, name.Tone = "security", page.Bad
		}
		level := report.Level(u.Level)
		if u.NumberLevel != "" && u.NumberLevel != u.Level {
			level.Detail = u.NumberLevel + " by number"
		}
		t.Rows = append(t.Rows, []page.Cell{
			name,
			{From: u.From, Text: u.To, Code: true},
			level,
			{Text: strconv.Itoa(u.Layer)},
			{Text: days(u.Artifact.Date, now)},
			{CVEs: u.CVEs, Detail: sources(u)},
		})
	}
	return t
}

// sources are those that name a CVE.
func sources(u plan.Update) string {
	var names []string
	for _, s := range u.Advisories {
		if len(s.CVEs) > 0 {
			names = append(names, report.Source(string(s.Kind), s.Name))
		}
	}
	return strings.Join(names, ", ")
}

func heldTable(list []plan.Hold) page.Table {
	t := page.Table{ID: "held", Title: "Held", Note: "Newer versions that were not taken, and why.", Tone: page.Warn, Columns: []string{"Package", "Version", "Reason", "Detail"}}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b plan.Hold) int { return cmp.Compare(one(b.Security), one(a.Security)) })
	for _, h := range list {
		name := page.Cell{Text: h.Name, Detail: h.Arch}
		if h.Security {
			name.Badge, name.Tone = "security", page.Bad
		}
		t.Rows = append(t.Rows, []page.Cell{name, {From: h.From, Text: h.Candidate, Code: true}, {Badge: string(h.Reason), Tone: page.Warn}, {Text: h.Detail}})
	}
	return t
}

func unmanagedTable(list []plan.Unmanaged) page.Table {
	t := page.Table{
		ID: "unmanaged", Title: "Unmanaged", Note: "No configured repository serves these. They are not up to date; they are not known.",
		Tone: page.Warn, Columns: []string{"Package", "Version", "Why"},
	}
	for _, u := range list {
		t.Rows = append(t.Rows, []page.Cell{{Text: u.Name, Detail: u.Arch}, {Text: u.Version, Code: true}, {Text: u.Why}})
	}
	return t
}

func overrideTable(overrides []plan.Override, kept []plan.KeptFile) page.Table {
	t := page.Table{ID: "kept", Title: "Files that stay as their author left them", Columns: []string{"Path", "Package", "Why"}}
	for _, o := range overrides {
		t.Rows = append(t.Rows, []page.Cell{{Text: o.Path, Code: true}, {Text: o.Package}, {Text: fmt.Sprintf("replaced in layer %d", o.Layer)}})
	}
	for _, k := range kept {
		t.Rows = append(t.Rows, []page.Cell{{Text: k.Path, Code: true}, {Text: k.Package}, {Text: "changed configuration file"}})
	}
	return t
}

func layerBars(rows []layerRow) []page.Layer {
	largest := int64(1)
	for _, l := range rows {
		largest = max(largest, l.Size, l.newSize)
	}
	var out []page.Layer
	for _, l := range rows {
		bar := page.Layer{Index: l.Index, State: "kept", Size: Size(l.Size), Digest: "sha256:" + short(l.Digest.Hex), CreatedBy: l.CreatedBy, Share: 100 * float64(l.Size) / float64(largest)}
		if l.Action != plan.Keep {
			bar.Changed, bar.State = true, "rewritten"
			if l.newSize > 0 {
				bar.Size = Size(l.Size) + " → " + Size(l.newSize)
				bar.Digest += " → sha256:" + short(l.newDigest.Hex)
				bar.Share = 100 * float64(l.newSize) / float64(largest)
			}
		}
		out = append(out, bar)
	}
	return out
}
