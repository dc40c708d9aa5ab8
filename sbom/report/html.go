package report

import (
	"strconv"
	"strings"

	"github.com/nanopatch/nanopatch/sbom"
	"github.com/nanopatch/nanopatch/sbom/diff"
	"github.com/nanopatch/nanopatch/sbom/report/page"
)

// DiffPage lays a diff out as a page.
func DiffPage(d *diff.Diff) *page.Page {
	return &page.Page{
		Kind: "Diff", Title: d.New.Ref, Verdict: diffSummary(d), Parts: []page.Part{DiffPart(d)},
		Facts: append(facts("Old", d.Old), facts("New", d.New)...),
	}
}

func facts(label string, i sbom.Image) []page.Fact {
	out := []page.Fact{{Label: label, Value: i.Ref, Code: true}}
	if i.Digest != "" {
		out = append(out, page.Fact{Label: label + " digest", Value: i.Digest, Code: true})
	}
	if i.Platform != "" {
		out = append(out, page.Fact{Label: label + " platform", Value: i.Platform})
	}
	return out
}

// DiffPart is the part of a page that shows a diff.
func DiffPart(d *diff.Diff) page.Part {
	p := page.Part{Tables: []page.Table{
		changeTable("downgraded", "Downgraded", page.Bad, d.Changed, diff.Downgrade),
		changeTable("upgraded", "Upgraded", "", d.Changed, diff.Upgrade),
		changeTable("changed", "Changed, in no known order", "", d.Changed, ""),
		packageTable("added", "Added", d.Added), packageTable("removed", "Removed", d.Removed),
	}}
	moved := page.Table{ID: "moved", Title: "Moved to another layer", Columns: []string{"Package", "Version", "Layer"}}
	for _, m := range d.Moved {
		moved.Rows = append(moved.Rows, []page.Cell{
			{Text: m.Name, Detail: kind(m.Type, m.Arch)}, {Text: m.Version, Code: true}, {From: layer(&m.FromLayer), Text: layer(&m.Layer)},
		})
	}
	licenses := page.Table{ID: "relicensed", Title: "Relicensed", Tone: page.Warn, Columns: []string{"Package", "Version", "Licenses"}}
	relicensed(d, func(name, typ, version string, l diff.Licenses) {
		licenses.Rows = append(licenses.Rows, []page.Cell{
			{Text: name, Detail: typ}, {Text: version, Code: true}, {From: strings.Join(l.From, ", "), Text: strings.Join(l.To, ", ")},
		})
	})
	p.Tables = append(p.Tables, moved, licenses, Consequences(d))
	p.Figures = diffFigures(d)
	return p
}

func diffFigures(d *diff.Diff) []page.Figure {
	byDirection := map[diff.Direction]int{}
	for _, c := range d.Changed {
		byDirection[c.Direction]++
	}
	var out []page.Figure
	for _, f := range []struct {
		n     int
		label string
		tone  page.Tone
	}{
		{byDirection[diff.Upgrade], "upgraded", ""},
		{byDirection[diff.Downgrade], "downgraded", page.Bad},
		{byDirection[""], "changed", ""},
		{len(d.Added), "added", ""},
		{len(d.Removed), "removed", ""},
		{len(d.FixedCVEs), "CVEs fixed", page.Good},
		{d.Unchanged, "unchanged", ""},
	} {
		if f.n > 0 {
			out = append(out, page.Figure{Value: strconv.Itoa(f.n), Label: f.label, Tone: f.tone})
		}
	}
	return out
}

func changeTable(id, title string, tone page.Tone, list []diff.Change, direction diff.Direction) page.Table {
	t := page.Table{ID: id, Title: title, Tone: tone, Columns: []string{"Package", "Version", "Level", "Layer", "Fixed CVEs"}}
	for _, c := range list {
		if c.Direction != direction {
			continue
		}
		arch := c.Arch
		if c.FromArch != "" {
			arch = c.FromArch + " → " + c.Arch
		}
		var sources []string
		for _, s := range c.Advisories {
			if len(s.CVEs) > 0 {
				sources = append(sources, Source(s.Kind, s.Name))
			}
		}
		t.Rows = append(t.Rows, []page.Cell{
			{Text: c.Name, Detail: kind(c.Type, arch)},
			{From: c.From, Text: c.To, Code: true},
			Level(c.Level),
			{Text: layers(c)},
			{CVEs: c.FixedCVEs, Detail: strings.Join(sources, ", ")},
		})
	}
	return t
}

// Level is the cell of an update's level: the farther, the louder.
func Level(name string) page.Cell {
	tones := map[string]page.Tone{"minor": page.Warn, "major": page.Bad}
	return page.Cell{Badge: name, Tone: tones[name]}
}

func packageTable(id, title string, list []diff.Package) page.Table {
	t := page.Table{ID: id, Title: title, Columns: []string{"Package", "Version", "Layer"}}
	for _, p := range list {
		t.Rows = append(t.Rows, []page.Cell{{Text: p.Name, Detail: kind(p.Type, p.Arch)}, {Text: p.Version, Code: true}, {Text: layer(p.Layer)}})
	}
	return t
}

// Consequences are the changes that follow from a plan's updates.
func Consequences(d *diff.Diff) page.Table {
	t := page.Table{ID: "follow", Title: "Following from the updates", Columns: []string{"Package", "Version", "Because of"}}
	for _, c := range d.Consequences {
		t.Rows = append(t.Rows, []page.Cell{{Text: c.Name, Detail: kind(c.Type, c.Arch)}, {From: c.From, Text: c.To, Code: true}, {Text: c.Because}})
	}
	return t
}

func kind(typ, arch string) string { return strings.TrimSpace(typ + " " + arch) }
