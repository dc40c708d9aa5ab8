package apk

import (
	"fmt"
	"slices"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/apk"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
)

// Archive is what an image's repositories offer, verified. Open is the only way to make one; the zero Archive offers
// nothing. It is immutable and safe for concurrent use.
type Archive struct {
	client     *pkgrepo.Client
	candidates map[string][]pkgrepo.Candidate
	checksums  map[pkgrepo.Artifact]apk.Checksum
	origins    []*pkgrepo.Origin
	notes      []string
	distro     Distro
}

// archive puts the indexes together, in the order of the sources.
func (o *opener) archive(groups [][]index) *Archive {
	a := &Archive{
		client: o.Client, distro: o.distro, candidates: make(map[string][]pkgrepo.Candidate),
		checksums: make(map[pkgrepo.Artifact]apk.Checksum),
	}
	for _, x := range slices.Concat(groups...) {
		a.origins = append(a.origins, x.origin)
		for _, p := range x.packages {
			c := p.candidate
			if !o.world.tagged(c.Name, x.tag) {
				continue
			}
			if !o.world.allows(c.Name, c.Version) {
				c.Priority = -1
			}
			if known, twice := a.checksums[c.Artifact]; twice && known != p.checksum {
				a.notes = append(a.notes, fmt.Sprintf("%s: listed twice, with different checksums", c.Artifact.URL))
				continue
			}
			a.checksums[c.Artifact] = p.checksum
			a.candidates[c.Name] = append(a.candidates[c.Name], c)
		}
	}
	return a
}

// Candidates returns the versions of a package that the repositories offer, in the order of the sources. The architecture is
// not asked for: apk has one instance of a package. Versions that etc/apk/world does not admit have a negative priority;
// those of a tagged repository are only there if the world asks for the package by that tag.
//
// The artifacts have no SHA-256, as an index has none: [Archive.Resolve] completes them.
func (a *Archive) Candidates(name, _ string) []pkgrepo.Candidate {
	return slices.Clone(a.candidates[name])
}

// Serves tells whether any repository offers any version of the package: if not, it is unmanaged.
func (a *Archive) Serves(name, _ string) bool { return len(a.candidates[name]) > 0 }

// Origins lists the indexes that were read, in the order of the sources.
func (a *Archive) Origins() []*pkgrepo.Origin { return slices.Clone(a.origins) }

// Notes say, a line each, what of the sources could not be used, and why.
func (a *Archive) Notes() []string { return slices.Clone(a.notes) }

// Distro is the image's distribution.
func (a *Archive) Distro() Distro { return a.distro }

// EndOfLife returns the first day on which the image's release gets no more updates; ok is false where that is not known.
func (a *Archive) EndOfLife() (day time.Time, ok bool) { return EndOfLife(a.distro) }
