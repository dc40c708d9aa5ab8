package dpkg

import (
	"archive/tar"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/version"
)

// claimed is what becomes of a path that other packages ship as well.
type claimed int

const (
	takeFile claimed = iota
	// sharedFile is one that all instances of a coinstallable package ship; the first to be unpacked put it there.
	sharedFile
	// keepExisting leaves the path to a package that replaces this one.
	keepExisting
)

// claim decides whether a package may put an entry where other packages have one of the same name: the loop over the
// other packages in tarobject (src/main/archives.c). A conflict holds the package.
//
// Packages of the batch count as they will be: one that no longer ships the path has given it up, whoever comes first.
func (u *upgrade) claim(in *install, e *layer.Entry, existing script.File, exists bool) claimed {
	verdict := takeFile
	for _, r := range u.shippedBy[e.Path] {
		if r == in.old {
			continue
		}
		other := u.contender(r)
		if other.pkg.Name == in.new.pkg.Name && other.pkg.MultiArch == "same" && in.new.pkg.MultiArch == "same" {
			if exists && u.inSync(in) {
				verdict = sharedFile
			}
			continue
		}
		if !u.contested(in, e, r, exists) || !other.ships(e.Path) {
			continue
		}
		switch {
		case u.obsoleteThere(in, r, e.Path, existing, exists):
		case replaces(in.new.replaces, other.pkg):
		case replaces(other.replaces, in.new.pkg):
			verdict = keepExisting
		default:
			u.hold(in.key(), ecosystem.ReasonDependency, "%s is also in package %s %s",
				listName(e.Path), r.Key, other.pkg.Version)
		}
	}
	return verdict
}

// contender is a package that may own a path.
type contender struct {
	pkg      ecosystem.Package
	replaces relations
	ships    func(name string) bool
}

// contender gives a package as it will be after the run.
func (u *upgrade) contender(r *record) contender {
	o, ok := u.byKey[r.Key]
	if !ok {
		return contender{r.Package, r.replaces, func(name string) bool { return !u.lost[r.Key][name] }}
	}
	return contender{o.new.pkg, o.new.replaces, func(name string) bool {
		if o.unpacked {
			return o.shipped[name] != nil && !u.lost[r.Key][name]
		}
		_, ships := o.new.files.Lookup(name)
		return ships
	}}
}

// contested tells whether two packages cannot both have a path.
func (u *upgrade) contested(in *install, e *layer.Entry, r *record, exists bool) bool {
	if d, ok := u.diversions.to[e.Path]; ok && (d.owner == r.Name || d.owner == in.old.Name) {
		return false
	}
	// What is a directory here and not there at all is taken for a shared directory.
	return r.state != "config-files" && (exists || e.Type != tar.TypeDir)
}

// inSync tells whether all other instances of a coinstallable package already have the new version.
func (u *upgrade) inSync(in *install) bool {
	for _, r := range u.db.records {
		if r.Name != in.old.Name || r == in.old || r.state == "not-installed" || r.state == "config-files" {
			continue
		}
		if other, ok := u.byKey[r.Key]; !ok || !other.unpacked || other.new.pkg.Version != in.new.pkg.Version {
			return false
		}
	}
	return true
}

// checkShared holds a package whose copy of a file that its other instances ship is another one.
func (u *upgrade) checkShared(in *install, e *layer.Entry, existing script.File) {
	same := e.Type == existing.Type && e.Linkname == existing.Linkname
	if t, err := in.new.files.Target(e); err == nil {
		content := existing.Regular()
		same = content != nil && content.SHA256 == t.SHA256
	}
	if in.conffiles[e.Path].path != "" {
		same = true // the administrator's copy says nothing about the package's
	}
	if !same && e.Type != tar.TypeDir {
		u.hold(in.key(), ecosystem.ReasonDependency, "%s differs from the one in the package's other instances", listName(e.Path))
	}
}

// obsoleteThere tells whether a path is an obsolete conffile of another package and a conffile of this one, which may
// have it then.
func (u *upgrade) obsoleteThere(in *install, r *record, name string, existing script.File, exists bool) bool {
	if in.conffiles[name].path == "" || !exists || existing.Regular() == nil {
		return false
	}
	for _, c := range r.conffiles {
		if c.path == name && c.obsolete {
			return true
		}
	}
	return false
}

// replaces tells whether a Replaces field names a package (does_replace in src/main/archives.c).
func replaces(rs relations, p ecosystem.Package) bool {
	for _, clause := range rs {
		for _, r := range clause {
			if r.name == p.Name && satisfied(r, p.Version) && (r.arch == "" || r.arch == "any" || r.arch == p.Arch) {
				return true
			}
		}
	}
	return false
}

// satisfied tells whether a version meets a relation. Versions that do not compare meet none.
func satisfied(r relation, v string) bool {
	if r.op == "" {
		return true
	}
	c, err := version.Deb.Compare(v, r.version)
	if err != nil {
		return false
	}
	switch r.op {
	case "<<":
		return c < 0
	case "<=":
		return c <= 0
	case "=":
		return c == 0
	case ">=":
		return c >= 0
	case ">>":
		return c > 0
	}
	return false
}

// elide takes a path that a package put on disk out of the file lists of the others that have it:
// pkg_remove_files_from_others in src/main/unpack.c. A conffile becomes obsolete there.
func (u *upgrade) elide(in *install, name string) {
	for _, r := range u.shippedBy[name] {
		if r.Name == in.old.Name {
			continue
		}
		if d, ok := u.diversions.to[name]; ok && (d.owner == r.Name || d.owner == in.old.Name) {
			continue
		}
		if in.conffiles[name].path != "" {
			note(u.obsoleted, r.Key, name)
		}
		if o, ok := u.byKey[r.Key]; ok && !o.unpacked {
			o.taken[name] = true
			continue
		}
		note(u.lost, r.Key, name)
	}
}

func note(m map[ecosystem.Key]map[string]bool, key ecosystem.Key, name string) {
	if m[key] == nil {
		m[key] = make(map[string]bool)
	}
	m[key][name] = true
}

// checkDisappeared holds the packages that took every file another package had: dpkg would make that one disappear,
// and an upgrade removes no package.
func (u *upgrade) checkDisappeared() {
	for _, r := range u.db.records {
		key := r.Key
		names, lost := u.lost[key]
		if _, ours := u.byKey[key]; ours || !lost {
			continue
		}
		list, err := u.db.list(r)
		if err != nil || u.saved(list, names) {
			continue
		}
		for _, in := range u.installs {
			for name := range names {
				if in.shipped[name] != nil {
					u.hold(in.key(), ecosystem.ReasonDependency, "it takes over all files of package %s, which would disappear", key)
					break
				}
			}
		}
	}
}

// saved tells whether a package keeps a file of its own: one that it did not lose and that is no directory of others.
func (u *upgrade) saved(list []string, lost map[string]bool) bool {
	for _, name := range list {
		if f, ok := u.tree.At(name); !lost[name] && (!ok || !f.IsDir()) {
			return true
		}
	}
	return false
}
