package apt

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
)

type matchKind int

const (
	matchVersion matchKind = iota + 1
	matchRelease
	matchOrigin
)

// versionMatch is the value of a Pin field: pkgVersionMatch in apt-pkg/versionmatch.cc.
type versionMatch struct {
	kind matchKind
	// version matches a version, or a release's Version; nil where it is not asked for.
	version func(string) bool
	// fields match the fields of a Release by the letter that names them: a n o l c b. "any" matches either
	// a or n.
	fields map[string]func(string) bool
	// all is set for "release *".
	all bool
	// site matches the host of a repository; nil matches those without one.
	site func(string) bool
}

func newVersionMatch(kind, data string) (versionMatch, bool) {
	if data == "" {
		return versionMatch{}, false
	}
	switch kind {
	case "version":
		return versionMatch{kind: matchVersion, version: versionExpression(data)}, true
	case "origin":
		m := versionMatch{kind: matchOrigin}
		if data = strings.Trim(data, `"`); data != "" {
			m.site = expression(data)
		}
		return m, true
	case "release":
		return newReleaseMatch(data), true
	}
	return versionMatch{}, false
}

func newReleaseMatch(data string) versionMatch {
	m := versionMatch{kind: matchRelease, all: data == "*", fields: make(map[string]func(string) bool)}
	if !strings.Contains(data, "=") {
		if data[0] >= '0' && data[0] <= '9' {
			m.version = versionExpression(data)
		} else {
			m.fields["any"] = expression(data)
		}
		return m
	}
	for f := range strings.SplitSeq(data, ",") {
		key, value, ok := strings.Cut(strings.TrimSpace(f), "=")
		switch key = strings.ToLower(key); {
		case !ok || value == "":
		case key == "v":
			m.version = versionExpression(value)
		case len(key) == 1 && strings.Contains("anolcb", key):
			m.fields[key] = expression(value)
		}
	}
	return m
}

// versionExpression matches a version: "5.10*" by its beginning, else whole or as an expression.
func versionExpression(pattern string) func(string) bool {
	prefix, isPrefix := strings.CutSuffix(pattern, "*")
	expr := expression(prefix)
	return func(v string) bool {
		if strings.EqualFold(v, prefix) || expr(v) {
			return true
		}
		return isPrefix && len(v) >= len(prefix) && strings.EqualFold(v[:len(prefix)], prefix)
	}
}

// expression matches a glob (fnmatch without flags for slashes) or, between slashes, a regular expression;
// neither minds case. One that does not parse matches nothing, as in apt.
func expression(pattern string) func(string) bool {
	re := "(?is)^" + globToRegexp(pattern) + "$"
	if len(pattern) > 1 && pattern[0] == '/' && pattern[len(pattern)-1] == '/' {
		re = "(?is)" + pattern[1:len(pattern)-1]
	}
	compiled, err := regexp.Compile(re)
	if err != nil {
		return func(string) bool { return false }
	}
	return compiled.MatchString
}

func globToRegexp(glob string) string {
	var b strings.Builder
	for i := 0; i < len(glob); i++ {
		switch c := glob[i]; c {
		case '*':
			b.WriteString(".*")
		case '?':
			b.WriteByte('.')
		case '[':
			// A "]" right behind the bracket or its "!" is a member of the set.
			start := i + 1
			if start < len(glob) && (glob[start] == '!' || glob[start] == '^') {
				start++
			}
			end := -1
			if start < len(glob) {
				end = strings.IndexByte(glob[start+1:], ']')
			}
			if end < 0 {
				b.WriteString(`\[`)
				continue
			}
			set := glob[start : start+1+end]
			b.WriteByte('[')
			if start > i+1 {
				b.WriteByte('^')
			}
			b.WriteString(strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`, `^`, `\^`).Replace(set))
			b.WriteByte(']')
			i = start + 1 + end
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	return b.String()
}

// pocket is one index as the pins see it.
type pocket struct {
	origin  *pkgrepo.Origin
	release *releaseFile
	arch    string
}

// matches tells whether a pin of kind release or origin is about the index.
func (m versionMatch) matches(p pocket) bool {
	switch m.kind {
	case matchRelease:
		if m.all {
			return true
		}
		return m.matchesRelease(p)
	case matchOrigin:
		u, err := url.Parse(p.origin.URI)
		if err != nil {
			return false
		}
		if m.site == nil {
			return u.Hostname() == ""
		}
		return u.Hostname() != "" && m.site(u.Hostname())
	}
	return false
}

func (m versionMatch) matchesRelease(p pocket) bool {
	if m.version == nil && len(m.fields) == 0 {
		return false
	}
	o := p.origin
	if m.version != nil && !m.version(o.Version) {
		return false
	}
	for key, match := range m.fields {
		switch key {
		case "any":
			if !match(o.Suite) && !match(o.Codename) {
				return false
			}
			continue
		default:
			values := map[string]string{"a": o.Suite, "n": o.Codename, "o": o.Name, "l": o.Label, "c": o.Component, "b": p.arch}
			if !match(values[key]) {
				return false
			}
		}
	}
	return true
}
