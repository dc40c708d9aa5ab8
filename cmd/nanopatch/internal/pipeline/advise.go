package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/nanopatch/nanopatch/rebuild"
	"github.com/nanopatch/nanopatch/rebuild/advisory"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/sbom"
	"github.com/nanopatch/nanopatch/sbom/diff"
	"github.com/nanopatch/nanopatch/sbom/generate"
)

// advisePlanned records in a diff what its plan knows of the CVEs that each update fixes.
func advisePlanned(d *diff.Diff, p *plan.Plan) {
	known := make(map[diff.Planned][]advisory.Statement, len(p.Updates))
	for _, u := range p.Updates {
		known[diff.Planned{Type: u.Type, Name: u.Name, Arch: u.NewArch(), From: u.From, To: u.To}] = u.Advisories
	}
	d.Advise(func(older, newer sbom.Package) []diff.Statement {
		return statements(known[diff.Planned{Type: newer.Type, Name: newer.Name, Arch: newer.Arch, From: older.Version, To: newer.Version}])
	})
}

func statements(said []advisory.Statement) []diff.Statement {
	out := make([]diff.Statement, len(said))
	for i, s := range said {
		out[i] = diff.Statement{Kind: string(s.Kind), Name: s.Name, CVEs: s.CVEs, Incomplete: s.Incomplete}
	}
	return out
}

// Advise records in a diff of two documents which CVEs its upgrades fix, as advisories say that are named like those of
// rebuild.Options. What they say is for the distribution of the new document.
func (s *Session) Advise(ctx context.Context, d *diff.Diff, newer *generate.Document, names []string) error {
	opts := s.readOptions()
	opts.Advisories = names
	distro := plan.Distro{ID: newer.Distro, VersionID: newer.DistroVersion, Codename: newer.DistroCodename}
	documents, err := opts.AdvisoryDocuments(ctx, distro)
	if err != nil || len(documents) == 0 {
		return err
	}
	var asked []advisory.Update
	d.Advise(func(older, newer sbom.Package) []diff.Statement {
		u := advisory.Update{Type: newer.Type, Name: newer.Name, From: older.Version, To: newer.Version}
		if source := cmp.Or(newer.Source, newer.Name); source == cmp.Or(older.Source, older.Name) { // else the versions count different things
			u.Source = source
			u.SourceFrom, u.SourceTo = cmp.Or(older.SourceVersion, older.Version), cmp.Or(newer.SourceVersion, newer.Version)
		}
		asked = append(asked, u)
		return nil
	})
	said, err := advisory.Find(ctx, advisory.Distro(distro), asked, documents)
	if errors.Is(err, advisory.ErrFormat) {
		return fmt.Errorf("%w: %w", rebuild.ErrOptions, err)
	}
	if err != nil {
		return err
	}
	next := 0
	d.Advise(func(_, _ sbom.Package) []diff.Statement {
		next++
		return statements(said[next-1])
	})
	return nil
}
