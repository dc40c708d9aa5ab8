package apk

import (
	"archive/tar"
	"crypto/sha1" //nolint:gosec // apk names content by SHA-1
	"fmt"
	"io/fs"
	"path"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/overlay"
	"github.com/nanopatch/nanopatch/rebuild/layer"
)

// unpack extracts one package: apk_db_install_file and apk_db_migrate_files (src/database.c).
func (u *upgrade) unpack(in *install) error {
	landed := make(map[string]string)
	for i := range in.new.files.Entries {
		e := &in.new.files.Entries[i]
		var err error
		switch {
		case !ships(e):
		case e.IsDir():
			u.directory(in, e)
		case u.batch.keeps(in, e.Path):
			err = u.file(in, e, landed)
		}
		if err != nil {
			return fmt.Errorf("unpacking %s: %w", in.key(), err)
		}
	}
	return nil
}

// directory makes sure of a directory. One that is there stays as it is, but for permissions that the packages agreed on
// before and no longer do; a link to one counts. One that someone removed stays away until a file needs it.
func (u *upgrade) directory(in *install, e *layer.Entry) {
	at := u.tree.Place(e.Path)
	there, exists := u.tree.Lookup(at)
	switch {
	case !exists && in.old.dir(e.Path) != nil && !u.opts.RestoreMissing:
		u.skippedDirs[e.Path] = true
	case !exists:
		u.makeDirectory(in, e.Path)
	case there.IsDir():
		u.permissions(in, e, there.Entry)
	default:
		if t, ok := u.tree.Target(e.Path); !ok || !t.IsDir() {
			u.hold(in.key(), ecosystem.ReasonModifiedFile, "%s is not a directory", slashed(e.Path))
		}
	}
}

// makeDirectory creates a directory of the package and those above it.
func (u *upgrade) makeDirectory(in *install, name string) {
	if name == "." || name == "" {
		return
	}
	if _, exists := u.tree.Target(name); exists {
		return
	}
	u.makeDirectory(in, path.Dir(name))
	h := layer.Entry{Path: u.tree.Place(name), Type: tar.TypeDir, Mode: 0o755, ModTime: in.new.Date()}
	if e, ok := in.new.files.Lookup(name); ok && e.IsDir() {
		a := u.ids.attrs(e)
		h.Mode, h.UID, h.GID, h.ModTime, h.PAX = a.mode, a.uid, a.gid, e.ModTime, overlay.Xattrs(e.PAX)
	}
	h = u.tree.WithNames(h)
	u.tree.Set(&h, in.key(), false)
}

// permissions follows a change of a directory's mode or owner between the versions, if the directory is as the packages
// had it (apk_db_dir_prepare, apk_db_dir_apply_diri_permissions).
func (u *upgrade) permissions(in *install, e, there *layer.Entry) {
	was := in.old.dir(e.Path)
	now := u.ids.attrs(e)
	if was != nil && was.attrs == now {
		return
	}
	agreed := attrs{uid: -1}
	for _, r := range u.db.records {
		agreed.join(r.dir(e.Path))
	}
	if there.Mode != agreed.mode || there.UID != agreed.uid || there.GID != agreed.gid {
		return
	}
	after := u.batch.agreed(e.Path, u.ids)
	if after == agreed {
		return
	}
	h := *there
	h.Mode, h.UID, h.GID = after.mode, after.uid, after.gid
	u.tree.Set(&h, in.key(), false)
}

// agreed gives what the packages will say of a directory together.
func (b *batch) agreed(dir string, ids owners) attrs {
	all := attrs{uid: -1}
	for _, r := range b.records {
		in, upgraded := b.byKey[r.Key]
		if !upgraded {
			all.join(r.dir(dir))
		} else if e, ok := in.new.files.Lookup(dir); ok && e.IsDir() {
			all.join(&dirRecord{attrs: ids.attrs(e)})
		}
	}
	return all
}

// join adds what one more package says of a directory, if it has it: the lowest owner counts, and of equal owners the modes'
// common bits.
func (a *attrs) join(d *dirRecord) {
	if d == nil {
		return
	}
	b := d.attrs
	switch {
	case a.uid < 0, b.uid < a.uid, b.uid == a.uid && b.gid < a.gid:
		*a = b
	case b.uid == a.uid && b.gid == a.gid:
		a.mode &= b.mode
	}
}

// file puts one file of the package into its place, unless what is there says otherwise.
func (u *upgrade) file(in *install, e *layer.Entry, landed map[string]string) error {
	at := u.tree.Place(e.Path)
	there, exists := u.tree.Lookup(at)
	switch {
	case !exists && u.staysAbsent(e.Path):
		return nil
	case !exists:
		u.makeDirectory(in, path.Dir(e.Path))
		at = u.tree.Place(e.Path)
	case there.IsDir():
		u.hold(in.key(), ecosystem.ReasonModifiedFile, "%s is a directory", slashed(e.Path))
		return nil
	default:
		goes, err := u.replaces(in, e, there.Entry, there.Inode)
		if err != nil || goes == "" {
			return err
		}
		at = goes
	}
	return u.put(in, e, at, landed)
}

// staysAbsent tells whether a path that is not in the tree is to stay away, because someone removed it after some package
// put it there.
func (u *upgrade) staysAbsent(p string) bool {
	if u.opts.RestoreMissing {
		return false
	}
	if _, was := u.db.view.Lookup(u.tree.Place(p)); was {
		return false // it went in this run
	}
	for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
		if u.skippedDirs[dir] {
			return true
		}
	}
	for _, r := range u.db.records {
		if r.file(p) != nil {
			return true
		}
	}
	return false
}

// replaces decides about a path that is taken, and gives the physical path where the new content goes: there, beside it as
// NAME.apk-new, or "" for nowhere.
func (u *upgrade) replaces(in *install, e, there, inode *layer.Entry) (string, error) {
	owner := u.owner(in, e.Path)
	if _, ours := u.tree.Edited(there.Path); ours {
		return there.Path, nil
	}
	shipped, stated := in.new.sums[e.Path]
	sum, known := shipped, stated && in.new.sameContent(e, inode)
	if !known { // else the file need not be read
		var err error
		if sum, known, err = u.sumThere(there, inode); err != nil {
			return "", err
		}
	}
	same := known && stated && sum == shipped
	clean := owner != nil && owner.hasSum && known && sum == owner.sum
	switch {
	case clean:
		return there.Path, nil
	case u.protected.covers(path.Dir(e.Path)) && known:
		u.kept = append(u.kept, ecosystem.KeptFile{Path: there.Path, Package: in.key()})
		if same {
			return "", nil
		}
		return there.Path + ".apk-new", nil
	case same, u.appletLink(there), owner != nil && !owner.summed(there):
		return there.Path, nil
	}
	switch u.opts.OnModified {
	case ecosystem.OverwriteModified:
		return there.Path, nil
	case ecosystem.KeepModified:
		u.kept = append(u.kept, ecosystem.KeptFile{Path: there.Path, Package: in.key()})
		return "", nil
	}
	what := "is not as the package installed it"
	if owner == nil {
		what = "is in the way and belongs to no package"
	}
	u.hold(in.key(), ecosystem.ReasonModifiedFile, "%s %s", slashed(e.Path), what)
	return "", nil
}

// owner finds the installed file of a path: the package's own, or another's that hands it over. A file may be known by another
// name that leads to the same place.
func (u *upgrade) owner(in *install, p string) *fileRecord {
	if f := in.old.file(p); f != nil {
		return f
	}
	for _, r := range u.db.records {
		if f := r.file(p); f != nil {
			return f
		}
	}
	if u.byPlace == nil {
		u.byPlace = make(map[string]*fileRecord)
		places := overlay.New(u.db.view)
		for _, r := range u.db.records {
			r.paths(func(name string, f *fileRecord) { u.byPlace[places.Place(name)] = f })
		}
	}
	return u.byPlace[u.tree.Place(p)]
}

// sumThere gives the checksum of a file or link of the tree; known is false for all else.
func (u *upgrade) sumThere(there, inode *layer.Entry) (sum Checksum, known bool, err error) {
	switch {
	case there.Type == tar.TypeSymlink:
		return sha1.Sum([]byte(there.Linkname)), true, nil //nolint:gosec // see Checksum
	case inode == nil || !inode.IsRegular() || inode.Sparse:
		return sum, false, nil
	}
	n, ok := u.db.view.Lookup(there.Path)
	if !ok {
		return sum, false, fmt.Errorf("opening %s: %w", there.Path, fs.ErrNotExist)
	}
	f, err := u.db.view.OpenNode(n)
	if err != nil {
		return sum, false, err
	}
	defer f.Close()
	if sum, err = sumOf(f); err != nil {
		return sum, false, fmt.Errorf("reading %s: %w", there.Path, err)
	}
	return sum, true, nil
}

// sameContent tells whether a file of the tree has the content that an entry of the archive has.
func (p *payload) sameContent(e, inode *layer.Entry) bool {
	if inode == nil || !inode.IsRegular() || inode.Sparse {
		return false
	}
	target, err := p.files.Target(e)
	return err == nil && target.SHA256 == inode.SHA256
}

// put places one entry of the package's archive at a physical path.
func (u *upgrade) put(in *install, e *layer.Entry, at string, landed map[string]string) error {
	a := u.ids.attrs(e)
	h := u.tree.WithNames(layer.Entry{
		Path: at, Type: e.Type, Mode: a.mode, UID: a.uid, GID: a.gid, ModTime: e.ModTime, PAX: overlay.Xattrs(e.PAX),
	})
	switch e.Type {
	case tar.TypeReg:
		u.tree.Set(h.WithContent(e), in.key(), false)
		landed[e.Path] = at
	case tar.TypeLink:
		target, err := in.new.files.Target(e)
		if err != nil {
			return err
		}
		if carrier, ok := landed[target.Path]; ok && carrier != at {
			h.Linkname, h.PAX = carrier, nil
			u.tree.Set(&h, in.key(), false)
			return nil
		}
		// What it is linked to is not in the tree: the content comes here.
		h.PAX = overlay.Xattrs(target.PAX)
		u.tree.Set(h.WithContent(target), in.key(), false)
		landed[target.Path] = at
	default:
		h.Linkname, h.Devmajor, h.Devminor = e.Linkname, e.Devmajor, e.Devminor
		u.tree.Set(&h, in.key(), false)
	}
	return nil
}
