package apk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/overlay"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// UpgradeAbove holds the steps that change a directory which the trigger of a package in the tree v watches: what it derived from the
// directory may be a file of that layer. Only busybox's trigger is known not to matter: it makes links to applets where there is
// nothing, and where an upgrade clears a place the layer that the package is in gets the link.
//
// A trigger whose work in the layers below could be computed holds the step, too, as it may have worked on more here.
func (Ecosystem) UpgradeAbove(
	_ context.Context, v *rootfs.View, steps []ecosystem.Step, changes []ecosystem.Change, _ ecosystem.UpgradeOptions,
) (*ecosystem.Effect, []*ecosystem.HoldError, error) {
	db, err := open(v)
	if errors.Is(err, ecosystem.ErrNoDatabase) {
		return &ecosystem.Effect{}, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	u := &upgrade{db: db, tree: overlay.New(v), batch: newBatch(db.records, nil)}
	watching, err := u.watching()
	if err != nil {
		return nil, nil, err
	}
	for _, s := range steps {
		dirs, err := changedBy(s, changes)
		if err != nil {
			return nil, nil, err
		}
		for _, t := range watching {
			watched := t.watched(dirs)
			if len(watched) == 0 || inert(t.script) || t.key.Name == "busybox" || t.key.Name == s.Installed.Name {
				continue
			}
			u.hold(s.Installed.Key, ecosystem.ReasonMaintainerScript,
				"it changes %s, on which the trigger of package %s works, in a layer above as well", slashed(watched[0]), t.key.Name)
		}
	}
	slices.SortFunc(u.holds, func(a, b *ecosystem.HoldError) int { return cmp.Compare(a.Package.Name, b.Package.Name) })
	return &ecosystem.Effect{}, u.holds, nil
}

// changedBy lists the directories that count as changed by a step, by the names that its package has for them and by those of
// the places that changed.
func changedBy(s ecosystem.Step, changes []ecosystem.Change) ([]string, error) {
	p, ok := s.Payload.(*payload)
	if !ok {
		return nil, fmt.Errorf("upgrading %s: the payload is no apk package", s.Installed.Key)
	}
	in := &install{old: &record{Package: s.Installed}, new: p}
	dirs := in.touched()
	for _, c := range changes {
		if c.Package == s.Installed.Key && !c.Database {
			dirs = append(dirs, path.Dir(c.Path))
		}
	}
	slices.Sort(dirs)
	return slices.Compact(dirs), nil
}
