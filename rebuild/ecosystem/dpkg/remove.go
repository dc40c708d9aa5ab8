package dpkg

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// removeOld deletes what only the old version ships, its list read backwards so that files go before their
// directories: pkg_remove_old_files in src/main/unpack.c. Conffiles stay and become obsolete.
func (u *upgrade) removeOld(_ context.Context, in *install) error {
	for _, c := range in.new.conffiles {
		if !c.removeOnUpgrade || in.conffiles[c.path].path == "" {
			continue
		}
		if err := u.removeConffile(in, c.path); err != nil {
			return err
		}
	}
	var newPlaces map[string]string
	for _, name := range slices.Backward(in.oldList) {
		if in.conffiles[name].path != "" || in.shipped[name] != nil || in.taken[name] || name == "." {
			continue
		}
		use := u.diversions.use(name, in.old.Name)
		if t, ok := u.tree.Target(use); ok && t.IsDir() && u.usedByOthers(in, name) {
			continue
		}
		at := u.tree.Place(use)
		f, ok := u.tree.Lookup(at)
		if !ok {
			continue
		}
		if f.IsDir() {
			u.removeEmpty(in, at)
			continue
		}
		if newPlaces == nil {
			newPlaces = u.places(in)
		}
		// An old name may be another way to a new file.
		alias, same := newPlaces[at]
		if same {
			u.inheritConffile(in, name, alias)
			continue
		}
		if isConffile(in.old, name) {
			in.obsolete = append(in.obsolete, name)
			in.queue = append(in.queue, name)
			continue
		}
		may, err := u.mayReplace(in, name, at, f, nil)
		if err != nil {
			return err
		}
		if may {
			u.remove(in, at)
		}
	}
	return nil
}

// places maps the physical paths of the new version's files to their names, of several to the last.
func (u *upgrade) places(in *install) map[string]string {
	all := make(map[string]string, len(in.shipped))
	for _, name := range slices.Sorted(maps.Keys(in.shipped)) {
		all[u.tree.Place(u.diversions.use(name, in.old.Name))] = name
	}
	return all
}

// removeEmpty removes a directory if nothing is in it.
func (u *upgrade) removeEmpty(in *install, at string) {
	if at != "." && len(u.tree.Children(at)) == 0 {
		u.tree.Remove(at, in.key(), false)
	}
}

// usedByOthers tells whether another package lists a path.
func (u *upgrade) usedByOthers(in *install, name string) bool {
	return slices.ContainsFunc(u.shippedBy[name], func(r *record) bool {
		if r == in.old {
			return false
		}
		if o, ok := u.byKey[r.Key]; ok && o.unpacked {
			return o.shipped[name] != nil
		}
		return true
	})
}

func isConffile(r *record, name string) bool {
	return slices.ContainsFunc(r.conffiles, func(c conffile) bool { return c.path == name })
}

// inheritConffile handles a conffile whose name changed but not its place: the new one is no stranger then.
func (u *upgrade) inheritConffile(in *install, name, alias string) {
	if _, declared := in.conffiles[alias]; !declared {
		return
	}
	for _, c := range in.old.conffiles {
		if c.path == name && in.inherited[alias] == "" {
			in.inherited[alias] = c.hash
		}
	}
}

// removeConffile does what a conffile's remove-on-upgrade flag asks for: pkg_remove_conffile_on_upgrade in
// src/main/unpack.c. One that the administrator changed is put aside.
func (u *upgrade) removeConffile(in *install, name string) error {
	if u.usedByOthers(in, name) {
		return nil
	}
	at := u.tree.Follow(u.diversions.use(name, in.old.Name), true)
	if dist := at + distSuffix; u.tree.Exists(dist) {
		u.remove(in, dist)
	}
	f, ok := u.tree.Lookup(at)
	if !ok || f.Regular() == nil {
		return nil
	}
	sum, err := u.digestOf(f.Regular())
	if err != nil {
		return err
	}
	if u.conffileHash(in, name) != sum.String() {
		aside := *f.Regular()
		aside.Path = at + oldSuffix
		content, err := u.tree.Content(f)
		if err != nil {
			return fmt.Errorf("keeping %s: %w", at, err)
		}
		u.set(in, aside.WithContent(content))
	}
	u.remove(in, at)
	return nil
}
