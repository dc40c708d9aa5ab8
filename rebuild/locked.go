package rebuild

import (
	"context"
	"fmt"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/rebuild/policy"
)

// locked plans exactly the updates that a lock names. Anything that it cannot do as locked is an error: a rerun that
// gives something else would be worse than none.
func (l *loop) locked(ctx context.Context) error {
	lock, p := l.job.opts.Lock, l.job.Plan
	l.job.opts.Edits, p.Choices = lock.Options(), plan.ChoicesOf(lock.Options())
	decision, err := l.lockedDecision(lock)
	if err != nil {
		return err
	}
	holds, err := l.try(ctx, decision)
	if err != nil {
		return err
	}
	if len(holds) > 0 {
		return fmt.Errorf("%w: %w; make a new one with --lock", plan.ErrLock, holds[0])
	}
	p.Updates = make([]plan.Update, 0, len(decision.Updates))
	for i, u := range decision.Updates {
		update := l.update(u)
		update.Level = lock.Updates[i].Level
		update.SetAdvisories(lock.Updates[i].Advisories)
		p.Updates = append(p.Updates, update)
	}
	p.Held, p.Unmanaged, p.Repositories = []plan.Hold{}, []plan.Unmanaged{}, lock.Repositories
	return l.describeEdits(decision)
}

// lockedDecision is what the policy would have decided to come to the lock's updates, in its order.
func (l *loop) lockedDecision(lock *plan.PlatformLock) (*policy.Decision, error) {
	installed := make(map[ecosystem.Key]ecosystem.Package, len(l.installed))
	for _, p := range l.installed {
		installed[p.Key] = p
	}
	d := &policy.Decision{}
	for _, u := range lock.Updates {
		from, ok := installed[u.Key()]
		if !ok || from.Version != u.From {
			return nil, fmt.Errorf("%w: it updates %s %s, the image has %q; make a new one with --lock",
				plan.ErrLock, u.Key(), u.From, from.Version)
		}
		artifact, err := ArtifactOf(u)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", plan.ErrLock, err)
		}
		to := pkgrepo.Candidate{
			Package:  ecosystem.Package{Key: ecosystem.Key{Name: u.Name, Arch: u.NewArch()}, Version: u.To},
			Artifact: artifact,
		}
		d.Updates = append(d.Updates, policy.Update{
			From: from, To: to, NumberLevel: l.backend.scheme.Level(u.From, u.To), Security: u.Security,
		})
	}
	return d, nil
}
