package dpkg

import (
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
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
	infoList: true, infoMD5Sums: true, infoConffiles: true, infoTriggers: true, "config": true, "templates": true,
	preinst: true, postinst: true, prerm: true, postrm: true,
}

// wantedPrefixes are directories whose files are read besides: dpkg's own, and what maintainer scripts look into on most
// upgrades. Any other file can be read as well, but takes reading its layer once more.
var wantedPrefixes = []string{
	adminDir + "/", "etc/", "var/lib/systemd/deb-systemd-", "var/lib/ucf/", "var/cache/debconf/",
	"usr/share/debconf/", "usr/share/dpkg/", "usr/share/base-passwd/", "usr/share/ca-certificates/", "usr/local/share/ca-certificates/",
	"usr/share/python3/", "usr/lib/systemd/system/", "lib/systemd/system/", "usr/lib/systemd/user/", "usr/lib/tmpfiles.d/",
	"usr/lib/sysusers.d/", "usr/lib/php/", "usr/share/apache2/", "usr/lib/init/", "lib/init/", "usr/lib/lsb/", "lib/lsb/",
}

// wantedFiles are read besides: programs that are scripts themselves.
var wantedFiles = map[string]bool{
	homeConfigPath: true, manifestPath: true, "usr/share/info/dir": true, "usr/bin/dpkg-maintscript-helper": true, "usr/bin/ucf": true, "usr/bin/ucfr": true, "usr/sbin/update-ca-certificates": true,
	"usr/bin/which.debianutils": true, "usr/bin/savelog": true, "bin/run-parts": true,
}

// unwanted are files below these that nobody has to look into, or not without need.
var unwanted = map[string]bool{
	"etc/shadow": true, "etc/shadow-": true, "etc/gshadow": true, "etc/gshadow-": true,
	statusPath + "-old": true, adminDir + "/available": true, adminDir + "/available-old": true,
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
		if !unwanted[p] && strings.HasPrefix(p, prefix) {
			return true
		}
	}
	return false
}
