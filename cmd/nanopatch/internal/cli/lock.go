package cli

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/renameio/v2"

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

// writeLock writes the lockfile of --lock, if one is named.
func (o *updateOptions) writeLock(source v1.Hash, plans []*plan.Plan, edits plan.Options) error {
	if o.lock == "" {
		return nil
	}
	lock := plan.NewLock(Version, source)
	for _, p := range plans {
		lock.Add(p, edits)
	}
	var b bytes.Buffer
	if err := plan.WriteJSON(&b, lock); err != nil {
		return err
	}
	if err := renameio.WriteFile(o.lock, b.Bytes(), 0o644); err != nil {
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
