package dpkg

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/dpkg/internal/accounts"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/overlay"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// The image's own users and groups.
const (
	passwdPath = "etc/passwd"
	groupPath  = "etc/group"
)

// database is the package database of one tree. File lists and digests are read when asked for.
type database struct {
	view *rootfs.View
	// status is the status file's content, nil if there is none.
	status  []byte
	records []*record
	byKey   map[ecosystem.Key]*record
	// multiarch says that coinstallable packages have their architecture in the names of their info files.
	multiarch bool
}

// open reads the status file, the drop-ins of distroless images and the manifest of chiselled ones.
func open(v *rootfs.View) (*database, error) {
	db := &database{view: v, byKey: make(map[ecosystem.Key]*record)}
	var err error
	if db.status, err = v.ReadOptional(statusPath, maxDatabase); err != nil {
		return nil, err
	}
	dropIns, err := v.ReadDir(dropInDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading %s: %w", dropInDir, err)
	}
	if db.records, err = parseStatus(db.status); err != nil {
		return nil, fmt.Errorf("reading %s: %w", statusPath, err)
	}
	for _, r := range db.records {
		db.byKey[r.Key] = r
	}
	for _, f := range dropIns {
		if err := db.dropIn(path.Join(dropInDir, f.Name())); err != nil {
			return nil, err
		}
	}
	if err := db.addSliced(); err != nil {
		return nil, err
	}
	if db.status == nil && len(dropIns) == 0 && len(db.records) == 0 {
		return nil, ecosystem.ErrNoDatabase
	}
	format, err := v.ReadOptional(infoFormatPath, maxDatabase)
	db.multiarch = strings.TrimSpace(string(format)) == "1"
	return db, err
}

// dropIn reads a status.d file: one package's control file, which the image's builder unpacked without dpkg. There is
// no Status field then, or it says that the package is installed.
func (db *database) dropIn(p string) error {
	if path.Ext(p) == "."+infoMD5Sums {
		return nil
	}
	data, err := db.view.ReadOptional(p, maxDatabase)
	if err != nil || data == nil {
		return err
	}
	reader := NewReader(data)
	s, ok, err := reader.Next()
	if err == nil && ok {
		var r *record
		if r, err = parseRecord(s); err == nil {
			db.addDropIn(r, p)
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", p, err)
	}
	return nil
}

func (db *database) addDropIn(r *record, p string) {
	if _, has := r.stanza.Field("Status"); !has {
		r.want, r.flag, r.state = "install", "ok", stateInstalled
	}
	if _, known := db.byKey[r.Key]; known {
		return // the status file, which dpkg itself keeps, is the later truth
	}
	r.dropIn = p
	db.records = append(db.records, r)
	db.byKey[r.Key] = r
}

// Packages lists the installed packages in the database's order.
func (db *database) Packages() []ecosystem.Package {
	var all []ecosystem.Package
	for _, r := range db.records {
		if r.installed() {
			all = append(all, r.Package)
		}
	}
	return all
}

// Files lists the paths that a package ships; nil if the database does not say.
func (db *database) Files(key ecosystem.Key) []string {
	r, ok := db.byKey[key]
	if !ok {
		return nil
	}
	paths, err := db.list(r)
	if err != nil {
		return nil
	}
	return paths
}

// infoPath is where the database keeps a control file of an installed package.
func (db *database) infoPath(r *record, kind string) string {
	if r.dropIn != "" {
		return r.dropIn + "." + kind
	}
	return infoPath(r.Package, db.multiarch, kind)
}

// info reads a control file of an installed package, nil if it has none.
func (db *database) info(r *record, kind string) ([]byte, error) {
	return db.view.ReadOptional(db.infoPath(r, kind), maxDatabase)
}

// list gives the paths that a package ships, in the order of its archive. A package without a list ships nothing, as
// dpkg sees it; a drop-in has no list, and its files are known by their digests, their directories from these.
func (db *database) list(r *record) ([]string, error) {
	if !r.hasFiles() {
		return nil, nil
	}
	if r.sliced != nil {
		return withParents(r.sliced), nil
	}
	if r.dropIn != "" {
		sums, err := db.md5sums(r)
		return withParents(slices.Sorted(maps.Keys(sums))), err
	}
	data, err := db.info(r, infoList)
	if err != nil {
		return nil, err
	}
	paths, err := parseList(data)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", db.infoPath(r, infoList), err)
	}
	return paths, nil
}

// withParents adds the directories above sorted paths, each before what is in it.
func withParents(paths []string) []string {
	var all []string
	seen := make(map[string]bool)
	var add func(p string)
	add = func(p string) {
		if seen[p] {
			return
		}
		if p != "." {
			add(path.Dir(p))
		}
		seen[p] = true
		all = append(all, p)
	}
	for _, p := range paths {
		add(p)
	}
	return all
}

// md5sums gives the digests of a package's files, as far as it has any.
func (db *database) md5sums(r *record) (map[string]digest, error) {
	data, err := db.info(r, infoMD5Sums)
	return parseMD5Sums(data), err
}

// filters reads dpkg's configuration: the directory first, then the files (dpkg_options_load in lib/dpkg/options.c).
func (db *database) filters() (filters, error) {
	var names []string
	for _, n := range db.view.Children(db.resolved(configDir)) {
		if isConfigName(path.Base(n.Path)) {
			names = append(names, n.Path)
		}
	}
	var all filters
	for _, p := range append(names, configPath, homeConfigPath) {
		data, err := db.view.ReadOptional(p, maxDatabase)
		if err != nil {
			return nil, err
		}
		all = append(all, parseConfig(data)...)
	}
	return all, nil
}

// resolved follows links; a path that leads nowhere stays.
func (db *database) resolved(p string) string {
	if r, err := db.view.Resolve(p); err == nil {
		return r
	}
	return p
}

// readOwners reads the image's users and groups.
func readOwners(t *overlay.Tree) (owners, error) {
	users, err := readFile(t, passwdPath)
	if err != nil {
		return owners{}, err
	}
	groups, err := readFile(t, groupPath)
	return owners{users: accounts.ParseIDs(users), groups: accounts.ParseIDs(groups)}, err
}

// readFile reads a small file of a tree with changes, links followed; nil without an error if there is none.
func readFile(t *overlay.Tree, name string) ([]byte, error) { return t.ReadFile(name, maxDatabase) }
