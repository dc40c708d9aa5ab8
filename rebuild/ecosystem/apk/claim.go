package apk

import (
	"maps"
	"path"
	"slices"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/version"
)

// batch is a set of upgrades as far as the database alone decides about them: who owns which path afterwards.
type batch struct {
	records  []*record
	installs []*install
	byKey    map[ecosystem.Key]*install
	// yielded are paths of an upgraded package that stay with another one; lost those that packages which stay as
	// they are hand over.
	yielded, lost map[ecosystem.Key]map[string]bool
	// conflicts are the paths that two packages want.
	conflicts []conflict
}

// install is one package being upgraded.
type install struct {
	old *record
	new *payload
	// replaces and priority are those of the new version.
	replaces []Dependency
	priority int
	// ships are the paths of the new version's files.
	ships map[string]bool
}

func (in *install) key() ecosystem.Key { return in.old.Key }

type conflict struct {
	in    *install
	path  string
	other *record
}

// newBatch settles who owns the paths that the new versions ship.
func newBatch(records []*record, installs []*install) *batch {
	b := &batch{
		records: records, installs: installs, byKey: make(map[ecosystem.Key]*install),
		yielded: make(map[ecosystem.Key]map[string]bool), lost: make(map[ecosystem.Key]map[string]bool),
	}
	wanted := make(map[string][]*record)
	for _, in := range installs {
		b.byKey[in.key()] = in
		for p := range in.ships {
			wanted[p] = nil
		}
	}
	for _, r := range records {
		r.paths(func(p string, _ *fileRecord) {
			if owners, ok := wanted[p]; ok {
				wanted[p] = append(owners, r)
			}
		})
	}
	for _, in := range installs {
		for _, p := range slices.Sorted(maps.Keys(in.ships)) {
			for _, r := range wanted[p] {
				if r != in.old {
					b.contest(in, p, r)
				}
			}
		}
	}
	return b
}

// byName finds the upgrade of a package.
func (b *batch) byName(name string) (*install, bool) {
	for _, in := range b.installs {
		if in.key().Name == name {
			return in, true
		}
	}
	return nil, false
}

// contest decides between a package that is upgraded and another that has one of its paths: the middle of
// apk_db_install_file (src/database.c). Other packages of the batch count as they will be.
func (b *batch) contest(in *install, p string, r *record) {
	other, replaces, priority := r.Package, r.replaces, r.priority
	if o, ok := b.byKey[r.Key]; ok {
		if !o.ships[p] {
			return // given up
		}
		other, replaces, priority = o.new.pkg, o.replaces, o.priority
	}
	theirs, ours := -1, -1
	if names(replaces, in.new.pkg) {
		theirs = priority
	}
	if names(in.replaces, other) {
		ours = in.priority
	}
	switch {
	case other.Source == in.new.pkg.Source:
	case theirs > ours:
		mark(b.yielded, in.key(), p)
		return
	case ours < 0:
		b.conflicts = append(b.conflicts, conflict{in, p, r})
		return
	}
	mark(b.lost, r.Key, p)
}

func mark(m map[ecosystem.Key]map[string]bool, key ecosystem.Key, p string) {
	if m[key] == nil {
		m[key] = make(map[string]bool)
	}
	m[key][p] = true
}

// names tells whether one of the relations is about a package.
func names(relations []Dependency, p ecosystem.Package) bool {
	for _, d := range relations {
		if d.Name == p.Name && (d.allows(p.Version) != d.Conflict) {
			return true
		}
	}
	return false
}

// allows tells whether a relation holds for a version.
func (d Dependency) allows(v string) bool {
	if d.Op == "" || d.Op == "><" {
		return true
	}
	if d.Fuzzy() && version.ApkWithin(v, d.Version) {
		return true
	}
	n, err := version.Apk.Compare(v, d.Version)
	if err != nil {
		return false
	}
	for _, c := range d.Op {
		if c == '<' && n < 0 || c == '>' && n > 0 || c == '=' && n == 0 {
			return true
		}
	}
	return false
}

// keeps tells whether a package's new version owns a path of its archive in the end.
func (b *batch) keeps(in *install, p string) bool {
	return in.ships[p] && !b.yielded[in.key()][p] && !b.lost[in.key()][p]
}

// ownedByOthers lists the files, by path, of all packages but the upgraded ones, as they will be.
func (b *batch) ownedByOthers(visit func(p string)) {
	for _, r := range b.records {
		if _, upgraded := b.byKey[r.Key]; upgraded {
			continue
		}
		r.paths(func(p string, _ *fileRecord) {
			if !b.lost[r.Key][p] {
				visit(p)
			}
		})
	}
}

// directories counts, for every directory that a package has afterwards, the packages and directories that need it.
func (b *batch) directories() map[string]bool {
	need := make(map[string]bool)
	add := func(dir string) {
		for ; dir != "." && dir != "" && !need[dir]; dir = path.Dir(dir) {
			need[dir] = true
		}
	}
	for _, r := range b.records {
		if _, upgraded := b.byKey[r.Key]; !upgraded {
			for _, d := range r.dirs {
				add(d.path)
			}
		}
	}
	for _, in := range b.installs {
		for i := range in.new.files.Entries {
			e := &in.new.files.Entries[i]
			switch {
			case !ships(e):
			case e.IsDir():
				add(e.Path)
			default:
				add(path.Dir(e.Path))
			}
		}
	}
	return need
}
