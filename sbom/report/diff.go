package report

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/nanopatch/nanopatch/sbom"
	"github.com/nanopatch/nanopatch/sbom/diff"
)

// DiffTable shows a diff on a terminal.
func DiffTable(w io.Writer, d *diff.Diff, colour bool) error {
	return writeTables(w, diffHeading(d), diffSections(d), colour)
}

// DiffMarkdown shows a diff in markdown.
func DiffMarkdown(w io.Writer, d *diff.Diff) error {
	return writeMarkdown(w, diffHeading(d), diffSections(d))
}

// DiffJSON writes a diff as its documented JSON.
func DiffJSON(w io.Writer, d *diff.Diff) error { return writeJSON(w, d) }

func diffHeading(d *diff.Diff) []string {
	return []string{image(d.Old) + " → " + image(d.New), diffSummary(d)}
}

// image names an image in a heading.
func image(i sbom.Image) string {
	name := clean(i.Ref)
	var details []string
	if hex, ok := strings.CutPrefix(i.Digest, "sha256:"); ok && !strings.Contains(i.Ref, i.Digest) {
		details = append(details, "sha256:"+hex[:min(len(hex), 12)])
	}
	if i.Platform != "" {
		details = append(details, i.Platform)
	}
	if len(details) > 0 {
		name += " (" + clean(strings.Join(details, ", ")) + ")"
	}
	return name
}

func diffSummary(d *diff.Diff) string {
	if d.Empty() {
		return "No difference: " + count(d.Unchanged, "package") + "."
	}
	byDirection := map[diff.Direction]int{}
	for _, c := range d.Changed {
		byDirection[c.Direction]++
	}
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{
		{byDirection[diff.Upgrade], "upgraded"},
		{byDirection[diff.Downgrade], "downgraded"},
		{byDirection[""], "changed"},
		{len(d.Added), "added"},
		{len(d.Removed), "removed"},
		{len(d.Moved), "moved to another layer"},
		{len(d.Relicensed), "relicensed"},
		{len(d.Consequences), "following from that"},
		{d.Unchanged, "unchanged"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	return strings.Join(parts, ", ") + "."
}

func diffSections(d *diff.Diff) []section {
	all := []section{
		changes("Upgraded", d.Changed, diff.Upgrade, green), changes("Downgraded", d.Changed, diff.Downgrade, red),
		changes("Changed", d.Changed, "", plain), packages("Added", d.Added, yellow), packages("Removed", d.Removed, yellow),
	}
	moved := section{title: "Moved to another layer", columns: []string{"package", "type", "version", "from layer", "to layer"}}
	for _, m := range d.Moved {
		moved.add(named(m.Name, m.Arch), m.Type, m.Version, layer(&m.FromLayer), layer(&m.Layer))
	}
	licenses := section{title: "Relicensed", columns: []string{"package", "type", "version", "from", "to"}, paint: yellow}
	relicensed(d, func(name, typ, version string, l diff.Licenses) {
		licenses.add(name, typ, version, strings.Join(l.From, ", "), strings.Join(l.To, ", "))
	})
	follow := section{title: "Following from the updates", columns: []string{"package", "type", "from", "to", "because"}}
	for _, c := range d.Consequences {
		follow.add(named(c.Name, c.Arch), c.Type, c.From, c.To, c.Because)
	}
	fixed := section{title: "Fixed CVEs", columns: []string{"id", "package", "says"}}
	for _, id := range d.FixedCVEs {
		names, sources := fixers(d, id)
		fixed.add(id, strings.Join(names, ", "), strings.Join(sources, ", "))
	}
	return append(all, moved, licenses, follow, fixed)
}

// relicensed calls f for each package that changed its licenses, with a new version or without.
func relicensed(d *diff.Diff, f func(name, typ, version string, l diff.Licenses)) {
	for _, c := range d.Changed {
		if c.Licenses != nil {
			f(named(c.Name, c.Arch), c.Type, c.To, *c.Licenses)
		}
	}
	for _, r := range d.Relicensed {
		f(named(r.Name, r.Arch), r.Type, r.Version, r.Licenses)
	}
}

// fixers are the packages whose upgrades fix a CVE, and the sources that say so.
func fixers(d *diff.Diff, id string) (names, sources []string) {
	for _, c := range d.Changed {
		if !slices.Contains(c.FixedCVEs, id) {
			continue
		}
		names = append(names, named(c.Name, c.Arch))
		for _, s := range c.Advisories {
			if source := Source(s.Kind, s.Name); slices.Contains(s.CVEs, id) && !slices.Contains(sources, source) {
				sources = append(sources, source)
			}
		}
	}
	return names, sources
}

// Source names what says that a CVE is fixed: "osv (debian.json)".
func Source(kind, name string) string {
	if name == "" {
		return kind
	}
	return kind + " (" + name + ")"
}

func changes(title string, list []diff.Change, direction diff.Direction, p paint) section {
	s := section{title: title, columns: []string{"package", "type", "from", "to", "level", "layer"}, paint: p}
	for _, c := range list {
		if c.Direction != direction {
			continue
		}
		from := c.From
		if c.FromArch != "" {
			from += " (" + c.FromArch + ")"
		}
		s.add(named(c.Name, c.Arch), c.Type, from, c.To, c.Level, layers(c))
	}
	return s
}

// layers is the layer of a change, or both of one that moved.
func layers(c diff.Change) string {
	if c.FromLayer == nil {
		return layer(c.Layer)
	}
	return layer(c.FromLayer) + " → " + layer(c.Layer)
}

func packages(title string, list []diff.Package, p paint) section {
	s := section{title: title, columns: []string{"package", "type", "version", "layer"}, paint: p}
	for _, one := range list {
		s.add(named(one.Name, one.Arch), one.Type, one.Version, layer(one.Layer))
	}
	return s
}

// named is a package's name with its architecture, as dpkg writes it.
func named(name, arch string) string {
	if arch == "" || arch == "all" || arch == "noarch" {
		return name
	}
	return name + ":" + arch
}

func layer(index *int) string {
	if index == nil {
		return ""
	}
	return strconv.Itoa(*index)
}
