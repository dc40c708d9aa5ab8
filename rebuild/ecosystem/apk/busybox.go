package apk

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"path"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
	"github.com/nanopatch/nanopatch/rebuild/layer"
)

// busyboxTarget is what the links to busybox's applets say.
const busyboxTarget = "/bin/busybox"

// busyboxUpgrades are the known texts of busybox's post-upgrade script, by SHA-256: links to busybox whose applet is gone are
// removed, and missing ones made. The value is a user that it adds if the image has none.
var busyboxUpgrades = map[string]string{
	"46f711f0bdae61eb9a39446e6a61d3d3b9e4518fbb1e1b25ab5a218f9d479906": "",      // 3.19
	"361aa82e5a9a18c86624fed675e83ebe0e8b2c30a34e68b356b96d550ff018af": "klogd", // 3.20
}

// appletDirs are where links to busybox's applets are.
var appletDirs = []string{"bin", "sbin", "usr/bin", "usr/sbin"}

// appletLink tells whether an entry is a link that busybox made for itself: no package has it, and apk replaces it by
// whatever a package ships there.
func (u *upgrade) appletLink(e *layer.Entry) bool {
	return e.Type == tar.TypeSymlink && (e.Linkname == busyboxTarget || e.Linkname == "/bin/bbsuid")
}

// applets lists the links of the busybox in the tree after the upgrade and before, from the file that its package ships for
// this; ok is false where there is none, or someone changed it.
func (u *upgrade) applets() (after, before []string, ok bool) {
	r := u.db.byName["busybox"]
	if r == nil {
		return nil, nil, false
	}
	data, err := u.db.view.ReadOptional(busyboxPathsFile, maxDatabase)
	f := r.file(busyboxPathsFile)
	if err != nil || data == nil || f == nil {
		return nil, nil, false
	}
	if sum, err := sumOf(strings.NewReader(string(data))); err != nil || sum != f.sum {
		return nil, nil, false
	}
	before = strings.Fields(string(data))
	in, upgraded := u.batch.byKey[r.Key]
	if !upgraded {
		return before, before, true
	}
	e, ok := in.new.files.Lookup(busyboxPathsFile)
	if !ok || !e.IsRegular() || e.Size > maxMember {
		return nil, nil, false
	}
	content, err := in.new.files.Open(e)
	if err != nil {
		return nil, nil, false
	}
	defer content.Close()
	text, err := io.ReadAll(content)
	return strings.Fields(string(text)), before, err == nil
}

// missingApplets lists the links that "busybox --install -s" makes. A link that was missing before the run, for an applet
// that there was, someone took away after busybox had made it: it stays away, as any path does that is absent.
func (u *upgrade) missingApplets(exists func(name string) bool) (names []string, ok bool) {
	after, before, ok := u.applets()
	if !ok {
		return nil, false
	}
	had := make(map[string]bool, len(before))
	for _, name := range before {
		had[name] = true
	}
	for _, name := range after {
		if !isClean(name) || exists(name) {
			continue
		}
		if _, was := u.db.view.Lookup(u.tree.Place(name)); was || !had[name] || u.opts.RestoreMissing {
			names = append(names, name)
		}
	}
	return names, true
}

// busybox models what scripts ask of busybox by its own name.
func (u *upgrade) busybox(p *script.Process) (int, error) {
	if strings.Join(p.Args[1:], " ") != "--install -s" {
		return 0, p.Unknownf("is not modelled")
	}
	names, ok := u.missingApplets(func(name string) bool {
		_, _, err := p.Tree().Lstat(name)
		return err == nil
	})
	if _, upgraded := u.batch.byName("busybox"); !ok && (upgraded || u.cleared() != "") {
		return 0, p.Unknownf("makes links to its applets, and its package does not list them")
	}
	for _, name := range names {
		if err := p.Tree().Symlink(busyboxTarget, name); err != nil {
			return 0, p.Unknownf("makes the link %.60q: %v", name, err)
		}
	}
	return 0, nil
}

// otherApplets models the programs beside busybox that make links to themselves (bbsuid, busybox-extras). What they would make
// is not known; but nothing is missing that was there before unless the run took it away.
func (u *upgrade) otherApplets(p *script.Process) (int, error) {
	if len(p.Args) < 2 || p.Args[1] != "--install" {
		return 0, p.Unknownf("is not modelled")
	}
	if at := u.cleared(); at != "" {
		return 0, p.Unknownf("may make the link /%s, which the upgrade removes", at)
	}
	return 0, nil
}

// cleared names a place for a link to an applet that the run takes something away from, "" if there is none.
func (u *upgrade) cleared() string {
	for _, at := range u.tree.EditedPaths() {
		for _, dir := range appletDirs {
			if c, _ := u.tree.Edited(at); c.Entry == nil && path.Dir(at) == u.tree.Follow(dir, true) {
				return at
			}
		}
	}
	return ""
}

// busyboxUpgrade derives what busybox's post-upgrade script leaves behind; it returns false where it cannot.
func (u *upgrade) busyboxUpgrade(in *install, text []byte) bool {
	sum := sha256.Sum256(text)
	user, known := busyboxUpgrades[hex.EncodeToString(sum[:])]
	if !known || in.key().Name != "busybox" {
		return false
	}
	_, hasUser := u.ids.users[user]
	_, hasGroup := u.ids.groups[user]
	after, _, ok := u.applets()
	if user != "" && (!hasUser || !hasGroup) || !ok {
		return false
	}
	u.removeApplets(in, after)
	names, _ := u.missingApplets(func(name string) bool {
		_, exists := u.tree.At(name)
		return exists
	})
	for _, name := range names {
		h := u.tree.WithNames(layer.Entry{
			Path: u.tree.Place(name), Type: tar.TypeSymlink, Linkname: busyboxTarget, Mode: 0o777, ModTime: u.opts.Time,
		})
		u.tree.Set(&h, in.key(), false)
	}
	return true
}

// removeApplets removes the links to busybox that are for none of its applets, and ping's to bbsuid.
func (u *upgrade) removeApplets(in *install, applets []string) {
	places := make(map[string]bool, len(applets))
	for _, name := range applets {
		places[u.tree.Place(name)] = true
	}
	bin := u.tree.Follow("bin", true)
	for _, dir := range appletDirs {
		for _, n := range u.db.view.Children(u.tree.Follow(dir, true)) {
			e, ok := u.tree.Lookup(n.Path)
			if !ok || e.Type != tar.TypeSymlink {
				continue
			}
			ping := e.Linkname == "/bin/bbsuid" && (n.Path == bin+"/ping" || n.Path == bin+"/ping6")
			if e.Linkname == busyboxTarget && !places[n.Path] || ping {
				u.tree.Remove(n.Path, in.key(), false)
			}
		}
	}
}
