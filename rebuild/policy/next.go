package policy

import (
	"time"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
)

// NextChange is the first time after Now at which the rules alone could decide otherwise on a package of which a file was
// built on a date: when that is old enough, or a hold of the package ends. It is zero where there is no such time.
func (r *Rules) NextChange(k ecosystem.Key, built time.Time) time.Time {
	var next time.Time
	consider := func(t time.Time) {
		if t.After(r.Now) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	if _, age := r.limits(k); age > 0 && !built.IsZero() {
		consider(built.Add(age))
	}
	for _, h := range r.Hold {
		if !h.Until.IsZero() && matches(h.Glob, k) {
			consider(h.Until)
		}
	}
	return next
}
