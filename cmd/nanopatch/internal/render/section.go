package render

import (
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/term"
	"github.com/nanopatch/nanopatch/sbom/report/page"
)

// section is a titled table, or a line of text where it has no columns.
type section struct {
	title   string
	columns []string
	rows    [][]string
	// fold says that markdown hides it until a reader opens it.
	fold bool
}

func (s *section) add(cells ...string) {
	for i, c := range cells {
		cells[i] = clean(c)
	}
	s.rows = append(s.rows, cells)
}

// clean makes text from an image fit a cell: as term.Line, and at most 200 runes.
func clean(s string) string {
	s = term.Line(s)
	const most = 200
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return s
}

// heading makes a title safe to print: names of images, paths and os-release take part in it. A line break in front is
// ours, and stays.
func heading(title string) string {
	rest, apart := strings.CutPrefix(title, "\n")
	if apart {
		return "\n" + term.Line(rest)
	}
	return term.Line(rest)
}

// asTables writes sections for a terminal.
func asTables(w io.Writer, sections []section, colour bool) error {
	for _, s := range sections {
		if s.columns == nil {
			if _, err := fmt.Fprintln(w, heading(s.title)); err != nil {
				return err
			}
			continue
		}
		if len(s.rows) == 0 {
			continue
		}
		t := table.NewWriter()
		style := table.StyleLight
		style.Options = table.OptionsNoBordersAndSeparators
		style.Format.Header = text.FormatDefault
		t.SetStyle(style)
		t.AppendHeader(row(s.columns))
		for _, r := range s.rows {
			t.AppendRow(row(r))
		}
		t.SuppressTrailingSpaces()
		if _, err := fmt.Fprintf(w, "\n%s\n%s\n", bold(heading(s.title), colour), t.Render()); err != nil {
			return err
		}
	}
	return nil
}

func bold(s string, colour bool) string {
	if !colour {
		return s
	}
	return "\x1b[1m" + s + "\x1b[0m"
}

func row(cells []string) table.Row {
	r := make(table.Row, len(cells))
	for i, c := range cells {
		r[i] = c
	}
	return r
}

// asMarkdown writes sections for a pull request or a job summary.
func asMarkdown(w io.Writer, sections []section) error {
	all := make([]page.Section, len(sections))
	for i, s := range sections {
		all[i] = page.Section{Title: heading(strings.TrimPrefix(s.title, "\n")), Columns: s.columns, Rows: s.rows, Fold: s.fold}
	}
	return page.Markdown(w, all)
}
