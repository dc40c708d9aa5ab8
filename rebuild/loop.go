package rebuild

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nanopatch/nanopatch/rebuild/advisory"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/rebuild/policy"
)

// plan finds what to update with one ecosystem's packages and repositories.
func (j *Job) plan(ctx context.Context, b backend) error {
	homes, db, err := plan.Homes(j.Tree, b.ecosystem)
	if errors.Is(err, ecosystem.ErrNoDatabase) {
		return errNotHere
	}
	if err != nil {
		return fmt.Errorf("reading the package database: %w", err)
	}
	l := &loop{
		job: j, backend: b, homes: homes, database: db, installed: db.Packages(),
		payloads: make(map[pkgrepo.Artifact]ecosystem.Payload), resolved: make(map[pkgrepo.Artifact]pkgrepo.Artifact),
		holds: make(map[ecosystem.Key]*ecosystem.HoldError),
	}
	if j.Plan.Distro, j.Plan.EOL, err = b.distro(j.Tree.Top(), j.opts.Now()); err != nil {
		return fmt.Errorf("reading the distribution: %w", err)
	}
	if j.opts.Client, err = b.client(j.Tree.Top(), j.opts.Client); err != nil {
		return err
	}
	j.Plan.Choices = plan.ChoicesOf(j.opts.Edits)
	if l.advisories, err = j.opts.AdvisoryDocuments(ctx, j.Plan.Distro); err != nil {
		return err
	}
	if j.opts.Lock != nil {
		return l.locked(ctx)
	}
	if l.repos, err = b.open(ctx, j.Tree.Top(), db, j.opts); err != nil {
		return err
	}
	return l.run(ctx)
}

// loop is policy ⇄ artifacts ⇄ effects, repeated until nothing more is held.
type loop struct {
	job       *Job
	backend   backend
	repos     repositories
	homes     map[ecosystem.Key]int
	database  ecosystem.Database
	installed []ecosystem.Package
	// payloads are the package files fetched so far, by artifact.
	payloads map[pkgrepo.Artifact]ecosystem.Payload
	// resolved are their artifacts with what the index leaves out, by the artifact that it states.
	resolved map[pkgrepo.Artifact]pkgrepo.Artifact
	// advisories are the documents that know what updates fix.
	advisories []advisory.Document
	// holds are those that policy could not see. They only ever grow, so the loop ends.
	holds map[ecosystem.Key]*ecosystem.HoldError
}

func (l *loop) run(ctx context.Context) error {
	for round := 1; ; round++ {
		dated := len(l.payloads)
		decision, err := l.decide()
		if err != nil {
			return err
		}
		holds, err := l.try(ctx, decision)
		if err != nil {
			return err
		}
		l.job.opts.logger().DebugContext(ctx, "planned", "round", round, "updates", len(decision.Updates), "newHolds", len(holds))
		// How old a package is shows only in its file: with new files at hand the policy must look again.
		settled := len(l.payloads) == dated || !l.job.opts.Rules.NeedsDates()
		if len(holds) == 0 && settled {
			if l.job.until, err = l.until(); err != nil {
				return err
			}
			l.job.lasting = true
			return l.describe(ctx, decision)
		}
		if err := l.hold(holds); err != nil {
			return err
		}
	}
}

// hold records new holds. Were they all there already, the loop would not move on.
func (l *loop) hold(holds []*ecosystem.HoldError) error {
	grown := len(holds) == 0
	for _, h := range holds {
		if l.holds[h.Package] == nil {
			l.holds[h.Package] = h
			grown = true
		}
	}
	if !grown {
		return fmt.Errorf("planning does not end: %w", holds[0])
	}
	return nil
}

func (l *loop) decide() (*policy.Decision, error) {
	candidates := make(map[ecosystem.Key][]pkgrepo.Candidate, len(l.installed))
	for _, p := range l.installed {
		candidates[p.Key] = l.repos.Candidates(p.Key)
	}
	return policy.Decide(policy.Input{
		Scheme: l.backend.scheme, Installed: l.installed, Candidates: candidates, Rules: l.job.opts.Rules,
		Held: l.holds, Dates: l.dates(),
	})
}

// try fetches what a decision needs and computes its effects. The holds are what stands in the way.
func (l *loop) try(ctx context.Context, d *policy.Decision) ([]*ecosystem.HoldError, error) {
	holds, err := l.fetch(ctx, d.Updates)
	if err != nil || len(holds) > 0 {
		return holds, err
	}
	steps := make([]plan.Step, 0, len(d.Updates))
	for _, u := range d.Updates {
		steps = append(steps, plan.Step{
			Step: ecosystem.Step{Installed: u.From, Payload: l.payloads[u.To.Artifact]}, Home: l.homes[u.From.Key],
		})
	}
	l.job.edits, holds, err = plan.Distribute(ctx, l.job.Tree, l.backend.ecosystem, steps, l.job.opts.Edits)
	if h := l.uneditable(err, d.Updates); h != nil {
		return []*ecosystem.HoldError{h}, nil //nolint:nilerr // the error has become a hold
	}
	return holds, err
}

// fetch downloads and opens the package files that are not at hand yet. One that cannot be had is a hold.
func (l *loop) fetch(ctx context.Context, updates []policy.Update) ([]*ecosystem.HoldError, error) {
	var missing []policy.Update
	for _, u := range updates {
		if l.payloads[u.To.Artifact] == nil {
			missing = append(missing, u)
		}
	}
	payloads := make([]ecosystem.Payload, len(missing))
	resolved := make([]pkgrepo.Artifact, len(missing))
	holds := make([]*ecosystem.HoldError, len(missing))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(2 * l.job.opts.concurrency())
	for i, u := range missing {
		group.Go(func() error {
			var err error
			payloads[i], resolved[i], err = l.fetchOne(gctx, u)
			if holds[i] = l.unusable(gctx, err, u); holds[i] != nil {
				return nil //nolint:nilerr // the error has become a hold
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var found []*ecosystem.HoldError
	for i, u := range missing {
		if holds[i] != nil {
			found = append(found, holds[i])
			continue
		}
		l.payloads[u.To.Artifact], l.resolved[u.To.Artifact] = payloads[i], resolved[i]
	}
	return found, nil
}

// fetchOne fetches one package file and makes sure that it holds what the index said of it. It returns the artifact with its
// SHA-256.
func (l *loop) fetchOne(ctx context.Context, u policy.Update) (ecosystem.Payload, pkgrepo.Artifact, error) {
	artifact := u.To.Artifact
	if l.repos != nil { // a lock states everything
		var err error
		if artifact, err = l.repos.Resolve(ctx, artifact); err != nil {
			return nil, artifact, err
		}
	}
	files, err := l.job.opts.Client.Fetch(ctx, []pkgrepo.Artifact{artifact}, 1)
	if err != nil {
		return nil, artifact, err
	}
	payload, err := l.backend.ecosystem.Unpack(ctx, files[0], l.job.opts.Store)
	if err == nil {
		err = layerable(payload.Files())
	}
	if err != nil {
		return nil, artifact, &unpackError{url: artifact.URL, err: err}
	}
	// Alpine's indexes state their own architecture for packages that run on all.
	p := payload.Package()
	if p.Name != u.To.Name || p.Version != u.To.Version || p.Arch != u.To.Arch && p.Arch != "noarch" {
		return nil, artifact, &pkgrepo.Error{
			Kind: pkgrepo.ErrVerification, URL: artifact.URL,
			Err: fmt.Errorf("the package file is %s %s, the index says %s %s", p.Key, p.Version, u.To.Key, u.To.Version),
		}
	}
	return payload, artifact, nil
}

// layerable refuses a package with a file that no layer can hold: there, its name would say that another one is removed.
func layerable(files *layer.Index) error {
	for i := range files.Entries {
		if p := files.Entries[i].Path; strings.Contains("/"+p, "/.wh.") {
			return fmt.Errorf("its file /%.200s has the name of a whiteout", p)
		}
	}
	return nil
}

// dates are the build dates of the package files at hand; a minimum age is judged by them.
func (l *loop) dates() map[pkgrepo.Artifact]time.Time {
	dates := make(map[pkgrepo.Artifact]time.Time, len(l.payloads))
	for a, p := range l.payloads {
		dates[a] = p.Date()
	}
	return dates
}
