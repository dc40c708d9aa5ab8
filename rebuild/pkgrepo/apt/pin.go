package apt

import (
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
)

// Priorities of repositories without a preference (apt_preferences(5)).
const (
	priorityDefault      = 500
	priorityBackports    = 100
	priorityNotAutomatic = 1
	// priorityNever is what "Pin-Priority: never" means, apt's NEVER_PIN: no other pin can raise it.
	priorityNever = math.MinInt16
)

const (
	preferencesFile  = "etc/apt/preferences"
	preferencesParts = "etc/apt/preferences.d"
)

// preferences are an image's pins, in order.
type preferences struct {
	// general are those for "Package: *": they set the priority of repositories.
	general []pin
	// specific are those for packages: they set the priority of versions.
	specific []pin
}

// pin is one Package word of one stanza of the preferences.
type pin struct {
	// name matches package names, or names of source packages where source is set.
	name   func(string) bool
	source bool
	// arch is "" (the native one), "any" or an architecture.
	arch     string
	match    versionMatch
	priority int
}

// readPreferences reads etc/apt/preferences and preferences.d, which apt reads where they have no extension or
// ".pref".
func readPreferences(root fs.FS) (*preferences, error) {
	parts, err := listParts(root, preferencesParts, "", ".pref")
	if err != nil {
		return nil, err
	}
	p := &preferences{}
	for _, name := range append([]string{preferencesFile}, parts...) {
		data, ok, err := readConfig(root, name, maxConfigFile)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		stanzas, err := parseStanzas(name, data)
		if err != nil {
			return nil, err
		}
		for _, s := range stanzas {
			if err := p.add(name, s); err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}

// add follows ReadPinFile in apt-pkg/policy.cc, its leniency included: a stanza without Pin or with an
// unknown kind of pin does nothing.
func (p *preferences) add(file string, s stanza) error {
	fail := func(reason string) error { return &ConfigError{file, s.line, reason} }
	names := s.words("package")
	if len(names) == 0 {
		return fail("no Package")
	}
	general := len(names) == 1 && names[0] == "*"
	kind, data, _ := strings.Cut(strings.ReplaceAll(s.get("pin"), "\t", " "), " ")
	match, ok := newVersionMatch(strings.ToLower(kind), strings.TrimSpace(data))
	if !ok || (general && match.kind == matchVersion) {
		return nil
	}
	priority, err := parsePriority(s.get("pin-priority"))
	if err != nil {
		return fail(err.Error())
	}
	if priority == priorityNever && !general {
		return fail("the priority \"never\" is for \"Package: *\" only")
	}
	if len(p.specific)+len(p.general)+len(names) > maxPins {
		return fail(fmt.Sprintf("more than %d pins", maxPins))
	}
	if general {
		p.general = append(p.general, pin{match: match, priority: priority})
		return nil
	}
	for _, n := range names {
		one := pin{match: match, priority: priority}
		n, one.source = strings.CutPrefix(n, "src:")
		if i := strings.LastIndexByte(n, ':'); i >= 0 {
			n, one.arch = n[:i], n[i+1:]
		}
		one.name = func(s string) bool { return s == n }
		if strings.ContainsAny(n, "*?[") || strings.HasPrefix(n, "/") {
			one.name = expression(n)
		}
		p.specific = append(p.specific, one)
	}
	return nil
}

func parsePriority(s string) (int, error) {
	if s == "never" {
		return priorityNever, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < math.MinInt16 || n > math.MaxInt16 || n == 0 {
		return 0, fmt.Errorf("no usable Pin-Priority: %.30q", s)
	}
	// The one number that would mean "never" is moved aside, as apt does.
	return max(n, priorityNever+1), nil
}

// ofIndex is the priority of an index: pkgPolicy::InitDefaults.
func (p *preferences) ofIndex(x pocket) int {
	priority, fixed := priorityDefault, false
	switch {
	case x.release.butAutomaticUpgrades:
		priority = priorityBackports
	case x.release.notAutomatic:
		priority = priorityNotAutomatic
	}
	for _, g := range p.general {
		if (!fixed || g.priority == priorityNever) && priority != priorityNever && g.match.matches(x) {
			priority, fixed = g.priority, true
		}
	}
	return priority
}

// ofVersion is the priority of one version of a package that the given indexes offer: pkgPolicy::GetPriority.
// The first pin about it decides, unless every index is at "never"; without one, the best index does.
func (p *preferences) ofVersion(c *pkgrepo.Candidate, native string, from []pocket) int {
	best := math.MinInt
	for _, x := range from {
		best = max(best, p.ofIndex(x))
	}
	if best == priorityNever {
		return best
	}
	for _, s := range p.specific {
		if s.about(c, native) && s.covers(c, from) {
			return s.priority
		}
	}
	return best
}

// about tells whether the pin is for the package. Packages of architecture all count as native.
func (s pin) about(c *pkgrepo.Candidate, native string) bool {
	name := c.Name
	if s.source {
		name = c.Source
	}
	arch := c.Arch
	if arch == "all" {
		arch = native
	}
	switch s.arch {
	case "":
		if arch != native {
			return false
		}
	case "any", "*", "all":
	default:
		if arch != s.arch {
			return false
		}
	}
	return s.name(name)
}

func (s pin) covers(c *pkgrepo.Candidate, from []pocket) bool {
	if s.match.kind == matchVersion {
		return s.match.version(c.Version)
	}
	for _, x := range from {
		if s.match.matches(x) {
			return true
		}
	}
	return false
}
