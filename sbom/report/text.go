package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/nanopatch/nanopatch/sbom/report/page"
)

// section is a titled table. Sections without rows are not shown.
type section struct {
	title   string
	columns []string
	rows    [][]string
	// paint is the colour of the rows on a terminal.
	paint paint
}

// paint is a terminal's escape sequence for a colour (ECMA-48, SGR).
type paint string

const (
	plain  paint = ""
	bold   paint = "\x1b[1m"
	red    paint = "\x1b[31m"
	green  paint = "\x1b[32m"
	yellow paint = "\x1b[33m"
	reset  paint = "\x1b[0m"
)

func (p paint) on(s string) string {
	if p == plain || s == "" {
		return s
	}
	return string(p) + s + string(reset)
}

// cellWidth bounds a cell, in characters: five columns of it still fit a wide terminal.
const cellWidth = 60

// clean makes text of an image fit a cell of a terminal.
func clean(s string) string {
	s = page.Clean(s)
	if r := []rune(s); len(r) > cellWidth {
		return string(r[:cellWidth-1]) + "…"
	}
	return s
}

func (s *section) add(cells ...string) {
	for i, c := range cells {
		cells[i] = clean(c)
	}
	s.rows = append(s.rows, cells)
}

// writeTables writes a heading and sections for a terminal.
func writeTables(w io.Writer, heading []string, sections []section, colour bool) error {
	var b strings.Builder
	for _, line := range heading {
		b.WriteString(line + "\n")
	}
	for _, s := range sections {
		if len(s.rows) == 0 {
			continue
		}
		title := s.title
		if !colour {
			s.paint = plain
		} else if title != "" {
			title = bold.on(title)
		}
		b.WriteString("\n")
		if title != "" {
			b.WriteString(title + "\n")
		}
		b.WriteString(s.table() + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (s *section) table() string {
	t := table.NewWriter()
	style := table.StyleLight
	style.Options = table.OptionsNoBordersAndSeparators
	style.Format.Header = text.FormatUpper
	t.SetStyle(style)
	t.SuppressTrailingSpaces()
	cells := func(texts []string, p paint) table.Row {
		row := make(table.Row, len(texts))
		for i, c := range texts {
			row[i] = p.on(c)
		}
		return row
	}
	t.AppendHeader(cells(s.columns, plain))
	for _, r := range s.rows {
		t.AppendRow(cells(r, s.paint))
	}
	return t.Render()
}

// writeMarkdown writes a heading and sections in GitHub's dialect.
func writeMarkdown(w io.Writer, heading []string, sections []section) error {
	var all []page.Section
	for _, line := range heading {
		all = append(all, page.Section{Title: line})
	}
	for _, s := range sections {
		all = append(all, page.Section{Title: s.title, Columns: s.columns, Rows: s.rows})
	}
	return page.Markdown(w, all)
}

// count is a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
