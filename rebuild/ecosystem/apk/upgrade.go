package apk

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/overlay"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// Upgrade computes what one run of apk changes in a tree: every step's package is extracted over its installed version,
// what only the old version had goes, and the database follows. Each payload is one of [Ecosystem.Unpack].
func (Ecosystem) Upgrade(
	ctx context.Context, v *rootfs.View, steps []ecosystem.Step, opts ecosystem.UpgradeOptions,
) (*ecosystem.Effect, []*ecosystem.HoldError, error) {
	u, err := newUpgrade(v, steps, opts)
	if err != nil {
		return nil, nil, err
	}
	for _, c := range u.batch.conflicts {
		u.hold(c.in.key(), ecosystem.ReasonDependency, "%s is also in package %s %s", slashed(c.path), c.other.Key, c.other.Version)
	}
	if err := u.work(ctx); err != nil {
		return nil, nil, err
	}
	if err := u.writeDatabase(); err != nil {
		return nil, nil, err
	}
	if len(u.holds) > 0 {
		slices.SortFunc(u.holds, func(a, b *ecosystem.HoldError) int { return cmp.Compare(a.Package.Name, b.Package.Name) })
		return nil, u.holds, nil
	}
	slices.SortFunc(u.kept, func(a, b ecosystem.KeptFile) int { return cmp.Compare(a.Path, b.Path) })
	return &ecosystem.Effect{Changes: u.tree.Changes(), Kept: u.kept}, nil, nil
}

// work does what apk does package by package. Here each step is done for all packages before the next, which makes no
// difference: who owns which path is settled before.
func (u *upgrade) work(ctx context.Context) error {
	for _, in := range u.batch.installs {
		if err := u.before(ctx, in); err != nil {
			return err
		}
	}
	for _, in := range u.batch.installs {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := u.unpack(in); err != nil {
			return err
		}
	}
	if err := u.removeOld(); err != nil {
		return err
	}
	for _, in := range u.batch.installs {
		if err := u.after(ctx, in); err != nil {
			return err
		}
	}
	return u.triggers(ctx)
}

// upgrade is one run of apk.
type upgrade struct {
	db        *database
	tree      *overlay.Tree
	opts      ecosystem.UpgradeOptions
	ids       owners
	protected protection
	batch     *batch
	// skippedDirs are the directories, as the packages name them, that stay absent because someone removed them.
	skippedDirs map[string]bool
	// byPlace are the installed files by physical path; nil until asked for.
	byPlace map[string]*fileRecord
	holds   []*ecosystem.HoldError
	kept    []ecosystem.KeptFile
}

func newUpgrade(v *rootfs.View, steps []ecosystem.Step, opts ecosystem.UpgradeOptions) (*upgrade, error) {
	db, err := open(v)
	if err != nil {
		return nil, err
	}
	u := &upgrade{db: db, tree: overlay.New(v), opts: opts, skippedDirs: make(map[string]bool)}
	if u.opts.OnModified == "" {
		u.opts.OnModified = ecosystem.HoldModified
	}
	if u.ids, err = readOwners(v); err != nil {
		return nil, err
	}
	if u.protected, err = db.protection(); err != nil {
		return nil, err
	}
	installs, err := newInstalls(db, steps, true)
	if err != nil {
		return nil, err
	}
	u.batch = newBatch(db.records, installs)
	return u, nil
}

// newInstalls pairs the steps with what is installed, by name. Where strict is not set, steps that do not fit the tree are
// left out.
func newInstalls(db *database, steps []ecosystem.Step, strict bool) ([]*install, error) {
	var installs []*install
	seen := make(map[ecosystem.Key]bool)
	for _, s := range steps {
		p, ok := s.Payload.(*payload)
		if !ok {
			return nil, fmt.Errorf("upgrading %s: the payload is no apk package", s.Installed.Key)
		}
		r := db.byName[s.Installed.Name]
		if r == nil || r.Version != s.Installed.Version {
			if !strict {
				continue
			}
			return nil, fmt.Errorf("upgrading %s: version %s is not installed in this tree", s.Installed.Key, s.Installed.Version)
		}
		if seen[r.Key] {
			return nil, fmt.Errorf("upgrading %s: two steps for one package", s.Installed.Key)
		}
		seen[r.Key] = true
		in := &install{old: r, new: p, ships: make(map[string]bool)}
		in.replaces = ParseDependencies(p.members.Info.All("replaces"))
		in.priority, _ = strconv.Atoi(p.members.Info.Get("replaces_priority"))
		for i := range p.files.Entries {
			if e := &p.files.Entries[i]; ships(e) && !e.IsDir() {
				in.ships[e.Path] = true
			}
		}
		installs = append(installs, in)
	}
	slices.SortFunc(installs, func(a, b *install) int { return cmp.Compare(a.key().Name, b.key().Name) })
	return installs, nil
}

// hold notes that a package cannot be upgraded. The first finding about a package is enough.
func (u *upgrade) hold(key ecosystem.Key, reason ecosystem.Reason, format string, args ...any) {
	if !u.held(key) {
		u.holds = append(u.holds, &ecosystem.HoldError{Package: key, Reason: reason, Detail: fmt.Sprintf(format, args...)})
	}
}

func (u *upgrade) held(key ecosystem.Key) bool {
	return slices.ContainsFunc(u.holds, func(h *ecosystem.HoldError) bool { return h.Package == key })
}

// slashed spells a path for people.
func slashed(p string) string { return "/" + p }

// writeDatabase brings apk's database to the state after the run.
func (u *upgrade) writeDatabase() error {
	if len(u.batch.installs) == 0 {
		return nil
	}
	key := u.batch.installs[0].key()
	for _, name := range []string{installedFile, scriptsFile, scriptsGzFile, triggersFile} {
		p := u.tree.Follow(u.db.path(name), true)
		if !u.tree.Exists(p) && name != installedFile && !u.creates(name) {
			continue
		}
		old, err := u.db.view.ReadOptional(p, maxDatabase)
		if err != nil {
			return err
		}
		edited, err := editFile(name, old, u.batch, u.ids)
		if err != nil {
			return fmt.Errorf("editing %s: %w", p, err)
		}
		if string(edited) == string(old) {
			continue
		}
		if err := u.write(key, p, edited); err != nil {
			return err
		}
	}
	return nil
}

// creates tells whether the run is the first to need a file of the database.
func (u *upgrade) creates(name string) bool {
	for _, in := range u.batch.installs {
		switch name {
		case triggersFile:
			if len(in.new.triggers()) > 0 {
				return true
			}
		case scriptsFile:
			if _, gz := u.tree.Target(u.db.path(scriptsGzFile)); !gz && len(in.new.scripts) > 0 {
				return true
			}
		}
	}
	return false
}

// write puts a file of the database into the tree.
func (u *upgrade) write(key ecosystem.Key, p string, content []byte) error {
	header := layer.Entry{Path: p, Mode: 0o644, ModTime: u.opts.Time}
	if f, _ := u.tree.Lookup(p); f.Inode != nil {
		header.Mode, header.UID, header.GID = f.Inode.Mode, f.Inode.UID, f.Inode.GID
	}
	e, err := layer.NewFile(u.tree.WithNames(header), layer.Bytes(content))
	if err != nil {
		return err
	}
	u.tree.Set(e, key, true)
	return nil
}
