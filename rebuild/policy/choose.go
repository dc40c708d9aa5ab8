package policy

import (
	"fmt"
	"slices"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/rebuild/version"
)

// Pin priorities, apt_preferences(5).
const (
	installedPriority = 100  // of the installed version, if no repository raises it
	downgradePriority = 1000 // from which on an older version may replace it
)

// offer is one version on offer, from one repository or several.
type offer struct {
	// Candidate is the one of the highest priority, whose file would be fetched.
	pkgrepo.Candidate
	// order is positive if the version is newer than the installed one, negative if it is older.
	order int
	// security and frozen say that one of the repositories is so.
	security, frozen bool
}

// choice is what is to become of one installed package, seen alone.
type choice struct {
	from ecosystem.Package
	// offers are the versions on offer, the newest first.
	offers []offer
	// pick is the update that the rules allow, if any; held the better one that they do not, if any.
	pick      *offer
	held      *Hold
	unmanaged string
}

// security tells whether a security fix comes with an offer: apt's IsSecurityUpdate (apt-pkg/upgrade.cc).
func (c choice) security(to *offer) bool {
	past := false
	for i := range c.offers {
		o := &c.offers[i]
		past = past || o == to
		if o.security && o.order > 0 && past {
			return true
		}
	}
	return false
}

// choose finds a package's update by the package's own candidates and the rules.
func (in *Input) choose(p ecosystem.Package) choice {
	c := choice{from: p}
	if _, err := in.Scheme.Compare(p.Version, p.Version); err != nil {
		c.unmanaged = fmt.Sprintf("its version cannot be compared: %v", err)
		return c
	}
	c.offers = in.offers(p)
	if len(c.offers) == 0 {
		c.unmanaged = "no configured repository offers it"
		return c
	}
	best := candidate(c.offers, nil)
	if best == nil {
		c.held = in.pinned(c)
		return c
	}
	if reason, detail, excluded := in.excluded(p); excluded {
		c.held = in.hold(c, best, reason, detail)
		return c
	}
	c.pick = candidate(c.offers, func(o *offer) bool {
		_, _, refused := in.refused(c, o)
		return !refused
	})
	if h := in.Held[p.Key]; h != nil && c.pick != nil {
		c.held = in.hold(c, c.pick, h.Reason, h.Detail)
		c.pick = nil
		return c
	}
	if c.pick != best {
		reason, detail, _ := in.refused(c, best)
		c.held = in.hold(c, best, reason, detail)
	}
	return c
}

// offers merges a package's candidates by version, the newest first. A version that does not follow the scheme is
// none that the package manager would install.
func (in *Input) offers(p ecosystem.Package) []offer {
	var offers []offer
	for _, c := range in.Candidates[p.Key] {
		order, err := in.Scheme.Compare(c.Version, p.Version)
		if err != nil {
			continue
		}
		o := offer{Candidate: c, order: order}
		if c.Origin != nil {
			o.security, o.frozen = c.Origin.Security, c.Origin.Frozen
		}
		offers = append(offers, o)
	}
	slices.SortStableFunc(offers, func(a, b offer) int {
		n, _ := in.Scheme.Compare(b.Version, a.Version)
		return n
	})
	merged := offers[:0]
	for _, o := range offers {
		last := len(merged) - 1
		if last >= 0 && in.same(merged[last].Version, o.Version) {
			merged[last] = merge(merged[last], o)
			continue
		}
		merged = append(merged, o)
	}
	return merged
}

func (in *Input) same(a, b string) bool {
	n, err := in.Scheme.Compare(a, b)
	return err == nil && n == 0
}

// merge joins two offers of one version.
func merge(a, b offer) offer {
	security, frozen, phase := a.security || b.security, a.frozen || b.frozen, max(a.Phase, b.Phase)
	if b.Priority > a.Priority {
		a = b
	}
	a.security, a.frozen, a.Phase = security, frozen, phase
	return a
}

// candidate is apt's choice among the offers that pass a filter (pkgPolicy::GetCandidateVer in apt-pkg/policy.cc), nil
// if the installed version stays: the highest priority wins, the newer version among equals, where the installed
// version takes part with a priority of at least 100 and keeps older ones away unless theirs is 1000 or more.
func candidate(offers []offer, allowed func(*offer) bool) *offer {
	installed := priorityOfInstalled(offers)
	var best *offer
	highest := 0
	for i := range offers {
		o := &offers[i]
		if o.order < 0 {
			highest = max(highest, installed, downgradePriority-1)
		}
		if o.order == 0 || o.Priority <= highest || allowed != nil && !allowed(o) {
			continue
		}
		best, highest = o, o.Priority
	}
	if best != nil && best.Priority < installed {
		return nil
	}
	return best
}

func priorityOfInstalled(offers []offer) int {
	for _, o := range offers {
		if o.order == 0 {
			return max(installedPriority, o.Priority)
		}
	}
	return installedPriority
}

// pinned returns a hold if preferences keep a package from a newer version. That a repository asks not to be taken
// from by itself (backports, experimental) is no preference of the image's author.
func (in *Input) pinned(c choice) *Hold {
	installed := priorityOfInstalled(c.offers)
	for i := range c.offers {
		o := &c.offers[i]
		if o.order <= 0 {
			break
		}
		switch {
		case o.Priority <= 0:
			return in.hold(c, o, ecosystem.ReasonPin, fmt.Sprintf("pinned to priority %d", o.Priority))
		case !isDefault(o.Priority) || !isDefault(installed):
			return in.hold(c, o, ecosystem.ReasonPin,
				fmt.Sprintf("pin priority %d is less than %d of the installed version", o.Priority, installed))
		}
	}
	return nil
}

// isDefault tells whether a priority is one that apt gives without a preference.
func isDefault(priority int) bool {
	return priority == 500 || priority == 100 || priority == 1
}

// excluded tells whether a package is kept whatever its candidates are.
func (in *Input) excluded(p ecosystem.Package) (ecosystem.Reason, string, bool) {
	if p.Hold {
		return ecosystem.ReasonDistroHold, "on hold in the package database", true
	}
	if p.Partial != "" {
		return ecosystem.ReasonNoArtifact, p.Partial, true
	}
	if why, excluded := in.Rules.excludes(p.Key); excluded {
		return ecosystem.ReasonRule, why, true
	}
	return "", "", false
}

// refused tells whether the rules forbid one version.
func (in *Input) refused(c choice, o *offer) (ecosystem.Reason, string, bool) {
	limit, age := in.Rules.limits(c.from.Key)
	if in.Rules.SecurityOnly && !o.security {
		return ecosystem.ReasonRule, "no security repository offers this version", true
	}
	if level, _ := in.level(c, o); level > limit {
		return ecosystem.ReasonLevel, fmt.Sprintf("a %s update, the limit is %s", level, limit), true
	}
	if date, known := in.Dates[o.Artifact]; known && age > 0 && in.Rules.Now.Before(date.Add(age)) {
		return ecosystem.ReasonMinAge, fmt.Sprintf("built %s, old enough on %s", day(date), day(date.Add(age))), true
	}
	if in.Rules.Phased == PhasedRespect && o.Phase < 100 && !c.security(o) && !in.turn(o) {
		return ecosystem.ReasonRule, fmt.Sprintf("phased update, at %d%% so far", o.Phase), true
	}
	return "", "", false
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// level returns how large a step the rules count an offer, and what its number alone says.
func (in *Input) level(c choice, o *offer) (level, number version.Level) {
	number = in.Scheme.Level(c.from.Version, o.Version)
	level = number
	if o.frozen && in.Rules.LevelBy != LevelByNumber {
		level = min(level, version.Patch)
	}
	return level, number
}
