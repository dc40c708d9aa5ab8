package apk

import (
	"path"
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
)

// removeOld takes away what only the old versions had: apk_db_purge_pkg (src/database.c). Where two names lead to one place
// ("lib" being a link to "usr/lib"), what anyone has under either name stays.
func (u *upgrade) removeOld() error {
	var owned map[string]bool
	for _, in := range u.batch.installs {
		var gone []string
		in.old.paths(func(p string, _ *fileRecord) {
			if !in.ships[p] {
				gone = append(gone, p)
			}
		})
		if len(gone) > 0 && owned == nil {
			owned = u.ownedPlaces()
		}
		for _, p := range gone {
			if !owned[u.tree.Place(p)] {
				if err := u.removeFile(in, p); err != nil {
					return err
				}
			}
		}
	}
	u.removeDirectories()
	return nil
}

// ownedPlaces are the physical paths of all files that packages have after the run.
func (u *upgrade) ownedPlaces() map[string]bool {
	owned := make(map[string]bool)
	u.batch.ownedByOthers(func(p string) { owned[u.tree.Place(p)] = true })
	for _, in := range u.batch.installs {
		for p := range in.ships {
			owned[u.tree.Place(p)] = true
		}
	}
	return owned
}

// removeFile removes a file that is as the package installed it. One that was changed stays in a protected directory; apk
// would remove it from any other, and takes the change with it.
func (u *upgrade) removeFile(in *install, p string) error {
	at := u.tree.Place(p)
	there, exists := u.tree.Lookup(at)
	if !exists {
		return nil
	}
	if there.IsDir() {
		u.hold(in.key(), ecosystem.ReasonModifiedFile, "%s is a directory", slashed(p))
		return nil
	}
	was := in.old.file(p)
	sum, known, err := u.sumThere(there.Entry, there.Inode)
	if err != nil {
		return err
	}
	protected := u.protected.covers(path.Dir(p))
	clean := was.hasSum && known && sum == was.sum
	switch {
	case clean, !protected && (!was.summed(there.Entry) || u.opts.OnModified == ecosystem.OverwriteModified):
		u.tree.Remove(at, in.key(), false)
	case protected, u.opts.OnModified == ecosystem.KeepModified:
		u.kept = append(u.kept, ecosystem.KeptFile{Path: at, Package: in.key()})
	default:
		u.hold(in.key(), ecosystem.ReasonModifiedFile, "%s is not as the package installed it, and the new version lacks it", slashed(p))
	}
	return nil
}

// removeDirectories removes directories that no package has any more and that are empty, the deepest first.
func (u *upgrade) removeDirectories() {
	need := u.batch.directories()
	for _, in := range u.batch.installs {
		var gone []string
		for _, d := range in.old.dirs {
			for dir := d.path; dir != "." && dir != "" && !need[dir]; dir = path.Dir(dir) {
				gone = append(gone, dir)
			}
		}
		slices.SortFunc(gone, func(a, b string) int { return strings.Count(b, "/") - strings.Count(a, "/") })
		for _, dir := range slices.Compact(gone) {
			at := u.tree.Place(dir)
			if e, ok := u.tree.Lookup(at); ok && e.IsDir() && len(u.tree.Names(at)) == 0 && !u.neededPlace(at, need) {
				u.tree.Remove(at, in.key(), false)
			}
		}
	}
}

// neededPlace tells whether a physical directory is one that a package has under another name.
func (u *upgrade) neededPlace(at string, need map[string]bool) bool {
	for dir := range need {
		if path.Base(dir) == path.Base(at) && u.tree.Follow(dir, true) == at {
			return true
		}
	}
	return false
}
