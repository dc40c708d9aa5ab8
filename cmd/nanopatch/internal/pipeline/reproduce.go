package pipeline

import (
	"context"
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/rebuild/plan"
)

// reproduce does the rebuild again from the lockfile in the signed provenance, and compares digests.
func (x *examination) reproduce(ctx context.Context, v *Verification) error {
	root := v.Subjects[0]
	platform := root.Platform
	m := x.origin(&VerifiedSubject{Report: root.Blank()}, platform)
	if m == nil {
		root.fail(CheckReproduced, "no signed provenance says how it was made")
		return nil
	}
	var platforms []v1.Platform
	if x.chosen || x.of.Index == nil && m.image != m.source {
		for _, pi := range x.of.Images {
			platforms = append(platforms, pi.Platform)
		}
	}
	source, err := x.openSource(ctx, m, m.source, x.of.Ref)
	if err != nil {
		if errors.Is(err, image.ErrUnreachable) {
			return fmt.Errorf("the source %s: %w", m.source, err)
		}
		root.fail(CheckReproduced, "the source is gone: %v", err)
		return nil
	}
	planned, err := x.s.Plan(ctx, source.Ref, platforms, Updates{Locked: m.lock, Archives: x.demands.Archives})
	switch {
	case errors.Is(err, plan.ErrLock), errors.Is(err, pkgrepo.ErrNotFound), errors.Is(err, pkgrepo.ErrVerification), damaged(err):
		root.fail(CheckReproduced, "%v%s", err, x.other(m.lock))
		return nil
	case err != nil:
		return err
	}
	return x.compare(ctx, v, planned)
}

// other names the version that wrote a lockfile, where it is not this one: compression is part of the output.
func (x *examination) other(lock *plan.Lock) string {
	if lock.Tool == x.s.cfg.Version {
		return ""
	}
	return fmt.Sprintf(" (rebuilt by version %s, this is %s)", lock.Tool, x.s.cfg.Version)
}

// compare rewrites what is planned and holds the digests against those that are verified.
func (x *examination) compare(ctx context.Context, v *Verification, planned *Planned) error {
	done := x.s.stage("reproduce")
	made := make([]*rebuilt, len(planned.Jobs))
	for i, job := range planned.Jobs {
		applied, err := job.Apply(ctx)
		if err != nil {
			return err
		}
		digest, err := applied.Image.Digest()
		if err != nil {
			return err
		}
		made[i] = &rebuilt{job: job, applied: applied, digest: digest}
	}
	for _, sub := range v.Subjects {
		want, ok, err := x.again(ctx, planned, made, sub)
		switch {
		case errors.Is(err, errNoIndex):
			sub.fail(CheckReproduced, "%v", err)
		case err != nil:
			return err
		case !ok && sub.Platform != "":
			sub.fail(CheckReproduced, "the lockfile does not make an image for %s%s", sub.Platform, x.other(planned.updates.Locked))
		case !ok:
			sub.ok(CheckReproduced, "not all platforms were chosen, so the index was not made again")
		case want != sub.Subject:
			sub.fail(CheckReproduced, "the rebuild gives %s%s", want, x.other(planned.updates.Locked))
		default:
			sub.ok(CheckReproduced, "the rebuild gives the same digest")
		}
	}
	done(count(len(made), "image"))
	return nil
}

var errNoIndex = errors.New("the lockfile makes no index of an image")

// again is the digest that the rebuild gives for a subject.
func (x *examination) again(ctx context.Context, planned *Planned, made []*rebuilt, sub *VerifiedSubject) (v1.Hash, bool, error) {
	if sub.Platform != "" {
		for _, b := range made {
			if len(made) == 1 && x.of.Index == nil || b.job.Plan.Image.Platform == sub.Platform {
				return b.digest, true, nil
			}
		}
		return x.unchanged(planned, sub)
	}
	if x.chosen {
		return v1.Hash{}, false, nil
	}
	attested, err := image.IsAttested(x.of.Index)
	if err != nil {
		return v1.Hash{}, false, err
	}
	p, _, err := x.s.assemble(ctx, planned, made, &Request{InIndex: attested})
	if err != nil {
		return v1.Hash{}, false, err
	}
	if p.index == nil {
		return v1.Hash{}, false, errNoIndex
	}
	digest, err := p.index.Digest()
	return digest, true, err
}

// unchanged is an image that the rebuild left as it was: it is in the source index, digest for digest.
func (x *examination) unchanged(planned *Planned, sub *VerifiedSubject) (v1.Hash, bool, error) {
	for _, pi := range planned.Source.Images {
		if pi.Descriptor.Digest == sub.Subject {
			return sub.Subject, true, nil
		}
	}
	return v1.Hash{}, false, nil
}
