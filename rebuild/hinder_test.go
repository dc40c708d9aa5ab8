package rebuild

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/rebuild/policy"
)

func TestUnusable(t *testing.T) {
	update := policy.Update{From: ecosystem.Package{Key: ecosystem.Key{Name: "a", Arch: "amd64"}}}
	garbled := &unpackError{url: "http://x/a.deb", err: errors.New("no ar archive")}
	full := &unpackError{url: "http://x/a.deb", err: &fs.PathError{Op: "write", Path: "cache", Err: errors.New("no space left")}}
	for _, tt := range []struct {
		name   string
		err    error
		locked bool
		held   bool
	}{
		{name: "nothing wrong"},
		{name: "gone", err: fmt.Errorf("fetching: %w", pkgrepo.ErrNotFound), held: true},
		{name: "gone, but locked", err: pkgrepo.ErrNotFound, locked: true},
		{name: "unreadable", err: garbled, held: true},
		{name: "full disk", err: full},
		{name: "not what was signed", err: pkgrepo.ErrVerification},
		{name: "unreachable", err: pkgrepo.ErrUnreachable},
	} {
		l := &loop{job: &Job{opts: &Options{}}}
		if tt.locked {
			l.job.opts.Lock = &plan.PlatformLock{}
		}
		h := l.unusable(t.Context(), tt.err, update)
		if (h != nil) != tt.held || h != nil && (h.Package != update.From.Key || h.Reason != ecosystem.ReasonNoArtifact) {
			t.Errorf("%s: %v", tt.name, h)
		}
	}
}
