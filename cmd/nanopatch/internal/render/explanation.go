package render

import (
	"fmt"
	"io"
	"strings"

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
			title:   fmt.Sprintf("%s %s, %d files", packageName(p), p.Version, p.Files),
			columns: []string{"layer", "version", "created by"},
		}
		for _, b := range p.Below {
			s.add(fmt.Sprint(b.Layer), b.Version+" (shadowed)", "")
		}
		s.add(fmt.Sprint(p.Home), p.Version, p.CreatedBy)
		if p.Wasted > 0 {
			s.title += fmt.Sprintf(", %s in shadowed copies", Size(p.Wasted))
		}
		if p.Removed != nil {
			s.title += ", removed"
			s.add(fmt.Sprint(p.Removed.Layer), "removed", p.Removed.CreatedBy)
		}
		all = append(all, s)
	}
	if x.Path == nil {
		return all
	}
	title := x.Path.Path
	title += ownedBy(x.Path.Packages)
	if !x.Path.Visible {
		title += ", not visible in the image"
	}
	if x.Path.Wasted > 0 {
		title += fmt.Sprintf(", %s in shadowed copies", Size(x.Path.Wasted))
	}
	s := section{title: title, columns: []string{"layer", "action", "size", "", "created by"}}
	for _, l := range x.Path.Layers {
		action, shadowed := l.Action, ""
		if l.Above != "" {
			action += " " + l.Above
		}
		if l.Shadow {
			shadowed = "shadowed"
		}
		s.add(fmt.Sprint(l.Index), action, Size(l.Size), shadowed, l.CreatedBy)
	}
	return append(all, s)
}

// packageName is a package as its own ecosystem writes it, "zlib1g:amd64", or with its type and where it is.
func packageName(p rebuild.PackageExplanation) string {
	switch {
	case p.Type != "":
		return p.Type + "/" + p.Name + " (" + strings.Join(p.Paths, ", ") + ")"
	case p.Arch != "":
		return p.Name + ":" + p.Arch
	default:
		return p.Name
	}
}

// ownedBy names the packages of a path; of a directory that many share it tells how many.
func ownedBy(packages []string) string {
	const few = 3
	switch n := len(packages); {
	case n == 0:
		return ""
	case n == 1:
		return ", of package " + packages[0]
	case n <= few:
		return ", of packages " + strings.Join(packages, ", ")
	default:
		return fmt.Sprintf(", shared by %d packages", n)
	}
}
