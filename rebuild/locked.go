package rebuild

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/rebuild/policy"
)

// locked plans exactly the updates that a lock names. Anything that it cannot do as locked is an error: a rerun that
// gives something else would be worse than none.
func (l *loop) locked(ctx context.Context) error {
	lock := l.job.opts.Lock
	l.job.opts.Edits = lock.Options()
	decision, err := l.lockedDecision(lock)
	if err != nil {
		return err
	}
	holds, err := l.try(ctx, decision)
	if err != nil {
		return err
	}
	if len(holds) > 0 {
		return fmt.Errorf("%w: %w", plan.ErrLock, holds[0])
	}
	p := l.job.Plan
	p.Updates = make([]plan.Update, 0, len(lock.Updates))
	for _, u := range lock.Updates {
		u.Layer = l.homes[u.Key()]
		p.Updates = append(p.Updates, u)
	}
	p.Held, p.Unmanaged, p.Repositories = []plan.Hold{}, []plan.Unmanaged{}, lock.Repositories
	return l.describeEdits()
}

func (l *loop) lockedDecision(lock *plan.PlatformLock) (*policy.Decision, error) {
	installed := make(map[ecosystem.Key]ecosystem.Package, len(l.installed))
	for _, p := range l.installed {
		installed[p.Key] = p
	}
	d := &policy.Decision{}
	for _, u := range lock.Updates {
		from, ok := installed[u.Key()]
		if !ok || from.Version != u.From {
			return nil, fmt.Errorf("%w: it updates %s %s, the image has %q", plan.ErrLock, u.Key(), u.From, from.Version)
		}
		to := pkgrepo.Candidate{
			Package:  ecosystem.Package{Key: u.Key(), Version: u.To, Source: u.Source},
			Artifact: pkgrepo.Artifact{URL: u.Artifact.URL, Size: u.Artifact.Size},
		}
		digest, err := hex.DecodeString(u.Artifact.SHA256)
		if err != nil || len(digest) != len(to.Artifact.SHA256) {
			return nil, fmt.Errorf("%w: %s: %q is no SHA-256", plan.ErrLock, u.Key(), u.Artifact.SHA256)
		}
		to.Artifact.SHA256 = [sha256.Size]byte(digest)
		d.Updates = append(d.Updates, policy.Update{From: from, To: to, Security: u.Security})
	}
	return d, nil
}
