package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/nanopatch/nanopatch/rebuild"
	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/rebuild/policy"
	"github.com/nanopatch/nanopatch/sign/cosign"
)

// Updates says which updates are wanted, and where from.
type Updates struct {
	Rules                              policy.Rules
	Repositories, Keyrings, Advisories []string
	Edits                              plan.Options
	// Source, where set, must have signed the source.
	Source *cosign.Verifier
	// Locked, where set, is obeyed instead. Archives may have the artifacts that their repositories have no more.
	Locked   *plan.Lock
	Archives []Archive
}

// Planned is a source with a plan for each platform that is to be rebuilt.
type Planned struct {
	Source *image.Source
	// Jobs are in the order of Source.Images; there is at least one. An image without one stays as it is.
	Jobs []*rebuild.Job
	// Notes name the images that stay as they are, and why.
	Notes []string

	updates   Updates
	platforms []v1.Platform
}

// Plans are the plans as documents.
func (p *Planned) Plans() []*plan.Plan {
	plans := make([]*plan.Plan, len(p.Jobs))
	for i, j := range p.Jobs {
		plans[i] = j.Plan
	}
	return plans
}

// Empty tells whether no platform has an update.
func (p *Planned) Empty() bool {
	for _, j := range p.Jobs {
		if !j.Plan.Empty() {
			return false
		}
	}
	return true
}

// OpenImage opens what a reference names.
func (s *Session) OpenImage(ctx context.Context, ref image.Ref, platforms []v1.Platform) (*image.Source, error) {
	done := s.stage("open")
	src, err := s.images.Open(ctx, ref, platforms...)
	if err != nil {
		return nil, err
	}
	done(fmt.Sprintf("%s, %s", src.Descriptor.Digest, count(len(src.Images), "platform")))
	return src, nil
}

// Plan opens an image and plans its rebuild. Of an index whose platforms were not chosen, the images that nanopatch
// cannot rebuild stay as they are: those of other operating systems, without packages, or that the lockfile does not name.
func (s *Session) Plan(ctx context.Context, ref image.Ref, platforms []v1.Platform, u Updates) (*Planned, error) {
	src, err := s.OpenImage(ctx, ref, platforms)
	if err != nil {
		return nil, err
	}
	if err := s.checkSource(ctx, u.Source, src); err != nil {
		return nil, err
	}
	if err := s.checkLock(ctx, u.Locked, src); err != nil {
		return nil, err
	}
	done := s.stage("plan")
	p := &Planned{Source: src, updates: u, platforms: platforms}
	chosen := src.Index == nil || len(platforms) > 0
	jobs, failed := s.planAll(ctx, src, u)
	updates, held := 0, 0
	var first error
	for i, pi := range src.Images {
		job, err := jobs[i], failed[i]
		if !chosen && (errors.Is(err, rebuild.ErrNoPackages) || errors.Is(err, plan.ErrNotLocked)) {
			p.Notes = append(p.Notes, fmt.Sprintf("%s stays as it is: %v", pi.Platform.String(), err))
			first = cmp.Or(first, err)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("planning %s (%s): %w", src.Ref, pi.Platform.String(), err)
		}
		p.Jobs = append(p.Jobs, job)
		updates += len(job.Plan.Updates)
		held += len(job.Plan.Held)
	}
	if len(p.Jobs) == 0 {
		return nil, fmt.Errorf("planning %s: none of its %s can be rebuilt: %w", src.Ref, count(len(src.Images), "platform"), first)
	}
	for _, n := range p.Notes {
		s.cfg.Logger.WarnContext(ctx, n)
	}
	done(fmt.Sprintf("%s, %d held", count(updates, "update"), held))
	return p, nil
}

// checkSource verifies the source's own signature, where somebody is named who must have made it.
func (s *Session) checkSource(ctx context.Context, by *cosign.Verifier, src *image.Source) error {
	if by == nil {
		return nil
	}
	repo, err := s.place(src.Ref)
	if err != nil {
		return err
	}
	_, err = cosign.Verify(ctx, repo, src.Descriptor.Digest, cosign.VerifyOptions{Verifier: by, Logger: s.cfg.Logger})
	if err != nil {
		return fmt.Errorf("the source %s: %w", src.Ref, err)
	}
	return nil
}

// parallelPlatforms is how many platforms are under way at once: enough for two processors, since each has its own waits
// and uses several threads for layers, and few enough for memory, of which each takes what one image alone would.
const parallelPlatforms = 2

// planAll plans every image, several at once. Where one cannot be planned, its error is at its place.
func (s *Session) planAll(ctx context.Context, src *image.Source, u Updates) ([]*rebuild.Job, []error) {
	jobs, failed := make([]*rebuild.Job, len(src.Images)), make([]error, len(src.Images))
	var g errgroup.Group
	g.SetLimit(parallelPlatforms)
	for i, pi := range src.Images {
		g.Go(func() error {
			jobs[i], failed[i] = s.planOne(ctx, src, pi, u)
			return nil // an image that cannot be planned may be one that stays as it is
		})
	}
	_ = g.Wait()
	return jobs, failed
}

// checkLock makes sure that a lockfile, if there is one, is for the source.
func (s *Session) checkLock(ctx context.Context, lock *plan.Lock, src *image.Source) error {
	if lock == nil {
		return nil
	}
	if lock.Source != src.Descriptor.Digest {
		return fmt.Errorf("%w: it is for %s, %s is %s; name the source by that digest, or make a new lockfile with --lock",
			plan.ErrLock, lock.Source, src.Ref, src.Descriptor.Digest)
	}
	if lock.Tool != s.cfg.Version {
		s.cfg.Logger.WarnContext(ctx, "another version of nanopatch wrote the lockfile: the same updates may come out with other digests",
			"lockfile", lock.Tool, "this", s.cfg.Version)
	}
	return nil
}

func (s *Session) planOne(ctx context.Context, src *image.Source, pi image.PlatformImage, u Updates) (*rebuild.Job, error) {
	if os := pi.Platform.OS; os != "linux" && os != "" {
		return nil, fmt.Errorf("%w: it is an image for %s", rebuild.ErrNoPackages, os)
	}
	opts := s.readOptions()
	opts.Rules, opts.Repositories, opts.Keyrings, opts.Edits = u.Rules, u.Repositories, u.Keyrings, u.Edits
	opts.Advisories = u.Advisories
	var gathered error
	if u.Locked != nil {
		lock, err := u.Locked.For(pi.Descriptor.Digest)
		if err != nil {
			return nil, err
		}
		// A repository that wants the image's own login is asked again by the plan, which knows it.
		gathered = s.gather(ctx, s.packages, lock, sources{archives: u.Archives})
		opts.Lock = lock
	}
	name := plan.Image{Ref: src.Ref.String(), Digest: pi.Descriptor.Digest, Platform: pi.Platform.String()}
	job, err := rebuild.Plan(ctx, pi.Image, name, opts)
	if err != nil && gathered != nil {
		return nil, gathered
	}
	return job, err
}

func (s *Session) readOptions() rebuild.Options {
	return rebuild.Options{Store: s.layers, Client: s.packages, Now: s.cfg.Now, Logger: s.cfg.Logger}
}

// count is "1 update", "2 updates".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
