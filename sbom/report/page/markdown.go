package page

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// MarkdownLimit is how many characters of markdown Markdown writes at most: what GitHub takes for the body of a comment or a pull
// request (65,536 characters, by its API's own error). A job summary takes 1 MiB
// (https://docs.github.com/en/actions/reference/limits), so that what fits one fits the other: each character has at most four bytes.
const MarkdownLimit = 65536

// Section is a part of a report in markdown: a titled table, or a paragraph where it has no columns. A table without rows is not
// shown.
type Section struct {
	Title   string
	Columns []string
	Rows    [][]string
	// Fold hides the table until a reader opens it.
	Fold bool
}

// foldedRows is how long a table may be before it is folded.
const foldedRows = 25

// noteRoom is kept free for saying what was left out.
const noteRoom = 1024

// Markdown writes sections in GitHub's dialect. What is too long is cut at the end of a row, and what is missing is said at the
// end.
func Markdown(w io.Writer, sections []Section) error {
	m := markdown{room: MarkdownLimit - noteRoom}
	for _, s := range sections {
		switch {
		case s.Columns == nil:
			if !m.fits(Escape(s.Title) + "\n\n") {
				m.missing = append(m.missing, "a paragraph")
			}
		case len(s.Rows) > 0:
			m.table(s)
		}
	}
	text := strings.TrimSuffix(m.b.String(), "\n")
	if len(m.missing) > 0 {
		text += "\n" + m.note()
	}
	_, err := io.WriteString(w, text)
	return err
}

type markdown struct {
	b       strings.Builder
	room    int
	missing []string
}

// fits writes text if there is room for it.
func (m *markdown) fits(text string) bool {
	n := utf8.RuneCountInString(text)
	if n > m.room {
		return false
	}
	m.room -= n
	m.b.WriteString(text)
	return true
}

func (m *markdown) table(s Section) {
	title := Escape(s.Title)
	head, foot := "", "\n"
	switch fold := s.Fold || len(s.Rows) > foldedRows; {
	case fold && title != "":
		head, foot = fmt.Sprintf("<details><summary><b>%s</b> (%d)</summary>\n\n", title, len(s.Rows)), "\n</details>\n\n"
	case fold:
		head, foot = fmt.Sprintf("<details><summary>%d rows</summary>\n\n", len(s.Rows)), "\n</details>\n\n"
	case title != "":
		head = "### " + title + "\n\n"
	}
	head += "| " + strings.Join(s.Columns, " | ") + " |\n|" + strings.Repeat(" --- |", len(s.Columns)) + "\n"
	rest := len(s.Rows)
	if m.room > utf8.RuneCountInString(head+foot) {
		m.room -= utf8.RuneCountInString(foot)
		m.fits(head)
		for _, r := range s.Rows {
			line := "|"
			for _, c := range r {
				line += " " + Escape(c) + " |"
			}
			if !m.fits(line + "\n") {
				break
			}
			rest--
		}
		m.b.WriteString(foot)
	}
	if rest > 0 {
		m.missing = append(m.missing, fmt.Sprintf("%d of %d rows of “%s”", rest, len(s.Rows), title))
	}
}

// note says what is missing, within its room.
func (m *markdown) note() string {
	const why = "**Cut:** GitHub takes no more than 65,536 characters. Not shown: "
	text := why + strings.Join(m.missing, ", ") + ". The JSON and HTML reports have everything.\n"
	if utf8.RuneCountInString(text) > noteRoom {
		text = fmt.Sprintf("%sthe rest of %d lists. The JSON and HTML reports have everything.\n", why, len(m.missing))
	}
	return text
}

// escaper breaks what GitHub would read as markup, as a link, or as the name of a person or an issue. It looks for the last two in
// what it has rendered, so that an entity does not stop it: an invisible space (U+200B) does.
var escaper = strings.NewReplacer(
	`\`, `\\`, "|", `\|`, "<", "&lt;", ">", "&gt;", "&", "&amp;", "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`,
	"~", `\~`, "#", "\\#&#8203;", "@", "@&#8203;", "://", ":&#8203;//", "www.", "www&#8203;.", "GH-", "GH&#8203;-",
)

// Escape makes text fit to be shown in markdown as it is.
func Escape(s string) string {
	return escaper.Replace(Clean(s))
}
