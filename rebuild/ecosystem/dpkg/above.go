package dpkg

import (
	"context"
	"errors"
	"fmt"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/overlay"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// CheckAbove holds the steps whose changes, made in layers below, leave a derived file of the tree v out of date: the
// packages of the layers above may have triggers on what changes, and their images of it.
func (Ecosystem) CheckAbove(
	ctx context.Context, v *rootfs.View, steps []ecosystem.Step, changes []ecosystem.Change,
) ([]*ecosystem.HoldError, error) {
	db, err := open(v)
	if errors.Is(err, ecosystem.ErrNoDatabase) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	touched := make(map[ecosystem.Key][]string)
	for _, c := range changes {
		if !c.Database {
			touched[c.Package] = append(touched[c.Package], c.Path)
		}
	}
	u := &upgrade{db: db, before: overlay.New(v), tree: overlay.New(v), byKey: make(map[ecosystem.Key]*install), moving: make(map[string]bool)}
	for _, s := range steps {
		d, ok := s.Payload.(*deb)
		if !ok {
			return nil, fmt.Errorf("upgrading %s: the payload is no Debian package", s.Installed.Key)
		}
		in := &install{old: &record{Package: s.Installed, state: stateInstalled}, new: d, touched: touched[s.Installed.Key]}
		u.installs = append(u.installs, in)
		u.byKey[s.Installed.Key] = in
	}
	if err := u.runTriggers(ctx); err != nil {
		return nil, err
	}
	if err := u.checkDerived(); err != nil {
		return nil, err
	}
	for _, c := range u.tree.Changes() {
		u.hold(c.Package, ecosystem.ReasonMaintainerScript, "a trigger of a package in a layer above would change %s", listName(c.Path))
	}
	return u.sortedHolds(), nil
}
