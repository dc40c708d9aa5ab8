package page

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

func markdownOf(t *testing.T, sections ...Section) string {
	t.Helper()
	var b bytes.Buffer
	if err := Markdown(&b, sections); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestMarkdown(t *testing.T) {
	got := markdownOf(t,
		Section{Title: "a_b"}, Section{Title: "Empty", Columns: []string{"x"}},
		Section{Title: "Rows", Columns: []string{"x", "y"}, Rows: [][]string{{"1|2", "<b>"}}},
		Section{Title: "Folded", Columns: []string{"x"}, Rows: [][]string{{"1"}}, Fold: true})
	want := "a\\_b\n\n### Rows\n\n| x | y |\n| --- | --- |\n| 1\\|2 | &lt;b&gt; |\n\n" +
		"<details><summary><b>Folded</b> (1)</summary>\n\n| x |\n| --- |\n| 1 |\n\n</details>\n"
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// TestMarkdownLimit: whatever is too long, what is written is not, is whole, and says what is missing.
func TestMarkdownLimit(t *testing.T) {
	long := strings.Repeat("é", longest)
	rows := make([][]string, 500)
	for i := range rows {
		rows[i] = []string{long}
	}
	var many []Section
	for i := range 200 {
		many = append(many, Section{Title: fmt.Sprint("Section ", i), Columns: []string{"x"}, Rows: rows[:2]})
	}
	for name, c := range map[string]struct {
		sections []Section
		missing  string
	}{
		"rows":       {[]Section{{Title: "Long", Columns: []string{"x"}, Rows: rows}, {Title: "After", Columns: []string{"x"}, Rows: rows[:1]}}, " of 500 rows of “Long”, 1 of 1 rows of “After”"},
		"sections":   {many, "the rest of "},
		"paragraphs": {append(many[:80:80], Section{Title: long}), "a paragraph"},
	} {
		text := markdownOf(t, c.sections...)
		if n := utf8.RuneCountInString(text); n > MarkdownLimit {
			t.Errorf("%s: %d characters", name, n)
		}
		if !strings.Contains(text, "GitHub takes no more than 65,536 characters") || !strings.Contains(text, c.missing) {
			t.Errorf("%s: the note is %q", name, text[max(0, len(text)-200):])
		}
		if strings.Count(text, "<details>") != strings.Count(text, "</details>") || !utf8.ValidString(text) {
			t.Errorf("%s: the markdown is broken", name)
		}
	}
}

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{
		"@team":             "@&#8203;team",
		"#12":               "\\#&#8203;12",
		"https://a.example": "https:&#8203;//a.example",
		"<img src=x>":       "&lt;img src=x&gt;",
		"&lt;":              "&amp;lt;",
		"[a](b)":            "\\[a\\](b)",
		"\x1b[1m\u202ex":    "?\\[1m?x",
		"a\nb":              "a b",
	} {
		if got := Escape(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// TestPruned: a column that no row fills is left out, and the page that was given stays as it is.
func TestPruned(t *testing.T) {
	p := &Page{Kind: "Plan", Title: "x", Parts: []Part{{Tables: []Table{{ID: "t", Title: "T", Columns: []string{"A", "B", "C"}, Rows: [][]Cell{{{Text: "1"}, {}, {CVEs: []string{"CVE-2024-0001", "<b>"}}}}}}}}}
	var b bytes.Buffer
	if err := HTML(&b, p); err != nil {
		t.Fatal(err)
	}
	html := b.String()
	if strings.Contains(html, ">B<") || !strings.Contains(html, `data-label="C"`) || len(p.Parts[0].Tables[0].Columns) != 3 {
		t.Errorf("columns: %s", html[strings.Index(html, "<thead"):])
	}
	if !strings.Contains(html, `href="https://www.cve.org/CVERecord?id=CVE-2024-0001"`) || !strings.Contains(html, "<li>&lt;b&gt;</li>") {
		t.Error("what is no identifier is a link, or one that is is not")
	}
}
