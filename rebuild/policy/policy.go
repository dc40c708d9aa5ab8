package policy

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/rebuild/version"
)

// Input is what a decision is made from.
type Input struct {
	// Scheme orders versions.
	Scheme version.Scheme
	// Arch is the native architecture, the one that packages of architecture "all" count as. Where it is empty it is the
	// one that most installed packages have.
	Arch string
	// Installed lists the installed packages, each key once.
	Installed []ecosystem.Package
	// Candidates are all versions that all repositories offer for an installed package, in the order of the
	// repositories: of two that offer the same version at the same priority the first one's file is taken.
	Candidates map[ecosystem.Key][]pkgrepo.Candidate
	// Dates are the dates on which package files were built, as far as known.
	Dates map[pkgrepo.Artifact]time.Time
	// Held are the updates that cannot be made for a reason that only the package files show.
	Held  map[ecosystem.Key]*ecosystem.HoldError
	Rules Rules
}

// Decision is the outcome. Its lists are sorted by package and never share one.
type Decision struct {
	Updates   []Update
	Held      []Hold
	Unmanaged []Unmanaged
}

// Update is one package to be updated.
type Update struct {
	From ecosystem.Package
	To   pkgrepo.Candidate
	// Level is how large a step the rules count it; NumberLevel is what the version numbers alone say, which is more
	// for some updates of a frozen release.
	Level, NumberLevel version.Level
	// Security says that a security repository offers this version, or one that it supersedes.
	Security bool
	// Beyond is the version that apt would have taken, and why this one is taken instead. It is usually nil.
	Beyond *Hold
}

// Hold is an update that is not taken.
type Hold struct {
	// Package is the installed one.
	Package   ecosystem.Package
	Candidate pkgrepo.Candidate
	Security  bool
	Reason    ecosystem.Reason
	// Detail is one line for a person.
	Detail string
}

// Unmanaged is an installed package that no repository offers in any version: nobody would update it.
type Unmanaged struct {
	Package ecosystem.Package
	Why     string
}

var errScheme = errors.New("deciding on updates: no version scheme")

// Decide chooses the updates. The error is one of the rules, see [Rules.Validate].
func Decide(in Input) (*Decision, error) {
	if in.Scheme == nil {
		return nil, errScheme
	}
	if err := in.Rules.Validate(); err != nil {
		return nil, err
	}
	if in.Arch == "" {
		in.Arch = nativeArch(in.Installed)
	}
	chosen := make([]choice, 0, len(in.Installed))
	for _, p := range in.Installed {
		chosen = append(chosen, in.choose(p))
	}
	slices.SortStableFunc(chosen, func(a, b choice) int { return compareKeys(a.from.Key, b.from.Key) })

	problem := newProblem(&in, chosen)
	updated := problem.solve()
	d := &Decision{}
	for i, c := range chosen {
		switch {
		case updated[i]:
			d.Updates = append(d.Updates, in.update(c))
		case c.pick != nil:
			h := in.hold(c, c.pick, ecosystem.ReasonDependency, problem.explain(i, updated))
			d.Held = append(d.Held, *h)
		case c.held != nil:
			d.Held = append(d.Held, *c.held)
		case c.unmanaged != "":
			d.Unmanaged = append(d.Unmanaged, Unmanaged{Package: c.from, Why: c.unmanaged})
		}
	}
	return d, nil
}

func (in *Input) update(c choice) Update {
	level, number := in.level(c, c.pick)
	return Update{
		From: c.from, To: c.pick.Candidate, Level: level, NumberLevel: number, Security: c.security(c.pick), Beyond: c.held,
	}
}

func (in *Input) hold(c choice, o *offer, reason ecosystem.Reason, detail string) *Hold {
	return &Hold{Package: c.from, Candidate: o.Candidate, Security: c.security(o), Reason: reason, Detail: detail}
}

func compareKeys(a, b ecosystem.Key) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Arch, b.Arch))
}

// allArch is the architecture of packages that run on all of them (dpkg; apk has "noarch").
const allArch = "all"

// nativeArch is the architecture of most packages, the first by name of equals.
func nativeArch(installed []ecosystem.Package) string {
	count := make(map[string]int)
	native := ""
	for _, p := range installed {
		if p.Arch != allArch {
			count[p.Arch]++
		}
	}
	for arch, n := range count {
		if n > count[native] || n == count[native] && arch < native {
			native = arch
		}
	}
	return native
}
