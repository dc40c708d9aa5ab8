package dpkg

import (
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/dpkg/maintscript"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// Ecosystem is dpkg and its package format. The zero value is ready for use.
type Ecosystem struct{}

var _ ecosystem.Ecosystem = Ecosystem{}

// Name is "dpkg".
func (Ecosystem) Name() string { return "dpkg" }

// Type is "deb".
func (Ecosystem) Type() string { return "deb" }

// Open reads the database of a tree.
func (Ecosystem) Open(v *rootfs.View) (ecosystem.Database, error) {
	db, err := open(v)
	if err != nil {
		return nil, err
	}
	return db, nil
}

// DatabasePaths lists the databases that hold more than one package: the status file, and the file triggers that
// packages are interested in.
func (Ecosystem) DatabasePaths() []string { return []string{statusPath, fileTriggersPath} }

// The control files whose content decides anything; the others are compared by their digests.
var wantedInfo = map[string]bool{
	infoList: true, infoMD5Sums: true, infoConffiles: true, infoTriggers: true,
	"preinst": true, "postinst": true, "prerm": true, "postrm": true,
}

// wantedPrefixes are directories of small files that are read besides: dpkg's own, and what the inert parts of
// maintainer scripts look at.
var wantedPrefixes = []string{
	dropInDir + "/", triggersDir + "/", configDir + "/", ldConfDir + "/", maintscript.UnitStateDir + "/",
}

// wantedFiles are read besides.
var wantedFiles = map[string]bool{
	statusPath: true, diversionsPath: true, statOverridePath: true, infoFormatPath: true,
	configPath: true, homeConfigPath: true, passwdPath: true, groupPath: true, manifestPath: true, ldConfPath: true, ldCachePath: true,
}

// Wants tells whether the content of a path is needed to read or upgrade packages.
func (Ecosystem) Wants(p string) bool {
	if wantedFiles[p] {
		return true
	}
	if _, kind, ok := splitInfoPath(p); ok {
		return wantedInfo[kind]
	}
	for _, prefix := range wantedPrefixes {
		if strings.HasPrefix(p, prefix) {
			return true
		}
	}
	return false
}
