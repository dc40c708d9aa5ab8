package rebuild

import (
	"time"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
)

// endOfTime is later than any distribution's end of life.
var endOfTime = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// until finds the time up to which the plan stays what it is, as long as nothing changes that it was made from: the first
// at which a package file is old enough, a hold ends, an index stops to count or the distribution's support ends.
func (l *loop) until() (time.Time, error) {
	now := l.job.opts.Now()
	var until time.Time
	consider := func(t time.Time) {
		if t.After(now) && (until.IsZero() || t.Before(until)) {
			until = t
		}
	}
	for _, o := range l.repos.Origins() {
		consider(o.ValidUntil)
	}
	dates := l.dates()
	for _, p := range l.installed {
		consider(l.job.opts.Rules.NextChange(p.Key, time.Time{}))
		for _, c := range l.repos.Candidates(p.Key) {
			consider(l.job.opts.Rules.NextChange(p.Key, dates[c.Artifact]))
		}
	}
	_, eol, err := l.backend.distro(l.job.Tree.Top(), endOfTime)
	if err == nil && eol != nil {
		consider(eol.Time)
	}
	return until, err
}

// Lasting tells whether the same inputs would give the same plan, and up to when; zero is for ever. Files that could not
// be had are no inputs that anybody has a hash of.
func (j *Job) Lasting() (until time.Time, lasting bool) {
	for _, h := range j.Plan.Held {
		if h.Reason == ecosystem.ReasonNoArtifact {
			return time.Time{}, false
		}
	}
	return j.until, j.lasting
}
