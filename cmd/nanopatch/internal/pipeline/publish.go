package pipeline

import (
	"context"
	"fmt"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/sign/attest"
	"github.com/nanopatch/nanopatch/sign/cosign"
)

// publication is everything that is to be written, and how it is signed.
type publication struct {
	// image or index is the thing itself.
	image v1.Image
	index v1.ImageIndex
	// signer is nil where nothing is signed.
	signer   cosign.Signer
	subjects []subject
}

// subject is one manifest that gets a signature and attestations: an image, or the index over several.
type subject struct {
	descriptor v1.Descriptor
	created    time.Time
	// require lists the attestations that the subject must carry in the end.
	require []string
	// statements makes them; it is asked only where they are not there yet.
	statements func(context.Context) ([]attest.Statement, error)
}

// published is what became of a publication.
type published struct {
	digest    v1.Hash
	signature *cosign.Record
	// attestations are those of all subjects.
	attestations []cosign.Record
}

// publish writes to every destination by digest, signs, attests and reads back; when all of that has worked
// everywhere, it moves the tags.
func (s *Session) publish(ctx context.Context, destinations []image.Destination, p *publication) (*published, error) {
	var out *published
	for _, d := range destinations {
		repo, err := s.images.Repository(d.Ref)
		if err != nil {
			return nil, err
		}
		if out, err = s.publishTo(ctx, d.Ref, repo, p); err != nil {
			return nil, err
		}
	}
	done := s.stage("tag")
	tags := 0
	for _, d := range destinations {
		repo, err := s.images.Repository(d.Ref)
		if err != nil {
			return nil, err
		}
		if err := repo.Tag(ctx, out.digest, d.Tags...); err != nil {
			return nil, err
		}
		tags += len(d.Tags)
	}
	done(count(tags, "tag"))
	return out, nil
}

func (s *Session) publishTo(ctx context.Context, ref image.Ref, repo image.Repository, p *publication) (*published, error) {
	out := &published{}
	done := s.stage("push")
	var descriptor v1.Descriptor
	var err error
	if p.index != nil {
		descriptor, err = repo.PushIndex(ctx, p.index)
	} else {
		descriptor, err = repo.Push(ctx, p.image)
	}
	if err != nil {
		return nil, err
	}
	out.digest = descriptor.Digest
	done(repo.String() + "@" + out.digest.String())
	if p.signer != nil {
		if err := s.seal(ctx, repo, p, out); err != nil {
			return nil, err
		}
	}
	return out, s.readBack(ctx, ref, repo, p, out.digest)
}

// seal signs and attests every subject, the index last. What is there already and verifies is not made again.
func (s *Session) seal(ctx context.Context, repo image.Repository, p *publication, out *published) error {
	done := s.stage("sign")
	made, keyID := 0, ""
	for _, sub := range p.subjects {
		records, err := s.sealOne(ctx, repo, p.signer, sub)
		if err != nil {
			return err
		}
		for _, r := range records {
			keyID = r.KeyID
			if !r.Reused {
				made++
			}
			switch {
			case r.PredicateType != attest.PredicateSign:
				out.attestations = append(out.attestations, r)
			case sub.descriptor.Digest == out.digest:
				out.signature = &r
			}
		}
	}
	done(fmt.Sprintf("%s written, key %s", count(made, "statement"), keyID))
	return nil
}

func (s *Session) sealOne(ctx context.Context, repo image.Repository, signer cosign.Signer, sub subject) ([]cosign.Record, error) {
	verifier, err := cosign.NewVerifier(signer.Public())
	if err != nil {
		return nil, err
	}
	report, err := cosign.Verify(ctx, repo, sub.descriptor.Digest, cosign.VerifyOptions{
		Verifier: verifier, Require: sub.require, Logger: s.cfg.Logger,
	})
	if err == nil {
		return reused(report), nil
	}
	statements, err := sub.statements(ctx)
	if err != nil {
		return nil, err
	}
	opts := cosign.SignOptions{Signer: signer, Created: sub.created, Logger: s.cfg.Logger}
	// The signature comes last: until it is there, nothing about the image verifies.
	return cosign.Attest(ctx, repo, sub.descriptor, opts, append(statements, attest.Signature(sub.descriptor.Digest))...)
}

// reused lists what an image carried already.
func reused(r *cosign.Report) []cosign.Record {
	var records []cosign.Record
	for _, sig := range r.Signatures {
		records = append(records, cosign.Record{PredicateType: attest.PredicateSign, Digest: sig.Digest, KeyID: r.KeyID, Reused: true})
	}
	for _, a := range r.Attestations {
		records = append(records, cosign.Record{PredicateType: a.PredicateType, Digest: a.Digest, KeyID: r.KeyID, Reused: true})
	}
	return records
}

// readBack opens what was written, by digest, and verifies it as a stranger would.
func (s *Session) readBack(ctx context.Context, ref image.Ref, repo image.Repository, p *publication, digest v1.Hash) error {
	done := s.stage("verify")
	src, err := s.images.Open(ctx, ref.WithDigest(digest))
	if err != nil {
		return fmt.Errorf("%w: reading back what was written: %w", ErrNotVerified, err)
	}
	if src.Descriptor.Digest != digest {
		return fmt.Errorf("%w: wrote %s, read %s", ErrNotVerified, digest, src.Descriptor.Digest)
	}
	if p.signer == nil {
		done("content is there, not signed")
		return nil
	}
	verifier, err := cosign.NewVerifier(p.signer.Public())
	if err != nil {
		return err
	}
	for _, sub := range p.subjects {
		opts := cosign.VerifyOptions{Verifier: verifier, Require: sub.require, Logger: s.cfg.Logger}
		if _, err := cosign.Verify(ctx, repo, sub.descriptor.Digest, opts); err != nil {
			return fmt.Errorf("%w: reading back what was signed: %w", ErrNotVerified, err)
		}
	}
	done("content, signature and attestations are there")
	return nil
}
