package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/sbom/generate"
	"github.com/nanopatch/nanopatch/sign/attest"
	"github.com/nanopatch/nanopatch/sign/cosign"
)

// imageClaims are what is attested of one platform's image. An unchanged one was not made by this run, so nothing is
// said of where it comes from: a false lineage would stay for ever.
func (s *Session) imageClaims(b *rebuilt, planned *Planned, r *Request) claims {
	if b.job.Plan.Empty() {
		return claims{
			require: r.bills(),
			statements: func(ctx context.Context, carried *cosign.Report) ([]attest.Statement, error) {
				var missing []string
				for _, kind := range r.bills() {
					if len(carried.Statements(kind)) == 0 {
						missing = append(missing, kind)
					}
				}
				return s.bills(ctx, b, r, missing)
			},
		}
	}
	return claims{
		require: append(r.bills(), attest.PredicateDiff, attest.PredicateProvenance),
		statements: func(ctx context.Context, carried *cosign.Report) ([]attest.Statement, error) {
			all, err := s.bills(ctx, b, r, r.bills())
			if err != nil {
				return nil, err
			}
			change, err := json.Marshal(b.diff)
			if err != nil {
				return nil, fmt.Errorf("encoding the diff: %w", err)
			}
			difference, err := attest.New(b.digest, attest.PredicateDiff, change)
			if err != nil {
				return nil, err
			}
			all = append(all, difference)
			fixed, ok, err := s.exploitability(r.product(b.digest), b.digest, b.document.Created, b.job.Plan.Updates)
			if err != nil {
				return nil, err
			}
			if ok {
				all = append(all, fixed)
			}
			lineage, err := s.lineage(carried, b.digest, planned, b)
			return append(all, lineage...), err
		},
	}
}

// indexClaims are what is attested of a changed index: where it comes from, and what the updates in its images fix. What is
// in it is said of its images.
func (s *Session) indexClaims(digest v1.Hash, platforms []*rebuilt, planned *Planned, r *Request) claims {
	return claims{
		require: []string{attest.PredicateProvenance},
		statements: func(_ context.Context, carried *cosign.Report) ([]attest.Statement, error) {
			all, err := s.lineage(carried, digest, planned, platforms...)
			if err != nil {
				return nil, err
			}
			var updates []plan.Update
			var created time.Time
			for _, b := range platforms {
				updates = append(updates, b.job.Plan.Updates...)
				if b.document != nil && b.document.Created.After(created) {
					created = b.document.Created
				}
			}
			fixed, ok, err := s.exploitability(r.product(digest), digest, created, updates)
			if ok {
				all = append(all, fixed)
			}
			return all, err
		},
	}
}

// lineage is the provenance, unless one that tells the same is there.
func (s *Session) lineage(
	carried *cosign.Report, digest v1.Hash, planned *Planned, platforms ...*rebuilt,
) ([]attest.Statement, error) {
	st, err := s.provenance(digest, planned, platforms...)
	if err != nil || tells(carried, st) {
		return nil, err
	}
	return []attest.Statement{st}, nil
}

// bills are an image's SBOM in the forms of the given predicate types.
func (s *Session) bills(ctx context.Context, b *rebuilt, r *Request, kinds []string) ([]attest.Statement, error) {
	doc, err := s.bill(ctx, b, r)
	if err != nil {
		return nil, err
	}
	return statementsOf(doc, b.digest, kinds)
}

// bill is the image's SBOM, made once.
func (s *Session) bill(ctx context.Context, b *rebuilt, r *Request) (*generate.Document, error) {
	if b.document == nil {
		var err error
		if b.document, err = s.document(ctx, r.name(b.digest), b.applied.Image, b.applied.Tree); err != nil {
			return nil, err
		}
	}
	return b.document, nil
}

// billFormats are the formats of documents by their predicate types.
var billFormats = map[string]generate.Format{attest.PredicateSPDX: generate.SPDX, attest.PredicateCycloneDX: generate.CycloneDX}

// statementsOf states a document of an image in the forms of the given predicate types.
func statementsOf(doc *generate.Document, about v1.Hash, kinds []string) ([]attest.Statement, error) {
	var all []attest.Statement
	for _, kind := range kinds {
		raw, err := encode(doc, billFormats[kind])
		if err != nil {
			return nil, err
		}
		st, err := attest.New(about, kind, raw)
		if err != nil {
			return nil, err
		}
		all = append(all, st)
	}
	return all, nil
}

// bills are the predicate types of the SBOMs to attest.
func (r *Request) bills() []string {
	if len(r.SBOMs) == 0 {
		return []string{attest.PredicateSPDX}
	}
	return slices.Clone(r.SBOMs)
}

// product is the package URL of an image of the result.
func (r *Request) product(digest v1.Hash) string { return uri(r.Destinations[0].Ref, digest) }
