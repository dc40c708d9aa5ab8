package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/sign/attest"
	"github.com/nanopatch/nanopatch/sign/cosign"
)

// subject is one manifest that gets a signature and perhaps attestations: an image, or the index over several.
type subject struct {
	descriptor v1.Descriptor
	// platform is empty for an index.
	platform string
	created  time.Time
	claims   claims
}

// claims are what is attested of one manifest; the zero value is nothing.
type claims struct {
	// require lists the attestations that the subject must carry in the end.
	require []string
	// statements makes those that carried, the key's report of what is there, does not make needless.
	statements func(ctx context.Context, carried *cosign.Report) ([]attest.Statement, error)
}

// seal signs and attests the subjects. What is there already and verifies is not made again.
func (s *Session) seal(ctx context.Context, repo *place, p *publication, subjects []subject, out *published) error {
	done := s.stage("sign")
	verifier, err := cosign.VerifierOf(ctx, p.signer)
	if err != nil {
		return err
	}
	made := 0
	for _, sub := range subjects {
		records, err := s.sealOne(ctx, repo, p, verifier, sub)
		if err != nil {
			return err
		}
		for _, r := range records {
			if !r.Reused {
				made++
			}
			st := Statement{Repository: repo.String(), Platform: sub.platform, Subject: sub.descriptor.Digest, Record: r}
			if r.PredicateType == attest.PredicateSign {
				out.signatures = append(out.signatures, st)
			} else {
				out.attestations = append(out.attestations, st)
			}
		}
	}
	done(fmt.Sprintf("%s written, %s", count(made, "statement"), verifier))
	return nil
}

func (s *Session) sealOne(
	ctx context.Context, repo *place, p *publication, verifier *cosign.Verifier, sub subject,
) ([]cosign.Record, error) {
	carried, err := cosign.Verify(ctx, repo, sub.descriptor.Digest, cosign.VerifyOptions{
		Verifier: verifier, Format: p.format, Require: sub.claims.require, Logger: s.cfg.Logger,
	})
	if carried == nil {
		return nil, err
	}
	var statements []attest.Statement
	if sub.claims.statements != nil {
		var failed error
		if statements, failed = sub.claims.statements(ctx, carried); failed != nil {
			return nil, failed
		}
	}
	if err == nil && len(statements) == 0 {
		return reused(carried, nil), nil
	}
	opts := cosign.SignOptions{
		Signer: p.signer, Format: p.format, Repository: repo.name(), Created: sub.created, Logger: s.cfg.Logger,
	}
	// The signature comes last: until it is there, nothing about the image verifies.
	records, err := cosign.Attest(ctx, repo, sub.descriptor, opts, append(statements, attest.Signature(sub.descriptor.Digest))...)
	if err != nil {
		return nil, err
	}
	return append(records, reused(carried, records)...), nil
}

// reused lists what an image carried before, but for what the records name already.
func reused(carried *cosign.Report, records []cosign.Record) []cosign.Record {
	var more []cosign.Record
	add := func(kind string, digest v1.Hash) {
		if !slices.ContainsFunc(records, func(r cosign.Record) bool { return r.Digest == digest }) {
			more = append(more, cosign.Record{PredicateType: kind, Digest: digest, KeyID: carried.KeyID, Identity: carried.Identity, Reused: true})
		}
	}
	for _, sig := range carried.Signatures {
		add(attest.PredicateSign, sig.Digest)
	}
	for _, a := range carried.Attestations {
		add(a.PredicateType, a.Digest)
	}
	return more
}

// readBack verifies what was signed as a stranger would.
func (s *Session) readBack(ctx context.Context, repo *place, p *publication, subjects []subject) error {
	done := s.stage("verify")
	verifier, err := cosign.VerifierOf(ctx, p.signer)
	if err != nil {
		return err
	}
	for _, sub := range subjects {
		opts := cosign.VerifyOptions{Verifier: verifier, Format: p.format, Require: sub.claims.require, Logger: s.cfg.Logger}
		_, err := cosign.Verify(ctx, repo, sub.descriptor.Digest, opts)
		if errors.Is(err, cosign.ErrVerification) {
			return fmt.Errorf("%w: reading back what was signed: %w", ErrNotVerified, err)
		}
		if err != nil {
			return fmt.Errorf("reading back what was signed: %w", err)
		}
	}
	done("content, signature and attestations are there")
	return nil
}
