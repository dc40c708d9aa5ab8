package pipeline

import (
	"bytes"
	"context"
	"errors"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/sbom/generate"
	"github.com/nanopatch/nanopatch/sign/attest"
	"github.com/nanopatch/nanopatch/sign/cosign"
)

// Attached is the SBOM that is attached to an image's manifest: attested by the signer that is trusted, of that very digest,
// and readable. It is nil where there is none, which is no error: one can be made. What is passed over, and why, is
// logged.
func (s *Session) Attached(ctx context.Context, ref image.Ref, digest v1.Hash, trust *cosign.Verifier) (*generate.Document, error) {
	done := s.stage("attached")
	repo, err := s.place(ref)
	if err != nil {
		return nil, err
	}
	report, err := cosign.Verify(ctx, repo, digest, cosign.VerifyOptions{Verifier: trust, Logger: s.cfg.Logger})
	// That the image itself is not signed says nothing about a statement that is.
	if err != nil && !errors.Is(err, cosign.ErrVerification) {
		return nil, err
	}
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
			done(count(len(doc.Packages), "package") + ", " + kind)
			return doc, nil
		}
	}
	done("no SBOM that verifies; one is made")
	return nil, nil //nolint:nilnil // none is a result: see the comment
}
