package render

import (
	"fmt"
	"io"

	"github.com/nanopatch/nanopatch/rebuild"
)

// ExplanationTable shows where something comes from on a terminal.
func ExplanationTable(w io.Writer, x *rebuild.Explanation, colour bool) error {
	return asTables(w, explanationSections(x), colour)
}

// ExplanationMarkdown shows where something comes from in markdown.
func ExplanationMarkdown(w io.Writer, x *rebuild.Explanation) error {
	return asMarkdown(w, explanationSections(x))
}

func explanationSections(x *rebuild.Explanation) []section {
	var all []section
	for _, p := range x.Packages {
		s := section{
			title:   fmt.Sprintf("%s:%s %s, %d files", p.Name, p.Arch, p.Version, p.Files),
			columns: []string{"layer", "version", "created by"},
		}
		for _, b := range p.Below {
			s.add(fmt.Sprint(b.Layer), b.Version+" (shadowed)", "")
		}
		s.add(fmt.Sprint(p.Home), p.Version, p.CreatedBy)
		all = append(all, s)
	}
	if x.Path == nil {
		return all
	}
	title := x.Path.Path
	if x.Path.Package != "" {
		title += ", of package " + x.Path.Package
	}
	if !x.Path.Visible {
		title += ", not visible in the image"
	}
	if x.Path.Wasted > 0 {
		title += fmt.Sprintf(", %s in shadowed copies", Size(x.Path.Wasted))
	}
	s := section{title: title, columns: []string{"layer", "action", "size", "", "created by"}}
	for _, l := range x.Path.Layers {
		shadowed := ""
		if l.Shadow {
			shadowed = "shadowed"
		}
		s.add(fmt.Sprint(l.Index), l.Action, Size(l.Size), shadowed, l.CreatedBy)
	}
	return append(all, s)
}
