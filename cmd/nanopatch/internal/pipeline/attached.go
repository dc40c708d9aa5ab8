package pipeline

import (
	"bytes"
	"context"
	"errors"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/rebuild"
	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/sbom/diff"
	"github.com/nanopatch/nanopatch/sbom/generate"
	"github.com/nanopatch/nanopatch/sign/attest"
	"github.com/nanopatch/nanopatch/sign/cosign"
)

// attestedBill is an SBOM out of a statement that verifies.
type attestedBill struct {
	*generate.Document
	predicateType string
}

// Attached is the SBOM that is attached to an image's manifest: attested by the signer that is trusted, of that very digest,
// and readable. It is nil where there is none, which is no error: one can be made. What is passed over, and why, is
// logged.
func (s *Session) Attached(ctx context.Context, ref image.Ref, digest v1.Hash, trust *cosign.Verifier) (*generate.Document, error) {
	done := s.stage("attached")
	all, err := s.attestedBills(ctx, ref, digest, trust)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		done("no SBOM that verifies; one is made")
		return nil, nil //nolint:nilnil // none is a result: see the comment
	}
	done(count(len(all[0].Packages), "package") + ", " + all[0].predicateType)
	return all[0].Document, nil
}

// attestedBills are all SBOMs that are attached to a manifest, verify and can be read.
func (s *Session) attestedBills(ctx context.Context, ref image.Ref, digest v1.Hash, trust *cosign.Verifier) ([]attestedBill, error) {
	repo, err := s.place(ref)
	if err != nil {
		return nil, err
	}
	report, err := cosign.Verify(ctx, repo, digest, cosign.VerifyOptions{Verifier: trust, Logger: s.cfg.Logger})
	// That the image itself is not signed says nothing about a statement that is.
	if err != nil && !errors.Is(err, cosign.ErrVerification) {
		return nil, err
	}
	var all []attestedBill
	for _, kind := range []string{attest.PredicateSPDX, attest.PredicateCycloneDX} {
		for i := range report.Attestations {
			a := &report.Attestations[i]
			if a.PredicateType != kind {
				continue
			}
			doc, err := generate.Read(bytes.NewReader(a.Statement.Predicate), ref.String())
			if err != nil {
				s.cfg.Logger.WarnContext(ctx, "an attached SBOM cannot be read", "image", ref, "attestation", a.Digest, "error", err)
				continue
			}
			if doc.Image.Digest != "" && doc.Image.Digest != digest.String() {
				s.cfg.Logger.WarnContext(ctx, "an attached SBOM is of another image", "image", ref, "attestation", a.Digest, "of", doc.Image.Digest)
				continue
			}
			all = append(all, attestedBill{doc, kind})
		}
	}
	return all, nil
}

// before is the SBOM of what is rebuilt. One that is attached to the source and verifies, by the signer that the source must
// have or else by the run's own, serves if it is what this run would make; attached tells so.
func (s *Session) before(ctx context.Context, planned *Planned, job *rebuild.Job, r *Request) (doc *generate.Document, attached bool, err error) {
	ref := job.Plan.Image.Ref
	described, created, err := describe(ref, job.Image())
	if err != nil {
		return nil, false, err
	}
	if doc := s.documents.Cached(ctx, described, generate.Squashed, created); doc != nil {
		return doc, false, nil
	}
	if doc := s.reusable(ctx, planned, &described, r); doc != nil {
		return doc.WithRef(ref), true, nil
	}
	doc, err = s.catalog(ctx, described, created, job.Tree, generate.Squashed)
	return doc, false, err
}

// reusable finds the attached SBOM that is as good as one made now; nil where there is none. It is a shortcut, so that whatever
// stands in its way is said, and is no error.
func (s *Session) reusable(ctx context.Context, planned *Planned, img *generate.Image, r *Request) *generate.Document {
	trust := planned.updates.Source
	if trust == nil && r.Signer != nil {
		trust, _ = cosign.VerifierOf(ctx, r.Signer) // signing will tell what is wrong with it
	}
	if trust == nil || !planned.Source.Ref.Transport.KeepsReferrers() {
		return nil
	}
	done := s.stage("attached")
	all, err := s.attestedBills(ctx, planned.Source.Ref, img.Digest, trust)
	if err != nil {
		done("the source's SBOM could not be looked for; one is made: " + err.Error())
		return nil
	}
	why := "the source has no SBOM that verifies; one is made"
	for _, b := range all {
		foreign := s.documents.Foreign(b.Document, img)
		if foreign == "" {
			done("the source's SBOM is used, " + b.predicateType)
			return b.Document
		}
		why = "the source's SBOM cannot be compared (" + foreign + "); one is made"
	}
	done(why)
	return nil
}

// difference compares the SBOMs of a rebuild's source and result and holds the outcome against the plan. An attached SBOM of
// the source does for what is planned; SPDX does not keep the files by which packages were found, which tell the consequences of
// an update from offences against the plan: then one is made after all.
func (s *Session) difference(ctx context.Context, before, after *generate.Document, attached bool, job *rebuild.Job) (*diff.Diff, error) {
	d, err := gate(Compare(before, after), job)
	if !attached || err == nil && onlyPlanned(d) {
		return d, err
	}
	if before, err = s.document(ctx, job.Plan.Image.Ref, job.Image(), job.Tree); err != nil {
		return nil, err
	}
	return gate(Compare(before, after), job)
}

// onlyPlanned tells whether nothing is in a difference but the plan's updates.
func onlyPlanned(d *diff.Diff) bool {
	return len(d.Added)+len(d.Removed)+len(d.Moved)+len(d.Relicensed)+len(d.Consequences) == 0
}
