package accounts

import (
	"maps"
	"testing"
)

func TestParseIDs(t *testing.T) {
	got := ParseIDs([]byte("root:x:0:0::/:\nman:x:6:12::/:\n\nman:x:7:1\n:x:8:\nshort:x\nbad:x:-1:\nlast:x:9"))
	if want := map[string]int{"root": 0, "man": 6, "last": 9}; !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
