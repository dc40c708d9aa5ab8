package dpkg

import (
	"archive/tar"
	"io/fs"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/dpkg/maintscript"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/overlay"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
)

// checkScriptsBefore holds a package whose scripts may change something before its files are unpacked: the old prerm
// and the new preinst, in the tree as it is.
func (u *upgrade) checkScriptsBefore(in *install) {
	if in.old.dropIn != "" {
		return // whoever unpacked the package ran no scripts
	}
	u.checkInstalledScript(in, "prerm", u.before, "upgrade", in.new.pkg.Version)
	u.checkNewScript(in, "preinst", u.before, "upgrade", in.old.Version, in.new.pkg.Version)
}

// checkScriptsAfter holds a package whose scripts may change something after that: the old postrm and the new postinst.
func (u *upgrade) checkScriptsAfter(in *install) {
	if in.old.dropIn != "" {
		return
	}
	u.checkInstalledScript(in, "postrm", u.tree, "upgrade", in.new.pkg.Version)
	u.checkNewScript(in, "postinst", u.tree, "configure", in.old.Version)
}

func (u *upgrade) checkInstalledScript(in *install, name string, t *overlay.Tree, args ...string) {
	content, err := u.db.info(in.old, name)
	if err != nil {
		u.hold(in.key(), ecosystem.ReasonMaintainerScript, "%v", err)
		return
	}
	if content != nil {
		u.checkScript(in.key(), in.old.Package, name, content, t, args)
	}
}

func (u *upgrade) checkNewScript(in *install, name string, t *overlay.Tree, args ...string) {
	if f, ok := in.new.info[name]; ok {
		u.checkScript(in.key(), in.new.pkg, name, f.content, t, args)
	}
}

// checkScript holds a package because of a script that may do something.
func (u *upgrade) checkScript(held ecosystem.Key, p ecosystem.Package, name string, content []byte, t *overlay.Tree, args []string) {
	script := maintscript.Script{Name: name, Package: p.Name, Arch: p.Arch, Content: content}
	if v := maintscript.Check(script, args, scriptRoot{t}); !v.Inert {
		u.hold(held, ecosystem.ReasonMaintainerScript, "%s", v.Why)
	}
}

// scriptRoot shows a tree to maintainer scripts.
type scriptRoot struct{ *overlay.Tree }

func (r scriptRoot) Stat(p string) (maintscript.File, bool) { return scriptFile(r.Target(p)) }

func (r scriptRoot) Lstat(p string) (maintscript.File, bool) {
	return scriptFile(r.At(strings.Trim(p, "/")))
}

// maxScriptFile bounds the files that scripts look into: lists of users and units.
const maxScriptFile = 1 << 20

func (r scriptRoot) ReadFile(p string) ([]byte, error) {
	if f, ok := r.Target(p); !ok || f.Regular() == nil || f.Regular().Size > maxScriptFile {
		return nil, fs.ErrNotExist
	}
	data, err := readFile(r.Tree, p)
	if err == nil && data == nil {
		err = fs.ErrNotExist
	}
	return data, err
}

func scriptFile(f script.File, ok bool) (maintscript.File, bool) {
	if !ok {
		return maintscript.File{}, false
	}
	e := f.Entry
	var kind fs.FileMode
	switch {
	case f.IsDir():
		kind = fs.ModeDir
	case f.Type == tar.TypeSymlink:
		kind = fs.ModeSymlink
	case f.Regular() != nil:
		e = f.Regular()
	default:
		kind = fs.ModeIrregular
	}
	mode := kind | fs.FileMode(e.Mode&0o777)
	for bit, flag := range map[int64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if e.Mode&bit != 0 {
			mode |= flag
		}
	}
	return maintscript.File{FileMode: mode, UID: e.UID, GID: e.GID}, true
}
