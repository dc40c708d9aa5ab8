package apt

import (
	"slices"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
)

// Archive is what an image's repositories offer, verified. Open is the only way to make one; the zero
// Archive offers nothing. It is immutable and safe for concurrent use.
type Archive struct {
	native     string
	candidates map[string][]pkgrepo.Candidate
	origins    []*pkgrepo.Origin
	notes      []string
	end        time.Time
}

// Candidates returns the versions of a package that the repositories offer for an installed package of the
// given architecture. As in apt, packages of architecture "all" belong to the image's own architecture:
// there an update may change from one to the other.
//
// A version that several indexes offer appears once for each, those of a security pocket first, then in the
// order of the sources; all have the version's one Priority.
func (a *Archive) Candidates(name, arch string) []pkgrepo.Candidate {
	all := a.candidates[name]
	match := func(c pkgrepo.Candidate) bool {
		if arch == "all" || arch == a.native {
			return c.Arch == "all" || c.Arch == a.native
		}
		return c.Arch == arch
	}
	var out []pkgrepo.Candidate
	for _, c := range all {
		if match(c) {
			out = append(out, c)
		}
	}
	return out
}

// Serves tells whether any repository offers any version of the package: if not, it is unmanaged.
func (a *Archive) Serves(name, arch string) bool { return len(a.Candidates(name, arch)) > 0 }

// Origins lists the indexes that were read, one for each component of each suite, in the order of the sources.
// Their digest, signer and date record the state of the repositories.
func (a *Archive) Origins() []*pkgrepo.Origin { return slices.Clone(a.origins) }

// Notes say, a line each, what of the configured sources could not be used, and why.
func (a *Archive) Notes() []string { return slices.Clone(a.notes) }

// EndOfLife returns the first day on which the image's release gets no more updates; ok is false where
// that is not known.
func (a *Archive) EndOfLife() (day time.Time, ok bool) { return a.end, !a.end.IsZero() }

// index is one index that was read.
type index struct {
	pocket
	candidates []pkgrepo.Candidate
}

// newArchive puts indexes together and gives every version its priority.
func newArchive(native string, prefs *preferences, indexes []index) *Archive {
	a := &Archive{native: native, candidates: make(map[string][]pkgrepo.Candidate)}
	type version struct{ name, arch, version string }
	from := make(map[version][]pocket)
	for _, x := range indexes {
		if !slices.Contains(a.origins, x.origin) {
			a.origins = append(a.origins, x.origin)
		}
		for _, c := range x.candidates {
			a.candidates[c.Name] = append(a.candidates[c.Name], c)
			v := version{c.Name, c.Arch, c.Version}
			from[v] = append(from[v], x.pocket)
		}
	}
	for _, list := range a.candidates {
		for i := range list {
			c := &list[i]
			c.Priority = prefs.ofVersion(c, native, from[version{c.Name, c.Arch, c.Version}])
		}
		slices.SortStableFunc(list, func(x, y pkgrepo.Candidate) int { return rank(x) - rank(y) })
	}
	return a
}

func rank(c pkgrepo.Candidate) int {
	if c.Origin.Security {
		return 0
	}
	return 1
}
