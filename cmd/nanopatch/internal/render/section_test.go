package render

import (
	"io"
	"strings"
	"testing"
)

// TestHostileText: whatever an image calls itself, a table has no control characters and no lines but its own, and
// markdown no markup.
func TestHostileText(t *testing.T) {
	hostile := "x\x1b]0;owned\x07\n\u202e# <b>|*y*"
	table := section{title: hostile, columns: []string{"name"}}
	table.add(hostile)
	for name, write := range map[string]func(io.Writer, []section) error{
		"table":    func(w io.Writer, s []section) error { return asTables(w, s, false) },
		"markdown": asMarkdown,
	} {
		var b strings.Builder
		if err := write(&b, []section{{title: "\n" + hostile}, table}); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(b.String(), "\x1b\x07\u202e") || strings.Contains(b.String(), "\n?#") {
			t.Errorf("%s lets hostile text through: %q", name, b.String())
		}
		if name == "markdown" && (strings.Contains(b.String(), "<b>") || strings.Contains(b.String(), " *y")) {
			t.Errorf("markdown lets markup through: %q", b.String())
		}
		if got := strings.Count(b.String(), "?"); got < 9 {
			t.Errorf("%s: want a mark for each of 9 characters, got %d: %q", name, got, b.String())
		}
	}
}
