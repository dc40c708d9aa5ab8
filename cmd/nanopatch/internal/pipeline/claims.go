package pipeline

import (
	"context"
	"encoding/json"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/sbom/generate"
	"github.com/nanopatch/nanopatch/sign/attest"
	"github.com/nanopatch/nanopatch/sign/cosign"
)

// imageClaims are what is attested of one platform's image. An unchanged one was not made by this run, so nothing is
// said of where it comes from: a false lineage would stay for ever.
func (s *Session) imageClaims(b *rebuilt, planned *Planned, r *Request) claims {
	if b.job.Plan.Empty() {
		return claims{
			require: []string{attest.PredicateSPDX},
			statements: func(ctx context.Context, carried *cosign.Report) ([]attest.Statement, error) {
				if len(carried.Statements(attest.PredicateSPDX)) > 0 {
					return nil, nil
				}
				bill, err := s.bill(ctx, b, r)
				return []attest.Statement{bill}, err
			},
		}
	}
	return claims{
		require: []string{attest.PredicateSPDX, attest.PredicateDiff, attest.PredicateProvenance},
		statements: func(ctx context.Context, carried *cosign.Report) ([]attest.Statement, error) {
			bill, err := s.bill(ctx, b, r)
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
			lineage, err := s.lineage(carried, b.digest, planned, b)
			return append([]attest.Statement{bill, difference}, lineage...), err
		},
	}
}

// indexClaims are what is attested of a changed index: where it comes from. What is in it is said of its images.
func (s *Session) indexClaims(digest v1.Hash, platforms []*rebuilt, planned *Planned) claims {
	return claims{
		require: []string{attest.PredicateProvenance},
		statements: func(_ context.Context, carried *cosign.Report) ([]attest.Statement, error) {
			return s.lineage(carried, digest, planned, platforms...)
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

// bill is an image's SBOM.
func (s *Session) bill(ctx context.Context, b *rebuilt, r *Request) (attest.Statement, error) {
	if b.document == nil {
		var err error
		if b.document, err = s.document(ctx, r.name(b.digest), b.applied.Image, b.applied.Tree); err != nil {
			return attest.Statement{}, err
		}
	}
	spdx, err := encode(b.document, generate.SPDX)
	if err != nil {
		return attest.Statement{}, err
	}
	return attest.New(b.digest, attest.PredicateSPDX, spdx)
}
