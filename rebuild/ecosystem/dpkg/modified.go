package dpkg

import (
	"archive/tar"
	"path"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
	"github.com/nanopatch/nanopatch/rebuild/layer"
)

// mayReplace tells whether a file may be overwritten or removed: whether it is what its package installed. What to do
// otherwise is the caller's choice.
func (u *upgrade) mayReplace(in *install, name, at string, existing script.File, by *layer.Entry) (bool, error) {
	if u.opts.OnModified == ecosystem.OverwriteModified {
		return true, nil
	}
	state, err := u.modified(in, name, at, existing, by)
	switch {
	case err != nil:
		return false, err
	case state == asInstalled:
		return true, nil
	case state == notKnown:
		// Nor can it be kept as someone's: it may well be the package's, and what the update is for.
		u.hold(in.key(), ecosystem.ReasonModifiedFile, "%s: nothing says what the package installed there", listName(name))
		return false, nil
	case u.opts.OnModified == ecosystem.KeepModified:
		u.kept = append(u.kept, ecosystem.KeptFile{Path: at, Package: in.key()})
		return false, nil
	}
	u.hold(in.key(), ecosystem.ReasonModifiedFile, "%s is not as the package installed it", listName(name))
	return false, nil
}

// modification is what is known of a file and its package.
type modification int

const (
	asInstalled modification = iota
	changedSince
	// notKnown is a file that differs from the new version's and of which the database has no digest.
	notKnown
)

// modified tells whether a file differs from what its package installed, as far as the database knows digests. A file
// that already is what the new version has counts as unmodified.
func (u *upgrade) modified(in *install, name, at string, existing script.File, by *layer.Entry) (modification, error) {
	if _, changed := u.tree.Edited(at); changed || existing.IsDir() && by == nil {
		return asInstalled, nil
	}
	want, known := u.recorded(in, name, at)
	otherwise := notKnown
	switch {
	case known:
		otherwise = changedSince
	case u.cameAlong(in, at):
		return asInstalled, nil
	}
	content := existing.Regular()
	switch {
	case content == nil && by != nil && by.Type == existing.Type && by.Linkname == existing.Linkname:
		return asInstalled, nil
	case content == nil && known:
		return changedSince, nil // the administrator put a link or a directory in the file's place
	case content == nil && existing.IsDir():
		return asInstalled, nil // what is in it decides
	case content == nil && existing.Type == tar.TypeSymlink:
		return u.modifiedLink(in, existing)
	case content == nil:
		return otherwise, nil
	}
	if by != nil {
		if target, err := in.new.files.Target(by); err == nil && target.SHA256 == content.SHA256 {
			return asInstalled, nil
		}
	}
	if !known && len(in.oldDigests) == 0 {
		return otherwise, nil
	}
	sum, err := u.digestOf(content)
	if err == nil && (known && sum == want || !known && in.oldDigests[sum]) {
		return asInstalled, nil // hard links may have no line of their own
	}
	return otherwise, err
}

// digestOf gives the digest of a regular file's content, which it reads at most once in a run.
func (u *upgrade) digestOf(e *layer.Entry) (digest, error) {
	if sum, ok := u.digests[e.SHA256]; ok {
		return sum, nil
	}
	sum, err := e.MD5()
	if err != nil {
		return digest{}, err
	}
	u.digests[e.SHA256] = sum
	return sum, nil
}

// cameAlong tells for a package that its image's builder unpacked without dpkg whether a path was never touched after
// that: it is in the layer of the package's record, which has no digests of conffiles and links.
func (u *upgrade) cameAlong(in *install, at string) bool {
	if in.old.dropIn == "" {
		return false
	}
	n, ok := u.db.view.Lookup(at)
	record, known := u.db.view.Lookup(u.db.resolved(in.old.dropIn))
	return ok && known && n.Layer == record.Layer
}

// modifiedLink judges a symbolic link that the new version does not have like this. The database does not say where a
// link led. It counts as the package's if it leads to something of this package or of another from the same source, as
// those do that lead to a library's latest version, or to nothing beside itself; whoever points it elsewhere leads it
// out of there. It also does if it has the time of a file of the package that is as installed, beside which it lies: a link made
// later is younger.
func (u *upgrade) modifiedLink(in *install, existing script.File) (modification, error) {
	target := existing.Linkname
	if !strings.HasPrefix(target, "/") {
		target = path.Dir(existing.Path) + "/" + target
	}
	at := u.before.Follow(target, false)
	if in.siblings == nil {
		in.siblings = u.siblings(in)
	}
	if _, there := u.before.Lookup(at); in.siblings[at] || !there && !strings.Contains(existing.Linkname, "/") {
		return asInstalled, nil
	}
	came, err := u.cameWithFiles(in, existing)
	if came {
		return asInstalled, err
	}
	return notKnown, err
}

// cameWithFiles tells whether something has the time of a file of the package that is as it was installed, in the same layer. A time
// that the package's file list has as well, which is made when the package is installed, tells nothing.
func (u *upgrade) cameWithFiles(in *install, existing script.File) (bool, error) {
	own, ok := u.db.view.Lookup(existing.Path)
	list, listed := u.db.view.Lookup(u.db.resolved(u.db.infoPath(in.old, infoList)))
	if !ok || !listed || list.Inode().ModTime.Equal(existing.ModTime) {
		return false, nil
	}
	var unread error
	for at, name := range in.oldPlace {
		f, ok := u.db.view.Lookup(at)
		if !ok || f.Layer != own.Layer || f.Inode() == nil || !f.Inode().IsRegular() || !f.Inode().ModTime.Equal(existing.ModTime) {
			continue
		}
		want, known := recordedBy(in.old, in.oldSums, name)
		if !known {
			continue
		}
		switch sum, err := u.digestOf(f.Inode()); {
		case err != nil:
			unread = err
		case sum == want:
			return true, nil
		}
	}
	return false, unread
}

// siblings are the physical paths that packages of the same source ship, with the directories that they are in.
func (u *upgrade) siblings(in *install) map[string]bool {
	all := make(map[string]bool)
	for _, r := range u.db.records {
		if r != in.old && (r.Source != in.old.Source || !r.installed()) {
			continue
		}
		list, err := u.db.list(r)
		if err != nil {
			continue // it ships nothing that is known
		}
		for _, p := range list {
			at := u.before.Place(u.diversions.use(p, r.Name))
			all[at], all[path.Dir(at)] = true, true
		}
	}
	return all
}

// recorded gives the digest that the database has of an installed file: the package's own, or that of the package it
// comes over from. Conffiles have theirs in the status file.
func (u *upgrade) recorded(in *install, name, at string) (digest, bool) {
	if old, ok := in.oldPlace[at]; ok {
		return recordedBy(in.old, in.oldSums, old)
	}
	for _, r := range u.shippedBy[name] {
		sums, err := u.db.md5sums(r)
		if err != nil {
			continue
		}
		if d, ok := recordedBy(r, sums, name); ok {
			return d, true
		}
	}
	return digest{}, false
}

func recordedBy(r *record, sums map[string]digest, name string) (digest, bool) {
	for _, c := range r.conffiles {
		if c.path == name {
			return parseDigest(c.hash)
		}
	}
	d, ok := sums[name]
	return d, ok
}
