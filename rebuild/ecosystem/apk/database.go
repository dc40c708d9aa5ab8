package apk

import (
	"fmt"
	"path"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// maxDatabase bounds what is read of one file of the database, in bytes. A full desktop's has 10 MB.
const maxDatabase = 256 << 20

// database is the package database of one tree.
type database struct {
	view *rootfs.View
	// dir is where it is: "lib/apk/db".
	dir     string
	data    []byte
	records []*record
	byName  map[string]*record
}

// open reads the list of installed packages and what etc/apk/world says of them.
func open(v *rootfs.View) (*database, error) {
	db := &database{view: v, byName: make(map[string]*record)}
	for _, dir := range []string{usrLibDir, libDir} {
		data, err := v.ReadOptional(dir+"/"+installedFile, maxDatabase)
		if err != nil {
			return nil, err
		}
		if data != nil {
			db.dir, db.data = dir, data
			break
		}
	}
	if db.data == nil {
		return nil, ecosystem.ErrNoDatabase
	}
	var err error
	if db.records, err = parseInstalled(db.data); err != nil {
		return nil, fmt.Errorf("reading %s: %w", db.path(installedFile), err)
	}
	for _, r := range db.records {
		if _, twice := db.byName[r.Name]; twice {
			return nil, fmt.Errorf("reading %s: %s is there twice", db.path(installedFile), r.Key)
		}
		db.byName[r.Name] = r
	}
	world, err := v.ReadOptional(worldPath, maxDatabase)
	if err != nil {
		return nil, err
	}
	db.hold(ParseDependencies(string(world)))
	return db, nil
}

// hold marks the packages of which the world names the very version. A world that does so throughout is a lockfile's,
// written by the tool that built the image (apko), and nobody's decision to keep anything.
func (db *database) hold(world []Dependency) {
	var pinned []*record
	for _, d := range world {
		r, ok := db.byName[d.Name]
		switch {
		case d.Op != "=" && d.Op != "==":
			continue
		case ok:
			pinned = append(pinned, r)
		default:
			pinned = append(pinned, nil)
		}
	}
	if len(pinned) == len(world) {
		return
	}
	for _, r := range pinned {
		if r != nil {
			r.Hold = true
		}
	}
}

func (db *database) path(name string) string { return db.dir + "/" + name }

// Packages lists the installed packages in the database's order.
func (db *database) Packages() []ecosystem.Package {
	all := make([]ecosystem.Package, 0, len(db.records))
	for _, r := range db.records {
		all = append(all, r.Package)
	}
	return all
}

// Files lists the directories and files of a package, each directory before what is in it.
func (db *database) Files(key ecosystem.Key) []string {
	r, ok := db.byName[key.Name]
	if !ok || r.Key != key {
		return nil
	}
	var all []string
	for _, d := range r.dirs {
		if d.path != "" {
			all = append(all, d.path)
		}
		for _, f := range d.files {
			all = append(all, path.Join(d.path, f.name))
		}
	}
	return all
}
