package dpkg

import (
	"archive/tar"
	"context"
	"fmt"
	"iter"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/overlay"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
	"github.com/nanopatch/nanopatch/rebuild/layer"
)

// unpack puts a package's files into the tree: tarobject in src/main/archives.c, with what the editing rules add (what
// was removed stays away, what was changed is not overwritten).
//
// Links are made when all else is there, as dpkg does so that no file is ever unpacked through one that is new.
func (u *upgrade) unpack(ctx context.Context, in *install) error {
	for e := range linksLast(in.new.files) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := u.unpackEntry(in, e); err != nil {
			return fmt.Errorf("unpacking %s: %s: %w", in.key(), e.Path, err)
		}
	}
	in.unpacked = true
	return nil
}

// linksLast gives the entries of an archive in the order in which dpkg handles them (tar_extractor in
// lib/dpkg/tarfn.c).
func linksLast(x *layer.Index) iter.Seq[*layer.Entry] {
	return func(yield func(*layer.Entry) bool) {
		for _, links := range []bool{false, true} {
			for i := range x.Entries {
				if e := &x.Entries[i]; (e.Type == tar.TypeSymlink) == links && !yield(e) {
					return
				}
			}
		}
	}
}

func (u *upgrade) unpackEntry(in *install, e *layer.Entry) error {
	name := e.Path
	if in.conffiles[name].removeOnUpgrade {
		u.hold(in.key(), ecosystem.ReasonNoArtifact, "it ships %s and asks for its removal", listName(name))
		return nil
	}
	if contested, ok := u.diversions.from[name]; ok {
		u.hold(in.key(), ecosystem.ReasonDependency, "%s is where a diversion of %s goes", listName(name), listName(contested))
		return nil
	}
	in.queue = append(in.queue, name)
	in.shipped[name] = e
	use := u.diversions.use(name, in.old.Name)
	at := u.tree.Place(use)
	existing, exists := u.tree.Lookup(at)
	dir := u.staysDirectory(use, e, existing, exists)
	shared := false
	if !dir {
		verdict := u.claim(in, e, existing, exists)
		if verdict == keepExisting {
			in.queue = in.queue[:len(in.queue)-1]
			delete(in.shipped, name)
			in.yielded[name] = true
			return nil
		}
		shared = verdict == sharedFile
	}
	if u.filters.skips(e) {
		// It stays in the file list.
		delete(in.shipped, name)
		return nil
	}
	switch {
	case dir:
		return nil
	case shared:
		u.checkShared(in, e, existing)
		return nil
	case in.conffiles[name].path != "":
		if e.Type != tar.TypeReg && e.Type != tar.TypeLink {
			u.hold(in.key(), ecosystem.ReasonNoArtifact, "its conffile %s is not a plain file", listName(name))
		}
		in.staged[name] = e
		u.elide(in, name)
		return nil
	case !exists && u.staysAbsent(in, name, at):
		in.skipped[name] = true
		return nil
	}
	if exists {
		if may, err := u.mayReplace(in, name, at, existing, e); !may || err != nil {
			return err
		}
	}
	return u.put(in, e, at)
}

// staysDirectory tells whether dpkg leaves what is there alone because it is a directory, or a link to one, where the
// package has a directory or a link: directory trees and links to them are the administrator's.
func (u *upgrade) staysDirectory(use string, e *layer.Entry, existing script.File, exists bool) bool {
	switch e.Type {
	case tar.TypeDir:
		t, ok := u.tree.Target(use)
		return ok && t.IsDir()
	case tar.TypeSymlink:
		if !exists {
			return false
		}
		if existing.IsDir() {
			return true
		}
		// A link to the same directory stays, however it is spelt.
		there, ok := u.tree.Target(use)
		if existing.Type != tar.TypeSymlink || !ok || !there.IsDir() {
			return false
		}
		target := e.Linkname
		if !strings.HasPrefix(target, "/") {
			target = path.Dir(u.tree.Place(use)) + "/" + target
		}
		return u.tree.Follow(target, true) == there.Path
	}
	return false
}

// staysAbsent tells whether a path that is not in the tree is to stay away: someone removed it after the package was
// installed, or a directory above it.
func (u *upgrade) staysAbsent(in *install, name, at string) bool {
	if _, was := u.db.view.Lookup(at); was || u.opts.RestoreMissing {
		return false // it went with a package of this run, if it went
	}
	if _, old := in.oldPlace[at]; old || in.oldSet[name] {
		return true
	}
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if in.skipped[dir] {
			return true
		}
	}
	// A file that comes over from another package was removed while it was that package's; a directory that several
	// share is this one's as well.
	return !in.shipped[name].IsDir() && slices.ContainsFunc(u.shippedBy[name], func(r *record) bool { return r != in.old })
}

// put places one entry of the package's archive at a physical path.
func (u *upgrade) put(in *install, e *layer.Entry, at string) error {
	parent, ok := u.tree.Lookup(path.Dir(at))
	if path.Dir(at) != "." && (!ok || !parent.IsDir()) {
		u.hold(in.key(), ecosystem.ReasonNoArtifact, "it ships %s without the directory above it", listName(e.Path))
		return nil
	}
	if in.put[at] {
		// Links to either would change their meaning, so far as to lead to themselves.
		u.hold(in.key(), ecosystem.ReasonNoArtifact, "two of its files come to lie at %s", listName(at))
		return nil
	}
	if existing, exists := u.tree.Lookup(at); exists && existing.IsDir() {
		if cleared, err := u.clearDirectory(in, at); !cleared || err != nil {
			return err
		}
	}
	u.elide(in, e.Path)
	in.put[at] = !e.IsDir()
	header := u.header(e, at)
	switch e.Type {
	case tar.TypeReg:
		u.set(in, header.WithContent(e))
		in.landed[e.Path] = at
	case tar.TypeLink:
		target, err := in.new.files.Target(e)
		if err != nil {
			return err
		}
		if carrier, ok := in.landed[target.Path]; ok && carrier != at {
			header.Type, header.Linkname = tar.TypeLink, carrier
			u.set(in, &header)
			return nil
		}
		// What it is linked to is not in the tree: the content comes here.
		u.set(in, header.WithContent(target))
		in.landed[target.Path] = at
	default:
		header.Linkname, header.Devmajor, header.Devminor = e.Linkname, e.Devmajor, e.Devminor
		u.set(in, &header)
	}
	return nil
}

// header makes the entry for a path of the package: owners by the image's names, or what an override says; the time in
// seconds, as dpkg sets it.
func (u *upgrade) header(e *layer.Entry, at string) layer.Entry {
	h := layer.Entry{
		Path: at, Type: e.Type, Mode: e.Mode, ModTime: e.ModTime.Truncate(time.Second), PAX: overlay.Xattrs(e.PAX),
	}
	h.UID, h.GID = u.ids.of(e.Uname, e.Gname, e.UID, e.GID)
	if o, ok := u.overrides[e.Path]; ok {
		h.UID, h.GID = o.uid, o.gid
		if e.Type != tar.TypeSymlink {
			h.Mode = o.mode
		}
	}
	return u.tree.WithNames(h)
}

// set puts an entry into the tree for a package; bytecode that Python made of an older file goes.
func (u *upgrade) set(in *install, e *layer.Entry) {
	old, existed := u.tree.Lookup(e.Path)
	if !existed || !u.tree.Same(old, e) {
		u.dropBytecode(in, e.Path)
	}
	u.tree.Set(e, in.key(), false)
	if now, _ := u.tree.Lookup(e.Path); !e.IsDir() && (!existed || !sameContent(old, now)) {
		in.touched = append(in.touched, e.Path)
	}
}

// sameContent tells whether whoever reads a path finds the same.
func sameContent(a, b script.File) bool {
	x, y := a.Regular(), b.Regular()
	if x == nil || y == nil {
		return x == nil && y == nil && a.Type == b.Type && a.Linkname == b.Linkname
	}
	return !x.Sparse && x.SHA256 == y.SHA256
}

// remove takes a path away for a package.
func (u *upgrade) remove(in *install, at string) {
	in.touched = append(in.touched, at)
	u.tree.Remove(at, in.key(), false)
	u.dropBytecode(in, at)
}

// clearDirectory makes room for a file where a directory is, as dpkg does, unless something in it is not the package's.
func (u *upgrade) clearDirectory(in *install, at string) (bool, error) {
	for _, child := range u.tree.Children(at) {
		f, _ := u.tree.Lookup(child)
		name, own := in.oldPlace[child]
		var err error
		if f.Entry != nil && f.IsDir() {
			if own {
				own, err = u.clearDirectory(in, child)
			}
		} else if own && u.opts.OnModified != ecosystem.OverwriteModified {
			var state modification
			state, err = u.modified(in, name, child, f, nil)
			own = state == asInstalled
		}
		if err != nil {
			return false, err
		}
		if !own {
			u.hold(in.key(), ecosystem.ReasonModifiedFile, "%s becomes a file but holds %s", listName(at), path.Base(child))
			return false, nil
		}
	}
	u.tree.RemoveAll(at, in.key())
	return true, nil
}
