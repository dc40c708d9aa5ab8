package pipeline

import (
	"errors"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	pep440 "github.com/aquasecurity/go-pep440-version"

	"github.com/nanopatch/nanopatch/rebuild"
	"github.com/nanopatch/nanopatch/rebuild/version"
)

var errUnordered = errors.New("the order of these versions is not known")

// versions orders the versions of the package types that rebuild knows, and of those whose ecosystems say that theirs are
// semantic versions (https://semver.org) or Python's (PEP 440).
type versions struct{}

// semantic are the types with semantic versions; Go's have a "v" in front.
var semantic = []string{"cargo", "golang", "hex", "npm", "pub", "swift"}

// Compare implements diff.Versions.
func (versions) Compare(kind, a, b string) (int, error) {
	if scheme, ok := rebuild.Scheme(kind); ok {
		return scheme.Compare(a, b)
	}
	switch {
	case slices.Contains(semantic, kind):
		return compareAs(semver.NewVersion, (*semver.Version).Compare, a, b)
	case kind == "pypi":
		return compareAs(pep440.Parse, pep440.Version.Compare, a, b)
	}
	return 0, errUnordered
}

func compareAs[V any](parse func(string) (V, error), compare func(V, V) int, a, b string) (int, error) {
	x, err := parse(a)
	if err != nil {
		return 0, err
	}
	y, err := parse(b)
	if err != nil {
		return 0, err
	}
	return compare(x, y), nil
}

// Level implements diff.Versions.
func (versions) Level(kind, from, to string) string {
	if scheme, ok := rebuild.Scheme(kind); ok {
		return scheme.Level(from, to).String()
	}
	if kind == "pypi" {
		return release(from, to)
	}
	a, errA := semver.NewVersion(from)
	b, errB := semver.NewVersion(to)
	switch {
	case errA != nil || errB != nil:
		return ""
	case a.Major() != b.Major():
		return version.Major.String()
	case a.Minor() != b.Minor():
		return version.Minor.String()
	}
	return version.Patch.String()
}

// release is the level between two of Python's versions, by the first number in which their releases differ (PEP 440, "Final
// releases"; the epoch counts as a number before them all).
func release(from, to string) string {
	a, errA := pep440.Parse(from)
	b, errB := pep440.Parse(to)
	if errA != nil || errB != nil {
		return ""
	}
	epochA, x := numbers(a)
	epochB, y := numbers(b)
	switch {
	case epochA != epochB || x[0] != y[0]:
		return version.Major.String()
	case x[1] != y[1]:
		return version.Minor.String()
	}
	return version.Patch.String()
}

// numbers are a version's epoch and its first two numbers, 0 where it has fewer.
func numbers(v pep440.Version) (epoch string, first [2]string) {
	base := v.BaseVersion()
	if e, rest, ok := strings.Cut(base, "!"); ok {
		epoch, base = e, rest
	}
	copy(first[:], append(strings.Split(base, "."), "0"))
	return epoch, first
}
