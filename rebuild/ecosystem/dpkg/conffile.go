package dpkg

import (
	"archive/tar"
	"fmt"
	"path"
	"slices"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/layer"
)

// The names under which dpkg keeps other versions of a conffile beside it.
const (
	distSuffix = ".dpkg-dist"
	oldSuffix  = ".dpkg-old"
	newSuffix  = ".dpkg-new"
)

// configure settles a package's conffiles, as dpkg --force-confold does after everything is unpacked:
// deferred_configure in src/main/configure.c.
func (u *upgrade) configure(in *install) error {
	for _, c := range in.new.conffiles {
		e, waits := in.staged[c.path]
		if !waits || c.removeOnUpgrade {
			continue
		}
		content, err := in.new.files.Target(e)
		if err != nil {
			continue // held already: it is not a plain file
		}
		if err := u.configureConffile(in, c.path, e, content); err != nil {
			return fmt.Errorf("configuring %s: %s: %w", in.key(), c.path, err)
		}
	}
	return nil
}

// configureConffile decides about one conffile by dpkg's table: what is installed against what was distributed before,
// and what was distributed before against what is now.
//
//	                 same as before    changed by the distributor
//	unchanged        kept              replaced
//	changed          kept              kept, new version beside it as .dpkg-dist
//	deleted          stays deleted     stays deleted, new version as .dpkg-dist
//
// A conffile that is new is installed, or put beside a file that happens to be there.
func (u *upgrade) configureConffile(in *install, name string, e, content *layer.Entry) error {
	use := u.diversions.use(name, in.old.Name)
	at := u.tree.Place(use)
	existing, exists := u.tree.Lookup(at)
	if !exists && u.conffileStaysAbsent(in, name, at) {
		return nil
	}
	if exists && existing.Type == tar.TypeSymlink {
		u.leaveLinkedConffile(in, name, at, e, content)
		return nil
	}
	if exists && existing.Regular() == nil {
		in.ghosts[name] = true
		return nil
	}
	header := u.header(e, at)
	if exists {
		// The administrator's mode and owner stay.
		was := existing.Regular()
		header.Mode, header.UID, header.GID = was.Mode, was.UID, was.GID
		if was.SHA256 == content.SHA256 {
			return nil
		}
	}
	before, edited := u.conffileHash(in, name), true
	if exists {
		sum, err := u.digestOf(existing.Regular())
		if err != nil {
			return err
		}
		edited = sum.String() != before
	}
	if !exists && (before == newConffile || u.opts.RestoreMissing) || !edited {
		u.set(in, header.WithContent(content))
		return nil
	}
	now, err := u.digestOf(content)
	if err != nil {
		return err
	}
	if before == now.String() {
		u.keep(in, at)
		return nil
	}
	u.keep(in, at)
	if u.tree.Exists(at + oldSuffix) {
		u.remove(in, at+oldSuffix)
	}
	header.Path = at + distSuffix
	u.set(in, header.WithContent(content))
	return nil
}

// keep notes that the administrator's version stays, if there is one.
func (u *upgrade) keep(in *install, at string) {
	if !u.tree.Exists(at) {
		return
	}
	u.kept = append(u.kept, ecosystem.KeptFile{Path: at, Package: in.key()})
}

// conffileStaysAbsent tells whether a conffile that is not there has no place any more: its directory was removed, or
// it was a plain file of the package until now and someone removed it. Other deleted conffiles are up to dpkg's table.
func (u *upgrade) conffileStaysAbsent(in *install, name, at string) bool {
	if parent, ok := u.tree.At(path.Dir(at)); path.Dir(at) != "." && (!ok || !parent.IsDir()) {
		return true
	}
	_, old := in.oldPlace[at]
	return !u.opts.RestoreMissing && old && u.conffileHash(in, name) == newConffile
}

// leaveLinkedConffile does what dpkg does about a conffile that is a symbolic link now: the new version comes to lie
// beside the link and is not looked at again, because configuration looks beside the link's target. The recorded digest
// stays the old one.
func (u *upgrade) leaveLinkedConffile(in *install, name, at string, e, content *layer.Entry) {
	in.ghosts[name] = true
	header := u.header(e, at+newSuffix)
	u.set(in, header.WithContent(content))
	u.keep(in, at)
}

// conffileHash gives the digest of a conffile as distributed before: by the package itself, else by another that has
// the file (deb_parse_conffiles in src/main/unpack.c). One that was no conffile has [newConffile].
func (u *upgrade) conffileHash(in *install, name string) string {
	hash := newConffile
	for _, r := range u.shippedBy[name] {
		for _, c := range r.conffiles {
			if c.path != name {
				continue
			}
			if r == in.old {
				return c.hash
			}
			hash = c.hash
		}
	}
	if inherited, ok := in.inherited[name]; ok && hash == newConffile {
		return inherited
	}
	return hash
}

// conffilesAfter lists the conffiles for the status file: those of the new version in its order, then the obsolete
// ones. before gives the digest of one that is not configured.
func conffilesAfter(d *deb, before func(name string) string, configured func(name string) *layer.Entry,
	yielded map[string]bool, obsolete []conffile,
) ([]conffile, error) {
	var all []conffile
	for _, c := range d.conffiles {
		line := conffile{path: c.path, removeOnUpgrade: c.removeOnUpgrade, obsolete: yielded[c.path]}
		if content := configured(c.path); content != nil && !c.removeOnUpgrade {
			sum, err := content.MD5()
			if err != nil {
				return nil, err
			}
			line.hash = digest(sum).String()
		} else {
			line.hash = before(c.path)
		}
		all = append(all, line)
	}
	return append(all, obsolete...), nil
}

// conffilesOf lists a package's conffiles after the run.
func (u *upgrade) conffilesOf(in *install) ([]conffile, error) {
	configured := func(name string) *layer.Entry {
		e := in.staged[name]
		if e == nil || in.ghosts[name] {
			return nil
		}
		content, err := in.new.files.Target(e)
		if err != nil {
			return nil
		}
		return content
	}
	var obsolete []conffile
	for _, name := range in.obsolete {
		i := slices.IndexFunc(in.old.conffiles, func(c conffile) bool { return c.path == name })
		obsolete = append(obsolete, conffile{path: name, hash: in.old.conffiles[i].hash, obsolete: true})
	}
	all, err := conffilesAfter(in.new, func(name string) string { return u.conffileHash(in, name) }, configured, in.yielded, obsolete)
	for i := range all {
		// Another package of the run may have taken it over since.
		if u.obsoleted[in.key()][all[i].path] {
			all[i].obsolete = true
		}
	}
	return all, err
}
