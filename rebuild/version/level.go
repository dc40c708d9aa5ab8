package version

import (
	"fmt"
	"strings"
)

// Level is how large an update is: Revision < Patch < Minor < Major. The zero value is no level at all and smaller
// than each.
type Level int

// The levels of an update.
const (
	// Revision is an update of the packaging only: the upstream version stays.
	Revision Level = iota + 1
	// Patch changes the upstream version in its third or a later component, or in the last of two.
	Patch
	// Minor changes the second component.
	Minor
	// Major changes the first component, or the epoch.
	Major
)

var levelNames = [...]string{Revision: "revision", Patch: "patch", Minor: "minor", Major: "major"}

// String returns the level's name, "none" for the zero value.
func (l Level) String() string {
	switch {
	case l == 0:
		return "none"
	case l < 0 || int(l) >= len(levelNames):
		return fmt.Sprintf("Level(%d)", int(l))
	}
	return levelNames[l]
}

// ParseLevel is the inverse of String for the four levels.
func ParseLevel(s string) (Level, error) {
	for l := Revision; l <= Major; l++ {
		if levelNames[l] == s {
			return l, nil
		}
	}
	return 0, fmt.Errorf("unknown level %q: want one of %s", s, strings.Join(levelNames[Revision:], ", "))
}

// MarshalText returns the level's name; empty for the zero value.
func (l Level) MarshalText() ([]byte, error) {
	switch {
	case l == 0:
		return nil, nil
	case l < 0 || int(l) >= len(levelNames):
		return nil, fmt.Errorf("no such level: %d", int(l))
	}
	return []byte(levelNames[l]), nil
}

// UnmarshalText is the inverse of MarshalText.
func (l *Level) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*l = 0
		return nil
	}
	parsed, err := ParseLevel(string(text))
	if err != nil {
		return err
	}
	*l = parsed
	return nil
}
