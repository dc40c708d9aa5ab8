package pipeline

import (
	"context"
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/sign/attest"
	"github.com/nanopatch/nanopatch/sign/cosign"
)

// Verification is what verifying an image found: the JSON document of `nanopatch verify -o json`.
type Verification struct {
	APIVersion string      `json:"apiVersion"`
	Kind       string      `json:"kind"`
	Image      NamedDigest `json:"image"`
	OK         bool        `json:"ok"`
	// Subjects are the image or, for an index, the index and the images in it.
	Subjects []VerifiedSubject `json:"subjects"`
}

// VerifiedSubject is one manifest's part of a verification.
type VerifiedSubject struct {
	// Platform is empty for an index.
	Platform string `json:"platform,omitempty"`
	*cosign.Report
	// From is the image that this one was made from, as its signed provenance says; nil where there is none.
	From *Origin `json:"from"`
}

// Origin is where an image comes from, out of signed provenance.
type Origin struct {
	Source string `json:"source"`
	Digest string `json:"digest"`
	// Plan is the digest of the plan that was followed.
	Plan    string `json:"plan,omitempty"`
	Updates int    `json:"updates"`
}

// Verify verifies what a reference names, and of an index every chosen image in it, against a key. Checks that fail are
// part of the result; the error then is ErrNotVerified. require lists the attestations that every image must carry.
func (s *Session) Verify(
	ctx context.Context, ref image.Ref, platforms []v1.Platform, key *cosign.Verifier, require []string,
) (*Verification, error) {
	src, err := s.OpenImage(ctx, ref, platforms)
	if err != nil {
		return nil, err
	}
	repo, err := s.images.Repository(ref)
	if err != nil {
		return nil, err
	}
	v := &Verification{
		APIVersion: plan.APIVersion, Kind: "Verification", OK: true, Image: NamedDigest{ref.String(), src.Descriptor.Digest},
	}
	if src.Index != nil {
		if err := v.add(ctx, repo, "", src.Descriptor.Digest, cosign.VerifyOptions{Verifier: key, Logger: s.cfg.Logger}); err != nil {
			return nil, err
		}
	}
	for _, pi := range src.Images {
		opts := cosign.VerifyOptions{Verifier: key, Require: require, Logger: s.cfg.Logger}
		if err := v.add(ctx, repo, pi.Platform.String(), pi.Descriptor.Digest, opts); err != nil {
			return nil, err
		}
	}
	if !v.OK {
		return v, fmt.Errorf("%w: %s@%s", ErrNotVerified, ref, src.Descriptor.Digest)
	}
	return v, nil
}

func (v *Verification) add(ctx context.Context, repo image.Repository, platform string, digest v1.Hash, opts cosign.VerifyOptions) error {
	report, err := cosign.Verify(ctx, repo, digest, opts)
	if report == nil {
		return err
	}
	if err != nil && !errors.Is(err, cosign.ErrVerification) {
		return err
	}
	v.OK = v.OK && err == nil
	sub := VerifiedSubject{Platform: platform, Report: report}
	for _, st := range report.Statements(attest.PredicateProvenance) {
		from, err := originOf(st)
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrNotVerified, digest, err)
		}
		// Who was made from itself says nothing.
		if from != nil && from.Digest != digest.String() {
			sub.From = from
			break
		}
	}
	v.Subjects = append(v.Subjects, sub)
	return nil
}

func originOf(st attest.Statement) (*Origin, error) {
	p, err := attest.ParseProvenance(st)
	if err != nil {
		return nil, err
	}
	source, ok := p.Source()
	if !ok {
		return nil, nil //nolint:nilnil // provenance of another builder names its sources otherwise
	}
	o := &Origin{Source: source.URI, Digest: "sha256:" + source.Digest["sha256"]}
	if ref, ok := source.Annotations[annotationRef].(string); ok {
		o.Source = ref
	}
	for _, d := range p.ResolvedDependencies {
		if d.DownloadLocation != "" {
			o.Updates++
		}
	}
	if followed, ok := p.Plan(); ok {
		o.Plan = "sha256:" + followed.Digest["sha256"]
	}
	return o, nil
}

// Sign signs what a digest names and, of an index, every image in it.
func (s *Session) Sign(ctx context.Context, ref image.Ref, signer cosign.Signer) ([]cosign.Record, error) {
	src, err := s.OpenImage(ctx, ref, nil)
	if err != nil {
		return nil, err
	}
	repo, err := s.images.Repository(ref)
	if err != nil {
		return nil, err
	}
	subjects := []v1.Descriptor{src.Descriptor}
	if src.Index != nil {
		for _, pi := range src.Images {
			subjects = append(subjects, pi.Descriptor)
		}
	}
	done := s.stage("sign")
	var records []cosign.Record
	for _, d := range subjects {
		r, err := cosign.Sign(ctx, repo, v1.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size},
			cosign.SignOptions{Signer: signer, Logger: s.cfg.Logger})
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	done(count(len(records), "signature") + ", key " + records[0].KeyID)
	return records, nil
}
