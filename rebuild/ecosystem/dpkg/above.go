package dpkg

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/dpkg/debscript"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/overlay"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// UpgradeAbove brings to date what the last layer of the tree v derives from files of packages in the layers below.
//
// Had the packages been new when the layer was made, its own run of dpkg would have found them so. Three things follow from
// that. A bundle of certificates that the layer has its own version of, with local ones in it, is made again by the postinst that
// made the one below. Triggers on what changed run, if the layer has its own package database: then
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
		moving: make(map[string]debscript.Progress), bytecode: make(map[string]map[string][]string),
	}
	if err := u.addAbove(steps, changes); err != nil {
		return nil, nil, err
	}
	for _, in := range u.installs {
		for _, p := range in.touched {
			u.dropBytecode(in, p)
		}
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

// remadeAbove tells of the files that a postinst makes anew from all that the tree has, so that it can do so again in a layer
// above: the certificates, their list, and the names that lead to them. Whatever else a layer has its own version of is its
// author's.
func remadeAbove(p string) bool {
	return p == "etc/ca-certificates.conf" || p == "etc/ca-certificates.conf.dpkg-old" || strings.HasPrefix(p, "etc/ssl/certs/")
}

// configureAbove runs the postinsts of the packages that, in a layer below, made such a file of which this layer has another
// version. One that would do anything else here holds its package.
func (u *upgrade) configureAbove(ctx context.Context, changes []ecosystem.Change) error {
	again := make(map[*install]bool)
	for _, c := range changes {
		in, ok := u.byKey[c.Package]
		if !ok || c.Entry == nil || again[in] || !remadeAbove(c.Path) || !u.owns(c.Path) {
			continue
		}
		f, there := u.before.Lookup(u.before.Place(c.Path))
		again[in] = there && !f.IsDir() && !u.before.Same(f, c.Entry)
	}
	for _, in := range u.configureOrder() {
		if !again[in] {
			continue
		}
		edited := u.tree.EditedPaths()
		if err := u.run(ctx, in, in.newCall(postinst, "configure", in.old.Version)); err != nil {
			return err
		}
		for _, p := range u.tree.EditedPaths() {
			if !remadeAbove(p) && !slices.Contains(edited, p) {
				u.hold(in.key(), ecosystem.ReasonMaintainerScript, "its postinst, run again for a layer above, changes %s", listName(p))
			}
		}
	}
	return nil
}
