package policy

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/version"
)

// Rules are the user's choices. The zero value takes patch updates of all packages.
//
// A glob is one of [path.Match]. It names packages ("python3*"), or packages of one architecture if it has a colon
// ("libc6:i386").
type Rules struct {
	// Level is the largest step that is taken; the zero value is version.Patch.
	Level version.Level
	// LevelBy is LevelByPolicy where empty.
	LevelBy LevelBy
	// Only, where not empty, selects the packages that may be updated.
	Only []string
	// Hold keeps packages as they are.
	Hold []HoldRule
	// Packages are exceptions from Level and MinAge; the first that matches counts.
	Packages []PackageRule
	// SecurityOnly takes only versions that a security repository offers.
	SecurityOnly bool
	// MinAge is how old a package file must be. One whose date is not known yet passes.
	MinAge time.Duration
	// Phased is PhasedInclude where empty.
	Phased Phased
	// MachineID stands for the machine in the lottery of phased updates: any text, and the same every time.
	MachineID string
	// Now is the time that ages and the ends of holds are judged by.
	Now time.Time
}

// LevelBy says how the level of an update is judged.
type LevelBy string

// The values of LevelBy.
const (
	// LevelByPolicy counts an update within a frozen release as a patch at most, as the release's policy allows
	// nothing else into it.
	LevelByPolicy LevelBy = "policy"
	// LevelByNumber goes by the version numbers everywhere.
	LevelByNumber LevelBy = "number"
)

// Phased says what is done about updates that a distribution hands out to a part of the machines at first.
type Phased string

// The values of Phased.
const (
	// PhasedInclude takes them.
	PhasedInclude Phased = "include"
	// PhasedRespect takes them when it is the turn of Rules.MachineID, as apt on a machine of that id would.
	PhasedRespect Phased = "respect"
)

// HoldRule keeps the packages that match a glob as they are.
type HoldRule struct {
	Glob string
	// Until is when the hold ends; zero for never.
	Until time.Time
	// Reason is for people to read.
	Reason string
}

// PackageRule sets another level and minimum age for packages that match a glob. Zero values leave what Rules say.
type PackageRule struct {
	Glob   string
	Level  version.Level
	MinAge time.Duration
}

// Validate finds what is wrong in the rules: malformed globs, unknown words, levels and ages out of range.
func (r *Rules) Validate() error {
	globs := append([]string(nil), r.Only...)
	for _, h := range r.Hold {
		globs = append(globs, h.Glob)
	}
	for _, p := range r.Packages {
		globs = append(globs, p.Glob)
		if err := validLimits(p.Level, p.MinAge); err != nil {
			return fmt.Errorf("rule for %s: %w", p.Glob, err)
		}
	}
	for _, g := range globs {
		if _, err := path.Match(g, ""); err != nil || g == "" {
			return fmt.Errorf("rules: %q is not a glob: %w", g, path.ErrBadPattern)
		}
	}
	switch r.LevelBy {
	case "", LevelByPolicy, LevelByNumber:
	default:
		return fmt.Errorf("rules: level by %q: want %s or %s", r.LevelBy, LevelByPolicy, LevelByNumber)
	}
	switch r.Phased {
	case "", PhasedInclude, PhasedRespect:
	default:
		return fmt.Errorf("rules: phased %q: want %s or %s", r.Phased, PhasedInclude, PhasedRespect)
	}
	if err := validLimits(r.Level, r.MinAge); err != nil {
		return fmt.Errorf("rules: %w", err)
	}
	return nil
}

// NeedsDates tells whether a decision depends on when package files were built.
func (r *Rules) NeedsDates() bool {
	return r.MinAge > 0 || slices.ContainsFunc(r.Packages, func(p PackageRule) bool { return p.MinAge > 0 })
}

func validLimits(l version.Level, age time.Duration) error {
	switch {
	case l < 0 || l > version.Major:
		return fmt.Errorf("no such level: %d", int(l))
	case age < 0:
		return fmt.Errorf("minimum age %s is negative", age)
	}
	return nil
}

// matches tells whether a glob names a package. The glob is valid.
func matches(glob string, k ecosystem.Key) bool {
	name := k.Name
	if strings.Contains(glob, ":") {
		name = k.String()
	}
	ok, _ := path.Match(glob, name)
	return ok
}

// limits returns the level and age that apply to a package.
func (r *Rules) limits(k ecosystem.Key) (version.Level, time.Duration) {
	level, age := r.Level, r.MinAge
	for _, p := range r.Packages {
		if !matches(p.Glob, k) {
			continue
		}
		if p.Level != 0 {
			level = p.Level
		}
		if p.MinAge != 0 {
			age = p.MinAge
		}
		break
	}
	if level == 0 {
		level = version.Patch
	}
	return level, age
}

// excludes tells whether the rules keep a package whatever its candidates are, and why.
func (r *Rules) excludes(k ecosystem.Key) (why string, excluded bool) {
	selected := len(r.Only) == 0
	for _, g := range r.Only {
		selected = selected || matches(g, k)
	}
	if !selected {
		return "not among the selected packages", true
	}
	for _, h := range r.Hold {
		if !matches(h.Glob, k) || !h.Until.IsZero() && !r.Now.Before(h.Until) {
			continue
		}
		why = h.Reason
		if why == "" {
			why = "held by rule " + h.Glob
		}
		if !h.Until.IsZero() {
			why += ", until " + h.Until.UTC().Format(time.DateOnly)
		}
		return why, true
	}
	return "", false
}
