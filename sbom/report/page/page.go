package page

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Page is one report.
type Page struct {
	// Kind says what the report is ("Rebuild"), Title what it is about: an image's name.
	Kind, Title string
	// Verdict is the outcome in one sentence.
	Verdict string
	Facts   []Fact
	// Parts are shown one after the other; one of an index's platforms each, or a single one without a title.
	Parts []Part
	// Footer says who made the report, and when.
	Footer string
}

// Part is what a page says about one image.
type Part struct {
	Title   string
	Figures []Figure
	Alerts  []Alert
	Layers  []Layer
	Tables  []Table
}

// Fact is a name and its value.
type Fact struct {
	Label, Value string
	// Code sets the value in a typewriter face: a digest, a reference.
	Code bool
}

// Figure is a number that stands out.
type Figure struct {
	Value, Label string
	Tone         Tone
}

// Alert is something that a reader must not miss.
type Alert struct {
	Title, Text string
	Tone        Tone
}

// Tone is how good or bad a thing is; colour never says it alone.
type Tone string

// The tones. The zero value is neutral.
const (
	Good Tone = "good"
	Warn Tone = "warn"
	Bad  Tone = "bad"
)

// Layer is one layer as a bar as long as its share of the image.
type Layer struct {
	Index int
	// Changed says that the layer is not as it was.
	Changed bool
	// State is the word for that: "kept", "rewritten".
	State string
	// Share is the layer's size in percent of the largest layer's.
	Share float64
	// Size says how large it is, and was.
	Size      string
	Digest    string
	CreatedBy string
}

// Table is a titled list. One without rows is not shown.
type Table struct {
	// ID is the table's anchor: lower-case letters and dashes, once in a part.
	ID, Title string
	// Note is a sentence below the title.
	Note    string
	Tone    Tone
	Columns []string
	Rows    [][]Cell
}

// Cell is one cell of a table. The first of a row names what the row is about.
type Cell struct {
	Text string
	// Code sets the text in a typewriter face.
	Code bool
	// From is shown before the text, with an arrow between.
	From string
	// Detail is shown smaller, below the text.
	Detail string
	// Badge is a word that qualifies the text, in the tone's colour.
	Badge string
	Tone  Tone
	// CVEs are identifiers, shown after the text; more than a few are folded.
	CVEs []string
}

//go:embed page.html
var markup string

//go:embed page.css
var style string

var parsed = template.Must(template.New("page").Funcs(template.FuncMap{
	"clean": Clean, "cve": isCVE, "percent": percent, "style": func() template.CSS { return template.CSS(style) }, //nolint:gosec // our own file
	"fold": func(list []string) bool { return len(list) > folded }, "anchor": anchor, "contents": contents, "several": func(p []Part) bool { return len(p) > 1 },
}).Parse(markup))

// folded is how many entries of a cell's CVEs are shown without unfolding it.
const folded = 4

// HTML writes the page.
func HTML(w io.Writer, p *Page) error {
	var b bytes.Buffer
	if err := parsed.Execute(&b, p.pruned()); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// pruned is the page without the columns in which no row has anything.
func (p *Page) pruned() *Page {
	out := *p
	out.Parts = slices.Clone(p.Parts)
	for i := range out.Parts {
		out.Parts[i].Tables = slices.Clone(out.Parts[i].Tables)
		for j := range out.Parts[i].Tables {
			out.Parts[i].Tables[j].prune()
		}
	}
	return &out
}

func (t *Table) prune() {
	used := make([]bool, len(t.Columns))
	for _, row := range t.Rows {
		for i, c := range row {
			used[i] = used[i] || !c.empty()
		}
	}
	keep := func(i int) bool { return i == 0 || used[i] }
	rows := make([][]Cell, len(t.Rows))
	for r, row := range t.Rows {
		for i, c := range row {
			if keep(i) {
				rows[r] = append(rows[r], c)
			}
		}
	}
	var columns []string
	for i, c := range t.Columns {
		if keep(i) {
			columns = append(columns, c)
		}
	}
	t.Columns, t.Rows = columns, rows
}

// Short tells whether the cell is so short that breaking its line would only look bad.
func (c Cell) Short() bool {
	const short = 14
	return len(c.Text) <= short && len(c.Badge) <= short && c.From == "" && len(c.Detail) <= short && len(c.CVEs) == 0
}

func (c Cell) empty() bool {
	return c.Text == "" && c.From == "" && c.Detail == "" && c.Badge == "" && len(c.CVEs) == 0
}

// percent keeps a bar in its place and visible.
func percent(share float64) string { return fmt.Sprintf("%.2f", min(max(share, 0.4), 100)) }

// anchor is the id of a part's table.
func anchor(part int, id string) string { return fmt.Sprintf("p%d-%s", part, id) }

// content is an entry of the page's table of contents.
type content struct {
	Anchor, Title string
	Rows          int
}

// contents are the sections of a part that are shown.
func contents(part int, p Part) []content {
	var out []content
	for _, t := range p.Tables {
		if len(t.Rows) > 0 {
			out = append(out, content{anchor(part, t.ID), t.Title, len(t.Rows)})
		}
	}
	if len(p.Layers) > 0 {
		out = append(out, content{anchor(part, "layers"), "Layers", len(p.Layers)})
	}
	return out
}

var cvePattern = regexp.MustCompile(`^CVE-[0-9]{4}-[0-9]{4,19}$`)

func isCVE(s string) bool { return cvePattern.MatchString(s) }

// longest bounds one text, in characters.
const longest = 400

// Clean makes text of an image fit to be shown: one line of printable characters, not too long.
func Clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case r == unicode.ReplacementChar || !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, s)
	if r := []rune(s); len(r) > longest {
		return string(r[:longest-1]) + "…"
	}
	return s
}
