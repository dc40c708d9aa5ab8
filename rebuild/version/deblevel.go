package version

import (
	"regexp"
	"strings"

	debian "pault.ag/go/debian/version"
)

// packaging matches what packagers add to an upstream version.
var packaging = regexp.MustCompile(
	`[+~.]dfsg[0-9]*(\.[0-9]+)*|[+~](ds|repack)[0-9]*(\.[0-9]+)*\b` + // files removed from upstream's archive
		`|[+~]deb[0-9]+(u[0-9]+)?(\.[0-9]+)*` + // an update of a stable release, of a native package
		`|~bpo[0-9]+(\.[0-9]+)?(\+[0-9]+)?` + // a backport
		`|\+nmu[0-9]+(\.[0-9]+)?|\+b[0-9]+$` + // an upload by someone else, a rebuild
		`|~?ubuntu[0-9.]*(~[0-9.]+)*|build[0-9]+$`)

// date and year match components of calendar versions.
var (
	date = regexp.MustCompile(`^(19|20)[0-9]{2}(0[1-9]|1[0-2])[0-9]{2}`)
	year = regexp.MustCompile(`^(19[7-9]|20[0-9])[0-9](0[1-9]|1[0-2]|[^0-9].*)?$`)
)

// Level is the size of the step between two Debian versions, see Deb.
func (deb) Level(from, to string) Level {
	a, err := parseDeb(from)
	if err != nil {
		return Major
	}
	b, err := parseDeb(to)
	if err != nil {
		return Major
	}
	if a.Epoch != b.Epoch {
		return Major
	}
	return upstreamLevel(upstream(a), upstream(b))
}

// upstream returns the version without what packagers add.
func upstream(v debian.Version) string {
	u := packaging.ReplaceAllString(v.Version, "")
	if _, really, ok := strings.Cut(u, "+really"); ok {
		u = really
	}
	return u
}

func upstreamLevel(a, b string) Level {
	if order(a, b) == 0 {
		return Revision
	}
	as, bs := components(a), components(b)
	n := max(len(as), len(bs))
	for i := range n {
		x, y := at(as, i), at(bs, i)
		if order(x, y) != 0 {
			return componentLevel(i, n, x, y)
		}
	}
	return Patch // the components agree, what follows them does not
}

// componentLevel is the level of a difference between x and y, the components number i of n.
func componentLevel(i, n int, x, y string) Level {
	calendar := date.MatchString(x) && date.MatchString(y) ||
		i == 0 && isYear(x) && isYear(y)
	switch {
	case calendar:
		return Patch
	case i == 0:
		return Major
	case i == 1 && n > 2:
		return Minor
	}
	return Patch
}

// isYear tells whether a first component is a date of any precision: 2024, 2024a, 202403, 20240312.
func isYear(s string) bool { return year.MatchString(s) || date.MatchString(s) }

// components splits the dotted numbers off a version: "1.2p1~rc1+git5" has 1 and 2p1.
func components(v string) []string {
	if i := strings.IndexAny(v, "+~-:"); i >= 0 {
		v = v[:i]
	}
	return strings.Split(v, ".")
}

func at(s []string, i int) string {
	if i < len(s) {
		return s[i]
	}
	return ""
}

// order compares parts of versions as dpkg does.
func order(a, b string) int {
	return debian.Compare(debian.Version{Version: a}, debian.Version{Version: b})
}
