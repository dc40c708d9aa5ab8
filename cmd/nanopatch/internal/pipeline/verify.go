package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/sign/attest"
	"github.com/nanopatch/nanopatch/sign/cosign"
)

// The names of the checks that go beyond signatures; part of the JSON output. Those of signatures are package cosign's.
const (
	// CheckContent is that the layers are what the manifest and the config say.
	CheckContent = "content"
	// CheckSBOM is that the attested SBOM is that of the image, made again.
	CheckSBOM = "sbom"
	// CheckProvenance is that the signed provenance can be read, and speaks of a rebuild by a lockfile.
	CheckProvenance = "provenance"
	// CheckSource is that the source image can be read by its digest, and is one that the policy allows.
	CheckSource = "source"
	// CheckLineage is the way back to the first source, image by image.
	CheckLineage = "lineage"
	// CheckDiff is that the attested diff is the one from source to image, both SBOMs made again.
	CheckDiff = "diff"
	// CheckLayers is that every layer which the provenance does not name as rewritten is the source's.
	CheckLayers = "layers"
	// CheckConfig is that the image runs as its source does: entry point, environment, user.
	CheckConfig = "config"
	// CheckFiles is that the files of every updated package are those of the artifact in the provenance.
	CheckFiles = "files"
	// CheckVEX is that the attested OpenVEX statements are those of the lockfile's updates.
	CheckVEX = "vex"
	// CheckAge is that the image is not older than the policy allows.
	CheckAge = "age"
	// CheckReproduced is that the rebuild, done again from the lockfile, gives the same digest.
	CheckReproduced = "reproduced"
)

// Demands are what an image must satisfy besides a valid signature. The zero value checks everything that the image itself
// says, and demands no more.
type Demands struct {
	// Trust is whose signatures count. It must be set.
	Trust *cosign.Verifier
	// Require lists the predicate types that every image must carry an attestation of.
	Require []string
	// MaxAge is how old an image may be; 0 is any age. What counts is when it was signed, if a log or a timestamp authority
	// vouches for that, else when it was created.
	MaxAge time.Duration
	// Sources are globs of the names that the first source may have; none allows all.
	Sources []string
	// Source, if not zero, is where the source images are found, instead of where the provenance says.
	Source image.Ref
	// SignaturesOnly leaves the content unread: signatures and attestations are valid, but nobody looked whether what they
	// say is so.
	SignaturesOnly bool
	// Reproduce does the rebuild again.
	Reproduce bool
	// Archives are where artifacts may be had that their repository has no more; see [Archive].
	Archives []Archive
}

// Verification is what verifying an image found: the JSON document of `nanopatch verify -o json`.
type Verification struct {
	APIVersion string      `json:"apiVersion"`
	Kind       string      `json:"kind"`
	Image      NamedDigest `json:"image"`
	OK         bool        `json:"ok"`
	// Subjects are the image or, for an index, the index and the images in it.
	Subjects []*VerifiedSubject `json:"subjects"`
}

// VerifiedSubject is one manifest's part of a verification.
type VerifiedSubject struct {
	// Platform is empty for an index.
	Platform string `json:"platform,omitempty"`
	*cosign.Report
	// From is the image that this one was made from, as its signed provenance says; nil where there is none.
	From *Origin `json:"from"`
}

// ok adds a check that passed.
func (v *VerifiedSubject) ok(name, format string, args ...any) {
	v.Checks = append(v.Checks, cosign.NewCheck(name, true, format, args...))
}

// fail adds a check that failed.
func (v *VerifiedSubject) fail(name, format string, args ...any) {
	v.Checks = append(v.Checks, cosign.NewCheck(name, false, format, args...))
}

// passed tells whether no check has failed so far.
func (v *VerifiedSubject) passed() bool {
	return !slices.ContainsFunc(v.Checks, func(c cosign.Check) bool { return !c.OK })
}

// Verify verifies what a reference names, and of an index every chosen image in it. Checks that fail are part of the
// result; the error then is ErrNotVerified. An error without a result says that something could not be looked at.
func (s *Session) Verify(ctx context.Context, ref image.Ref, platforms []v1.Platform, d Demands) (*Verification, error) {
	if d.Trust == nil {
		return nil, cosign.ErrNoVerifier
	}
	src, err := s.OpenImage(ctx, ref, platforms)
	if err != nil {
		return nil, s.wrong(err)
	}
	repo, err := s.place(ref)
	if err != nil {
		return nil, err
	}
	v := &Verification{
		APIVersion: plan.APIVersion, Kind: "Verification", OK: true, Image: NamedDigest{ref.String(), src.Descriptor.Digest},
	}
	x := &examination{s: s, demands: &d, of: src, repo: repo, chosen: len(platforms) > 0}
	if src.Index != nil {
		if err := x.index(ctx, v); err != nil {
			return nil, err
		}
	}
	for _, pi := range src.Images {
		sub, err := x.image(ctx, pi)
		if err != nil {
			return nil, fmt.Errorf("%s (%s): %w", ref, pi.Platform.String(), err)
		}
		v.Subjects = append(v.Subjects, sub)
	}
	if d.Reproduce {
		if err := x.reproduce(ctx, v); err != nil {
			return nil, err
		}
	}
	for _, sub := range v.Subjects {
		v.OK = v.OK && sub.passed()
	}
	if !v.OK {
		return v, fmt.Errorf("%w: %s@%s", ErrNotVerified, ref, src.Descriptor.Digest)
	}
	return v, nil
}

// wrong turns an image that contradicts its digest or itself into one that is not verified.
func (s *Session) wrong(err error) error {
	if errors.Is(err, image.ErrInvalid) || errors.Is(err, image.ErrVerification) {
		return fmt.Errorf("%w: %s: %w", ErrNotVerified, CheckContent, err)
	}
	return err
}

// examination is one run of Verify.
type examination struct {
	s       *Session
	demands *Demands
	of      *image.Source
	repo    *place
	// chosen says that only some platforms are looked at.
	chosen bool
}

// index verifies the index over the images: its signature, and that it says where it comes from.
func (x *examination) index(ctx context.Context, v *Verification) error {
	sub, err := x.signatures(ctx, x.repo, x.of.Descriptor.Digest, nil)
	if err != nil {
		return err
	}
	v.Subjects = append(v.Subjects, sub)
	x.age(sub, time.Time{})
	x.origin(sub, "")
	return nil
}

// signatures is what package cosign finds out about a digest.
func (x *examination) signatures(
	ctx context.Context, repo *place, digest v1.Hash, require []string,
) (*VerifiedSubject, error) {
	report, err := cosign.Verify(ctx, repo, digest, cosign.VerifyOptions{
		Verifier: x.demands.Trust, Require: require, Logger: x.s.cfg.Logger,
	})
	if report == nil || err != nil && !errors.Is(err, cosign.ErrVerification) {
		return nil, err
	}
	return &VerifiedSubject{Report: report}, nil
}

// image verifies one platform's image.
func (x *examination) image(ctx context.Context, pi image.PlatformImage) (*VerifiedSubject, error) {
	sub, err := x.signatures(ctx, x.repo, pi.Descriptor.Digest, x.demands.Require)
	if err != nil {
		return nil, err
	}
	sub.Platform = pi.Platform.String()
	config, err := pi.Image.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("reading the config: %w", err)
	}
	x.age(sub, config.Created.Time)
	made := x.origin(sub, sub.Platform)
	if x.demands.SignaturesOnly {
		return sub, nil
	}
	if len(sub.Signatures) == 0 {
		return sub, nil // nothing that is said of it counts, so there is nothing to hold it against
	}
	e := &evidence{examination: x, sub: sub, pi: pi, made: made}
	return sub, e.collect(ctx)
}

// age holds a subject against the oldest age allowed.
func (x *examination) age(sub *VerifiedSubject, created time.Time) {
	if x.demands.MaxAge == 0 {
		return
	}
	at, what := sub.SignedAt(), "signed"
	if at.IsZero() {
		at, what = created, "created"
	}
	switch now := x.s.cfg.Now(); {
	case at.IsZero() && sub.Platform == "":
		return // an index has no date of its own: its images are judged
	case now.Sub(at) > x.demands.MaxAge:
		sub.fail(CheckAge, "%s on %s, longer ago than %s", what, at.UTC().Format(time.RFC3339), x.demands.MaxAge)
	default:
		sub.ok(CheckAge, "%s on %s", what, at.UTC().Format(time.RFC3339))
	}
}

// provenances are the statements of a report that say how an image was made.
func provenances(r *cosign.Report) ([]attest.Provenance, error) {
	var all []attest.Provenance
	for _, st := range r.Statements(attest.PredicateProvenance) {
		p, err := attest.ParseProvenance(st)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}
