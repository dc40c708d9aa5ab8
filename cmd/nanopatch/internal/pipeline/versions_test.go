package pipeline

import (
	"errors"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/version"
)

func TestVersions(t *testing.T) {
	for _, c := range []struct {
		kind, from, to string
		order          int
		level          string
	}{
		{"npm", "4.17.20", "4.17.21", -1, "patch"},
		{"npm", "7.3.5", "7.5.4", -1, "minor"},
		{"npm", "2.0.0-rc.1", "2.0.0", -1, "patch"},
		{"npm", "9.0.0", "10.0.0", -1, "major"},
		{"golang", "v0.14.0", "v0.9.1", 1, "minor"},
		{"golang", "v0.0.0-20200101000000-aaaaaaaaaaaa", "v0.0.0-20210101000000-bbbbbbbbbbbb", -1, "patch"},
		{"pypi", "1.16", "1.16.0", 0, "patch"},
		{"pypi", "2.0", "2.0.post1", -1, "patch"},
		{"pypi", "2.0rc1", "2.0", -1, "patch"},
		{"pypi", "2", "2.1", -1, "minor"},
		{"pypi", "2023.7.22", "1!1.0", -1, "major"},
		{"pypi", "0.9", "0.10", -1, "minor"},
		{"deb", "1:1.0-1", "1:1.0-2", -1, "revision"},
	} {
		order, err := versions{}.Compare(c.kind, c.from, c.to)
		if level := (versions{}).Level(c.kind, c.from, c.to); err != nil || order != c.order || level != c.level {
			t.Errorf("%s %s to %s: order %d, level %q, error %v; want %d and %q", c.kind, c.from, c.to, order, level, err, c.order, c.level)
		}
	}
	if _, err := (versions{}).Compare("generic", "1", "2"); !errors.Is(err, errUnordered) {
		t.Errorf("an unknown type: error %v", err)
	}
	for _, kind := range []string{"npm", "pypi", "generic"} {
		if level := (versions{}).Level(kind, "not a version", "1"); level != "" {
			t.Errorf("%s: level %q of what is no version", kind, level)
		}
	}
	var invalid *version.InvalidError
	if _, err := (versions{}).Compare("deb", "", "1"); !errors.As(err, &invalid) {
		t.Errorf("no version: error %v", err)
	}
}
