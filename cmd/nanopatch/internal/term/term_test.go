package term

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestLine(t *testing.T) {
	for in, want := range map[string]string{
		"plain, wörld ✓ → €":        "plain, wörld ✓ → €",
		"two\nlines\tand\r\n more ": "two lines and more",
		"red \x1b[31mtext\x07":      "red ?[31mtext?",
		"abc\u202ecba\u2066x":       "abc?cba?x",
		"bad \xff byte, C1 \u009b":  "bad ? byte, C1 ?",
	} {
		if got := Line(in); got != want {
			t.Errorf("Line(%q) = %q, want %q", in, got, want)
		}
	}
}

// TestBars: what was said last is on the terminal when Close returns, also of a stage that never ended, and messages
// are not lost before or after.
func TestBars(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var screen bytes.Buffer
		b := NewBars(&screen, time.Now)
		done := b.Stage("plan")
		b.Stage("push")
		if _, err := b.Write([]byte("a warning\n")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		done("")
		b.Close()
		b.Close()
		if _, err := b.Write([]byte("a late warning\n")); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"plan", "2.00s", "push", "a warning\n", "a late warning\n"} {
			if !strings.Contains(screen.String(), want) {
				t.Errorf("the terminal shows no %q: %q", want, screen.String())
			}
		}
	})
}
