package cli

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/pipeline"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/plan"
)

// readLock reads the lockfile of --locked, if one is named.
func (o *updateOptions) readLock() (*plan.Lock, error) {
	if o.locked == "" {
		return nil, nil //nolint:nilnil // no lockfile is an ordinary case
	}
	f, err := os.Open(o.locked)
	if err != nil {
		return nil, usagef("--locked: %w", err)
	}
	defer f.Close()
	lock, err := plan.ReadLock(f)
	if err != nil {
		return nil, fmt.Errorf("--locked %s: %w", o.locked, err)
	}
	return lock, nil
}

// policyFlags choose updates, or say how to make them. A lockfile has all of that in it.
var policyFlags = []string{
	"level", "level-by", "only", "hold", "security-only", "min-age", "phased", "on-modified", "restore-missing", "repo-override", "keyring",
	"advisories",
}

// checkLocked refuses what was typed beside --locked and would go unheeded. The environment and the config file may say
// what they like: they are for other runs too.
func (o *updateOptions) checkLocked(typed map[string]bool) error {
	if o.locked == "" {
		return nil
	}
	for _, name := range policyFlags {
		if typed[name] {
			return usagef("--%s and --locked contradict each other: the lockfile says what is updated, and how", name)
		}
	}
	for _, kind := range []string{"held", "held-security", "unmanaged"} {
		if typed["fail-on"] && slices.Contains(o.failOn, kind) {
			return usagef("--fail-on %s and --locked contradict each other: no repository is asked, so nothing is known to be %[1]s", kind)
		}
	}
	return nil
}

// writeLock writes the lockfile of --lock, if one is named.
func (o *updateOptions) writeLock(planned *pipeline.Planned) error {
	if o.lock == "" {
		return nil
	}
	var b bytes.Buffer
	if err := plan.WriteJSON(&b, planned.Lock(Version)); err != nil {
		return err
	}
	if err := writeFile(o.lock, b.Bytes()); err != nil {
		return fmt.Errorf("writing the lockfile: %w", err)
	}
	return nil
}

// edits are the choices of the editing rules. epoch is SOURCE_DATE_EPOCH, seconds since 1970 or empty
// (https://reproducible-builds.org/specs/source-date-epoch/).
func (o *updateOptions) edits(epoch string) (plan.Options, error) {
	e := plan.Options{OnModified: ecosystem.OnModified(o.onModified), RestoreMissing: o.restoreMissing}
	if epoch == "" {
		return e, nil
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil || seconds < 0 {
		return e, usagef("SOURCE_DATE_EPOCH=%s is not a number of seconds", epoch)
	}
	e.SourceDateEpoch = time.Unix(seconds, 0).UTC()
	return e, nil
}
