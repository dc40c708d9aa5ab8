package apt

import (
	"testing"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/pkgrepo/apt/apttest"
)

// TestSplitInline wants the text that is parsed to be the text that is verified: what the signature does not
// cover must not be in it.
func TestSplitInline(t *testing.T) {
	data, err := apttest.SignInline([]byte("Origin: x \t\n- dash\nlast\n"), time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), apttest.TestKey())
	if err != nil {
		t.Fatal(err)
	}
	text, _, err := splitInline(data)
	if want := "Origin: x\r\n- dash\r\nlast"; err != nil || string(text) != want {
		t.Errorf("got %q, %v, want %q", text, err, want)
	}
}
