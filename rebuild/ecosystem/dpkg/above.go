package dpkg

import (
	"context"
	"errors"
	"fmt"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/dpkg/debscript"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/overlay"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// UpgradeAbove brings to date what the last layer of the tree v derives from files of packages in the layers below.
//
// Had the packages been new when the layer was made, its own run of dpkg would have found them so. Three things follow from
// that. What a postinst makes and the layer has its own version of, such as a bundle of certificates with local ones
// in it, that postinst makes again in this tree. Triggers on what changed run, if the layer has its own package database: then
// packages of this layer may be interested. And the linker's cache of the layer is checked, and named after its maker.
func (Ecosystem) UpgradeAbove(
	ctx context.Context, v *rootfs.View, steps []ecosystem.Step, changes []ecosystem.Change, opts ecosystem.UpgradeOptions,
) (*ecosystem.Effect, []*ecosystem.HoldError, error) {
	db, err := open(v)
	if errors.Is(err, ecosystem.ErrNoDatabase) {
		return &ecosystem.Effect{}, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	u := &upgrade{
		db: db, above: true, before: overlay.New(v), tree: overlay.New(v), opts: opts, byKey: make(map[ecosystem.Key]*install),
		moving: make(map[string]debscript.Progress),
	}
	if err := u.addAbove(steps, changes); err != nil {
		return nil, nil, err
	}
	if err := u.configureAbove(ctx, changes); err != nil {
		return nil, nil, err
	}
	if u.owns(statusPath) || u.owns(fileTriggersPath) {
		if err := u.runTriggers(ctx); err != nil {
			return nil, nil, err
		}
	}
	if err := u.checkDerived(); err != nil {
		return nil, nil, err
	}
	if len(u.holds) > 0 {
		return nil, u.sortedHolds(), nil
	}
	return u.effect(), nil, nil
}

// addAbove makes the steps the run's packages, with the changes made in layers below as theirs.
func (u *upgrade) addAbove(steps []ecosystem.Step, changes []ecosystem.Change) error {
	touched := make(map[ecosystem.Key][]string)
	for _, c := range changes {
		if !c.Database {
			touched[c.Package] = append(touched[c.Package], c.Path)
		}
	}
	for _, s := range steps {
		d, ok := s.Payload.(*deb)
		if !ok {
			return fmt.Errorf("upgrading %s: the payload is no Debian package", s.Installed.Key)
		}
		old := &record{Package: s.Installed, state: stateInstalled}
		if r, ok := u.db.byKey[s.Installed.Key]; ok {
			old.dropIn = r.dropIn
		}
		in := &install{old: old, new: d, touched: touched[s.Installed.Key]}
		u.installs = append(u.installs, in)
		u.byKey[s.Installed.Key] = in
	}
	return u.readSettings()
}

// owns tells whether the last layer of the tree has its own file of a name.
func (u *upgrade) owns(name string) bool {
	n, ok := u.db.view.Lookup(u.before.Follow(name, true))
	return ok && n.Layer == u.db.view.Len()-1
}

// configureAbove runs the postinsts of the packages whose postinst, in a layer below, made a file of which this layer has
// another version.
func (u *upgrade) configureAbove(ctx context.Context, changes []ecosystem.Change) error {
	again := make(map[*install]bool)
	shipped := make(map[*install]map[string]bool)
	for _, c := range changes {
		in, ok := u.byKey[c.Package]
		if !ok || c.Database || c.Entry == nil || again[in] || !u.owns(c.Path) {
			continue
		}
		if f, there := u.before.Lookup(u.before.Place(c.Path)); !there || f.IsDir() || u.before.Same(f, c.Entry) {
			continue
		}
		if shipped[in] == nil {
			shipped[in] = make(map[string]bool)
			for i := range in.new.files.Entries {
				p := in.new.files.Entries[i].Path
				shipped[in][u.before.Place(u.diversions.use(p, in.old.Name))] = true
			}
		}
		again[in] = !shipped[in][u.before.Place(c.Path)]
	}
	for _, in := range u.configureOrder() {
		if !again[in] {
			continue
		}
		if err := u.run(ctx, in, in.newCall(postinst, "configure", in.old.Version)); err != nil {
			return err
		}
	}
	return nil
}
