package dpkg

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/dpkg/debscript"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
)

// The maintainer scripts, by their names among a package's control files.
const (
	preinst  = "preinst"
	postinst = "postinst"
	prerm    = "prerm"
	postrm   = "postrm"
)

// call is one call of a maintainer script.
type call struct {
	pkg  ecosystem.Package // whose script it is
	kind string
	args []string
	text []byte
	// config and templates are the package's files for debconf.
	config, templates []byte
	// why says for whom a script of another package is called: "it changes /usr/share/x, which triggers y: ".
	why string
}

// installedCall is a call of a script of the installed version.
func (u *upgrade) installedCall(in *install, kind string, args ...string) (call, error) {
	return u.recordCall(in.old, kind, args...)
}

// recordCall is a call of a script of a package that is installed as it is.
func (u *upgrade) recordCall(r *record, kind string, args ...string) (call, error) {
	c := call{pkg: r.Package, kind: kind, args: args}
	for name, content := range map[string]*[]byte{kind: &c.text, "config": &c.config, "templates": &c.templates} {
		var err error
		if *content, err = u.db.info(r, name); err != nil {
			return c, err
		}
	}
	return c, nil
}

// newCall is a call of a script of the new version.
func (in *install) newCall(kind string, args ...string) call {
	return call{
		pkg: in.new.pkg, kind: kind, args: args, text: in.new.info[kind].content,
		config: in.new.info["config"].content, templates: in.new.info["templates"].content,
	}
}

// beforeUnpack runs what dpkg runs before it unpacks a package: the installed version's prerm and the new one's preinst
// (process_archive in src/main/unpack.c).
func (u *upgrade) beforeUnpack(ctx context.Context, in *install) error {
	if err := u.runOld(ctx, in, prerm); err != nil {
		return err
	}
	return u.run(ctx, in, in.newCall(preinst, "upgrade", in.old.Version, in.new.pkg.Version))
}

// afterUnpack runs the installed version's postrm, when the new files are in place and the old ones not yet removed.
func (u *upgrade) afterUnpack(ctx context.Context, in *install) error {
	return u.runOld(ctx, in, postrm)
}

// runOld runs a script of the installed version. Where it fails, the new version's is asked to do better
// (maintscript_fallback in src/main/script.c).
func (u *upgrade) runOld(ctx context.Context, in *install, kind string) error {
	c, err := u.installedCall(in, kind, "upgrade", in.new.pkg.Version)
	if err != nil {
		return err
	}
	err = u.interpret(ctx, in, c)
	if exit := (*script.ExitError)(nil); errors.As(err, &exit) && len(in.new.info[kind].content) > 0 {
		return u.run(ctx, in, in.newCall(kind, "failed-upgrade", in.old.Version, in.new.pkg.Version))
	}
	return u.judge(in, c, err)
}

// configureScripts runs the new versions' postinsts, each after those of the packages it depends on.
func (u *upgrade) configureScripts(ctx context.Context) error {
	for name := range u.moving {
		u.moving[name] = debscript.Unpacked
	}
	for _, in := range u.configureOrder() {
		if err := u.run(ctx, in, in.newCall(postinst, "configure", in.old.Version)); err != nil {
			return err
		}
		u.moving[in.old.Name] = debscript.Configured
	}
	return nil
}

// configureOrder sorts the packages of the run so that each comes after those it depends on. Where they depend on each
// other, the first by name begins.
func (u *upgrade) configureOrder() []*install {
	byName := make(map[string][]*install)
	for _, in := range u.installs {
		byName[in.old.Name] = append(byName[in.old.Name], in)
	}
	var sorted []*install
	seen := make(map[*install]bool)
	var visit func(in *install)
	visit = func(in *install) {
		if seen[in] {
			return
		}
		seen[in] = true
		for _, clause := range in.new.depends {
			for _, r := range clause {
				for _, other := range byName[r.name] {
					visit(other)
				}
			}
		}
		sorted = append(sorted, in)
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		for _, in := range byName[name] {
			visit(in)
		}
	}
	return sorted
}

// run runs a script and holds the package of the run for which it is called if what it does is not known, or if it fails.
func (u *upgrade) run(ctx context.Context, in *install, c call) error {
	return u.judge(in, c, u.interpret(ctx, in, c))
}

// judge makes a hold of what went wrong with a script; other errors are the caller's.
func (u *upgrade) judge(in *install, c call, err error) error {
	var unknown *script.UnknownError
	var exit *script.ExitError
	if errors.As(err, &unknown) || errors.As(err, &exit) {
		u.hold(in.key(), ecosystem.ReasonMaintainerScript, "%s%v", c.why, err)
		return nil
	}
	return err
}

// interpret runs a script over the tree and makes what it does part of the run. A package that is held already, or that was
// unpacked without dpkg, runs none. The interpreter's limits count steps and bytes and no time, so that what is held depends on
// the scripts and not on the machine.
func (u *upgrade) interpret(ctx context.Context, in *install, c call) error {
	if len(c.text) == 0 || in.old.dropIn != "" || u.held(in.key()) {
		return nil
	}
	edited := script.NewTree(u.tree, u.opts.Time.Truncate(time.Second))
	res, err := debscript.Run(ctx, debscript.Invocation{
		Package: c.pkg.Name, Arch: c.pkg.Arch, Coinstallable: c.pkg.MultiArch == "same" && u.db.multiarch, Kind: c.kind, Args: c.args,
		Script: c.text, Config: c.config, Templates: c.templates, Instances: u.instances(c.pkg.Name), Moving: u.moving, Tree: edited,
	})
	var exit *script.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	// What a script did before it failed is done.
	changes, changesErr := debscript.Changes(edited)
	if changesErr != nil {
		return changesErr
	}
	for _, program := range res.Requests {
		u.requests = append(u.requests, request{in, program})
	}
	for _, t := range res.Triggers {
		if err := u.activate(in, t.Name); err != nil {
			return err
		}
	}
	return errors.Join(u.adopt(in, changes), err)
}

// instances counts the installed instances of a package.
func (u *upgrade) instances(name string) int {
	n := 0
	for _, r := range u.db.records {
		if r.Name == name && r.installed() {
			n++
		}
	}
	return n
}

// settingsPaths are files that change how packages are unpacked.
var settingsPaths = []string{diversionsPath, statOverridePath, passwdPath, groupPath}

// scriptDatabase tells of the files that scripts edit and that are about more than one package: a layer above that has
// its own copy must not lose the edit.
func scriptDatabase(p string) bool {
	switch p {
	case passwdPath, groupPath, "etc/shadow", "etc/gshadow", "etc/subuid", "etc/subgid", "etc/shells":
		return true
	}
	return strings.HasPrefix(p, adminDir+"/")
}

// adopt makes what a script changed part of the tree.
func (u *upgrade) adopt(in *install, changes []script.Change) error {
	settings := false
	for _, c := range changes {
		old, existed := u.tree.Lookup(c.Path)
		same := c.Entry == nil && !existed
		if c.Entry != nil && existed {
			same = c.Entry.IsDir() && old.IsDir() || sameContent(old, script.File{Entry: c.Entry, Inode: c.Entry})
		}
		if !same && !scriptDatabase(c.Path) {
			in.touched = append(in.touched, c.Path)
		}
		settings = settings || slices.Contains(settingsPaths, c.Path)
	}
	if err := u.tree.Adopt(changes, in.key(), scriptDatabase); err != nil || !settings {
		return err
	}
	if err := u.readSettings(); err != nil {
		// A script that leaves a file of dpkg's unreadable would stop dpkg, too.
		u.hold(in.key(), ecosystem.ReasonMaintainerScript, "its scripts change a setting of dpkg's: %v", err)
		return nil
	}
	for _, other := range u.installs {
		if !other.unpacked {
			u.placeOld(other)
		}
	}
	return nil
}
