package dpkg

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/dpkg/debscript"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/overlay"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// Upgrade computes what one run of dpkg changes in a tree: every step's package is unpacked over its installed version
// and then configured, with --force-confold, each payload being one of [Ecosystem.Unpack].
//
// The order is that of the package names, but a package comes after those that it replaces files of, as apt does it. It
// hardly shows: a file that moves between packages of the run goes where it belongs at the end, whoever is unpacked first.
func (Ecosystem) Upgrade(
	ctx context.Context, v *rootfs.View, steps []ecosystem.Step, opts ecosystem.UpgradeOptions,
) (*ecosystem.Effect, []*ecosystem.HoldError, error) {
	u, err := newUpgrade(v, steps, opts)
	if err != nil {
		return nil, nil, err
	}
	for _, in := range u.installs {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		u.checkState(in)
		for _, do := range []func(context.Context, *install) error{u.beforeUnpack, u.unpack, u.afterUnpack, u.removeOld} {
			if err := do(ctx, in); err != nil {
				return nil, nil, err
			}
		}
	}
	for _, in := range u.installs {
		if err := u.configure(in); err != nil {
			return nil, nil, err
		}
	}
	u.checkDisappeared()
	if err := u.writeDatabase(); err != nil {
		return nil, nil, err
	}
	for _, do := range []func(context.Context) error{u.configureScripts, u.runTriggers} {
		if err := do(ctx); err != nil {
			return nil, nil, err
		}
	}
	if err := u.checkDerived(); err != nil {
		return nil, nil, err
	}
	if len(u.holds) > 0 {
		return nil, u.sortedHolds(), nil
	}
	return u.effect(), nil, nil
}

// upgrade is one run of dpkg.
type upgrade struct {
	db *database
	// above says that the changes were made in a layer below the tree's last: nothing but what follows from them is to do.
	above bool
	// before is the tree as it is, tree the one with all changes so far.
	before, tree *overlay.Tree
	opts         ecosystem.UpgradeOptions
	ids          owners
	overrides    map[string]statOverride
	diversions   diversions
	filters      filters
	// digests are those found so far, by the content's SHA-256.
	digests map[[sha256.Size]byte]digest
	// installs are the steps in the order in which they are unpacked.
	installs []*install
	byKey    map[ecosystem.Key]*install
	// shippedBy names, for the paths that matter, the packages in whose file list they are before the run.
	shippedBy map[string][]*record
	// lost are the paths that others took out of a package's file list, obsoleted those that were its conffiles.
	lost, obsoleted map[ecosystem.Key]map[string]bool
	// bytecode lists compiled modules by directory and module.
	bytecode map[string]map[string][]string
	// moving are the names of the packages of the run, and how far it has come with them.
	moving map[string]debscript.Progress
	// pending are activated triggers, by interested package; requests the programs that scripts called to derive files.
	pending  map[string]pending
	requests []request
	holds    []*ecosystem.HoldError
	kept     []ecosystem.KeptFile
}

// install is one package being upgraded.
type install struct {
	old *record
	new *deb
	// Of the installed version: the paths it ships in its list's order, as a set, by physical path, and the digests.
	oldList  []string
	oldSet   map[string]bool
	oldPlace map[string]string
	oldSums  map[string]digest
	// oldDigests are the digests as a set; siblings see there.
	oldDigests map[digest]bool
	siblings   map[string]bool
	// queue is the new file list; shipped are its entries that dpkg counts as the package's, without those that
	// another package or a filter keeps off the disk.
	queue   []string
	shipped map[string]*layer.Entry
	// skipped are paths that stay absent because someone removed them; yielded those that another package, which
	// replaces this one, has; taken those of the old version that went to a package unpacked earlier.
	skipped, yielded, taken map[string]bool
	// put are the physical paths where the package's own entries lie.
	put map[string]bool
	// landed tells where the content of a file of the archive came to lie: what hard links to it have to name.
	landed map[string]string
	// conffiles by path, staged the new versions of those that wait for configuration.
	conffiles map[string]declaredConffile
	staged    map[string]*layer.Entry
	// inherited are the digests of conffiles that the old version has under another name for the same place.
	inherited map[string]string
	// obsolete are the conffiles that only the old version has, in the order in which dpkg finds them; ghosts those
	// that dpkg leaves alone with their old digest.
	obsolete []string
	ghosts   map[string]bool
	unpacked bool
	// touched are the physical paths where this package changed what there is to read.
	touched []string
}

// key names the installed package.
func (in *install) key() ecosystem.Key { return in.old.Key }

func newUpgrade(v *rootfs.View, steps []ecosystem.Step, opts ecosystem.UpgradeOptions) (*upgrade, error) {
	db, err := open(v)
	if err != nil {
		return nil, err
	}
	u := &upgrade{
		db: db, before: overlay.New(v), tree: overlay.New(v), opts: opts, byKey: make(map[ecosystem.Key]*install),
		lost: make(map[ecosystem.Key]map[string]bool), obsoleted: make(map[ecosystem.Key]map[string]bool),
		bytecode: make(map[string]map[string][]string), moving: make(map[string]debscript.Progress),
		digests: make(map[[sha256.Size]byte]digest),
	}
	if u.opts.OnModified == "" {
		u.opts.OnModified = ecosystem.HoldModified
	}
	if err := u.readSettings(); err != nil {
		return nil, err
	}
	for _, s := range steps {
		in, err := u.newInstall(s)
		if err != nil {
			return nil, err
		}
		u.installs = append(u.installs, in)
		u.byKey[in.key()] = in
		u.moving[in.old.Name] = debscript.Waiting
	}
	u.sortInstalls()
	return u, u.readShippers()
}

// sortInstalls brings the steps into the order of unpacking.
func (u *upgrade) sortInstalls() {
	slices.SortFunc(u.installs, func(a, b *install) int {
		return cmp.Or(cmp.Compare(a.key().Name, b.key().Name), cmp.Compare(a.key().Arch, b.key().Arch))
	})
	var sorted []*install
	seen := make(map[*install]bool)
	var visit func(in *install)
	visit = func(in *install) {
		if seen[in] {
			return // where packages replace each other, one must begin
		}
		seen[in] = true
		for _, other := range u.installs {
			if other != in && replaces(in.new.replaces, other.old.Package) {
				visit(other)
			}
		}
		sorted = append(sorted, in)
	}
	for _, in := range u.installs {
		visit(in)
	}
	u.installs = sorted
}

// readSettings reads what in the tree changes how packages are unpacked.
func (u *upgrade) readSettings() error {
	var err error
	if u.ids, err = readOwners(u.tree); err != nil {
		return err
	}
	if u.filters, err = u.db.filters(); err != nil {
		return err
	}
	data, err := readFile(u.tree, diversionsPath)
	if err != nil {
		return err
	}
	if u.diversions, err = parseDiversions(data); err != nil {
		return fmt.Errorf("reading %s: %w", diversionsPath, err)
	}
	if data, err = readFile(u.tree, statOverridePath); err != nil {
		return err
	}
	if u.overrides, err = parseStatOverrides(data, u.ids); err != nil {
		return fmt.Errorf("reading %s: %w", statOverridePath, err)
	}
	return nil
}

func (u *upgrade) newInstall(s ecosystem.Step) (*install, error) {
	d, ok := s.Payload.(*deb)
	if !ok {
		return nil, fmt.Errorf("upgrading %s: the payload is no Debian package", s.Installed.Key)
	}
	r, ok := u.db.byKey[s.Installed.Key]
	if !ok || !r.installed() || r.Version != s.Installed.Version {
		return nil, fmt.Errorf("upgrading %s: version %s is not installed in this tree", s.Installed.Key, s.Installed.Version)
	}
	if _, twice := u.byKey[r.Key]; twice {
		return nil, fmt.Errorf("upgrading %s: two steps for one package", s.Installed.Key)
	}
	in := &install{
		old: r, new: d, oldSet: make(map[string]bool), oldPlace: make(map[string]string),
		shipped: make(map[string]*layer.Entry), landed: make(map[string]string),
		skipped: make(map[string]bool), yielded: make(map[string]bool), taken: make(map[string]bool),
		put:       make(map[string]bool),
		conffiles: make(map[string]declaredConffile), staged: make(map[string]*layer.Entry),
		inherited: make(map[string]string), ghosts: make(map[string]bool),
	}
	var err error
	if in.oldList, err = u.db.list(r); err != nil {
		return nil, err
	}
	if in.oldSums, err = u.db.md5sums(r); err != nil {
		return nil, err
	}
	in.oldDigests = make(map[digest]bool, len(in.oldSums))
	for _, d := range in.oldSums {
		in.oldDigests[d] = true
	}
	for _, p := range in.oldList {
		in.oldSet[p] = true
	}
	u.placeOld(in)
	if r.dropIn == "" {
		// Whoever unpacked a package without dpkg did not treat its conffiles as such.
		for _, c := range d.conffiles {
			in.conffiles[c.path] = c
		}
	}
	return in, nil
}

// placeOld notes where the files of an installed version lie.
func (u *upgrade) placeOld(in *install) {
	clear(in.oldPlace)
	for _, p := range in.oldList {
		in.oldPlace[u.tree.Place(u.diversions.use(p, in.old.Name))] = p
	}
}

// readShippers notes which packages ship the paths that the run is about.
func (u *upgrade) readShippers() error {
	u.shippedBy = make(map[string][]*record)
	for _, in := range u.installs {
		for _, p := range in.oldList {
			u.shippedBy[p] = nil
		}
		for i := range in.new.files.Entries {
			u.shippedBy[in.new.files.Entries[i].Path] = nil
		}
	}
	for _, r := range u.db.records {
		list, err := u.db.list(r)
		if err != nil {
			return err
		}
		for _, p := range list {
			if rs, matters := u.shippedBy[p]; matters {
				u.shippedBy[p] = append(rs, r)
			}
		}
	}
	return nil
}

// hold notes that a package cannot be upgraded. The first finding about a package is enough.
func (u *upgrade) hold(key ecosystem.Key, reason ecosystem.Reason, format string, args ...any) {
	if u.held(key) {
		return
	}
	u.holds = append(u.holds, &ecosystem.HoldError{Package: key, Reason: reason, Detail: fmt.Sprintf(format, args...)})
}

func (u *upgrade) held(key ecosystem.Key) bool {
	return slices.ContainsFunc(u.holds, func(h *ecosystem.HoldError) bool { return h.Package == key })
}

func (u *upgrade) sortedHolds() []*ecosystem.HoldError {
	slices.SortFunc(u.holds, func(a, b *ecosystem.HoldError) int {
		return cmp.Or(cmp.Compare(a.Package.Name, b.Package.Name), cmp.Compare(a.Package.Arch, b.Package.Arch))
	})
	return u.holds
}

// checkState holds what dpkg would not configure: a package whose triggers are still pending, and one of a
// coinstallable set whose other instances stay behind.
func (u *upgrade) checkState(in *install) {
	if in.old.triggers() {
		u.hold(in.key(), ecosystem.ReasonMaintainerScript, "it is in state %s: its triggers were never processed", in.old.state)
	}
	for _, r := range u.db.records {
		if r.Name != in.old.Name || r.Key == in.key() || !r.installed() {
			continue
		}
		version := r.Version
		if other, ok := u.byKey[r.Key]; ok {
			version = other.new.pkg.Version
		}
		if version != in.new.pkg.Version {
			u.hold(in.key(), ecosystem.ReasonDependency, "%s is installed besides and stays at version %s", r.Key, version)
		}
	}
}

// effect lists the changes.
func (u *upgrade) effect() *ecosystem.Effect {
	slices.SortFunc(u.kept, func(a, b ecosystem.KeptFile) int { return cmp.Compare(a.Path, b.Path) })
	return &ecosystem.Effect{Changes: u.tree.Changes(), Kept: u.kept}
}
