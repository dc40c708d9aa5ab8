package apk

import (
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// Ecosystem is apk and its package format, version 2. The zero value is ready for use.
type Ecosystem struct{}

var _ ecosystem.Ecosystem = Ecosystem{}

// Name is "apk".
func (Ecosystem) Name() string { return "apk" }

// Type is "apk".
func (Ecosystem) Type() string { return "apk" }

// Open reads the database of a tree.
func (Ecosystem) Open(v *rootfs.View) (ecosystem.Database, error) {
	db, err := open(v)
	if err != nil {
		return nil, err
	}
	return db, nil
}

// The database's directories: newer releases have the second; where lib is a link to usr/lib they are one.
const (
	libDir    = "lib/apk/db"
	usrLibDir = "usr/lib/apk/db"
)

// The files of the database.
const (
	installedFile = "installed"
	scriptsFile   = "scripts.tar"
	scriptsGzFile = "scripts.tar.gz"
	triggersFile  = "triggers"
)

const (
	worldPath        = "etc/apk/world"
	protectedDir     = "etc/apk/protected_paths.d"
	passwdPath       = "etc/passwd"
	groupPath        = "etc/group"
	busyboxPathsFile = "etc/busybox-paths.d/busybox"
)

// DatabasePaths lists the databases, all of which hold more than one package.
func (Ecosystem) DatabasePaths() []string {
	var all []string
	for _, dir := range []string{usrLibDir, libDir} {
		for _, name := range []string{installedFile, scriptsFile, scriptsGzFile, triggersFile} {
			all = append(all, dir+"/"+name)
		}
	}
	return all
}

// Wants tells whether the content of a path is needed to read or upgrade packages. Package files are needed only where
// they are about to be replaced, and are read then.
func (e Ecosystem) Wants(p string) bool {
	switch p {
	case worldPath, passwdPath, groupPath, busyboxPathsFile:
		return true
	}
	if strings.HasPrefix(p, protectedDir+"/") {
		return true
	}
	for _, known := range e.DatabasePaths() {
		if p == known {
			return true
		}
	}
	return false
}
