package maintscript

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// The places of deb-systemd-helper's state: for each unit the links it made, by name and one by one, and which units
// it masked.
const (
	// UnitStateDir is the part of it whose files Check reads, as a clean path.
	UnitStateDir = "var/lib/systemd/deb-systemd-helper-enabled"
	unitStateDir = "/" + UnitStateDir
	unitMaskDir  = "/var/lib/systemd/deb-systemd-helper-masked"
	unitLinkDir  = "/etc/systemd/system"
)

// systemdHelper follows deb-systemd-helper(1p): it enables a unit by making links, remembers them, and so can tell on
// upgrades whether the administrator disabled it. Nothing changes if the links that the unit asks for are those
// remembered. Units of users are left aside.
func (e *evaluator) systemdHelper(args []string) (int, bool) {
	if len(args) > 0 && args[0] == "--quiet" {
		args = args[1:]
	}
	if len(args) < 2 || strings.HasPrefix(args[0], "-") {
		return 0, false
	}
	action, units := args[0], args[1:]
	status := 0
	if action == "was-enabled" || action == "debian-installed" {
		status = 1
	}
	for _, unit := range units {
		if strings.HasPrefix(unit, "-") || strings.Contains(unit, "/") {
			return 0, false
		}
		yes, inert := e.unitAction(action, unit)
		if !inert {
			return 0, false
		}
		if yes {
			status = 0
		}
	}
	return status, true
}

// unitAction says for one unit what the helper would answer, and whether it would change nothing.
func (e *evaluator) unitAction(action, unit string) (yes, inert bool) {
	recorded, known := e.recordedLinks(unit)
	switch action {
	case "was-enabled":
		return !slices.ContainsFunc(recorded, func(link string) bool { return !e.there(link) }), true
	case "debian-installed":
		return known, true
	case "unmask":
		return false, !e.there(path.Join(unitMaskDir, unit))
	case "update-state":
		wanted, ok := e.wantedLinks(unit, nil)
		return false, known && ok && slices.Equal(wanted, recorded)
	case "enable":
		wanted, ok := e.wantedLinks(unit, nil)
		if !known || !ok {
			return false, false
		}
		for _, link := range wanted {
			marker := unitStateDir + strings.TrimPrefix(link, unitLinkDir)
			if !slices.Contains(recorded, link) || !e.there(marker) {
				return false, false
			}
		}
		return false, true
	}
	return false, false
}

func (e *evaluator) there(p string) bool {
	_, ok := e.root.Lstat(p)
	return ok
}

// recordedLinks reads which links were made for a unit.
func (e *evaluator) recordedLinks(unit string) ([]string, bool) {
	data, err := e.root.ReadFile(path.Join(unitStateDir, unit+".dsh-also"))
	if err != nil {
		return nil, false
	}
	return strings.Fields(string(data)), true
}

var (
	wantedBy = regexp.MustCompile(`(?i)^\s*(WantedBy|RequiredBy)=(.+)$`)
	// alsoOrAlias names further units and links, a default instance the link's own name.
	alsoOrAlias = regexp.MustCompile(`(?i)^\s*(Also|Alias|DefaultInstance)=(.+)$`)
)

// wantedLinks reads from a unit which links enabling it takes; false if that is not known. The order is the helper's.
func (e *evaluator) wantedLinks(unit string, visited []string) ([]string, bool) {
	data, err := e.root.ReadFile(e.unitPath(unit))
	if err != nil || len(visited) > maxDepth {
		return nil, false
	}
	visited = append(visited, unit)
	var links, targets []string
	for _, line := range strings.Split(string(data), "\n") {
		if m := wantedBy.FindStringSubmatch(line); m != nil {
			suffix := map[bool]string{true: ".wants", false: ".requires"}[strings.EqualFold(m[1], "WantedBy")]
			for _, target := range strings.Fields(m[2]) {
				targets = append(targets, path.Join(unitLinkDir, unquoted(target)+suffix, unit))
			}
		}
		m := alsoOrAlias.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		switch strings.ToLower(m[1]) {
		case "also":
			for _, other := range strings.Fields(m[2]) {
				if other = unquoted(other); slices.Contains(visited, other) {
					continue
				}
				more, ok := e.wantedLinks(other, visited)
				if !ok {
					return nil, false
				}
				visited = append(visited, other)
				links = append(links, more...)
			}
		case "alias":
			if len(strings.Fields(m[2])) != 1 {
				return nil, false
			}
			if alias := unquoted(strings.TrimSpace(m[2])); alias != unit {
				links = append(links, path.Join(unitLinkDir, alias))
			}
		default:
			return nil, false
		}
	}
	return append(links, targets...), true
}

func unquoted(s string) string { return strings.Trim(s, `"'`) }

// unitPath finds a unit's file.
func (e *evaluator) unitPath(unit string) string {
	for _, dir := range []string{unitLinkDir, "/lib/systemd/system", "/usr/lib/systemd/system"} {
		p := path.Join(dir, unit)
		if mode, ok := e.root.Stat(p); ok && mode.IsRegular() {
			return p
		}
	}
	return path.Join("/", unit)
}
