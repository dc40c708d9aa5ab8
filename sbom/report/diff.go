package report

import (
	"fmt"
	"io"
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
	follow := section{title: "Following from the updates", columns: []string{"package", "type", "from", "to", "because"}}
	for _, c := range d.Consequences {
		follow.add(named(c.Name, c.Arch), c.Type, c.From, c.To, c.Because)
	}
	fixed := section{title: "Fixed CVEs", columns: []string{"id"}}
	for _, id := range d.FixedCVEs {
		fixed.add(id)
	}
	return append(all, follow, fixed)
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
		s.add(named(c.Name, c.Arch), c.Type, from, c.To, c.Level, layer(c.Layer))
	}
	return s
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
