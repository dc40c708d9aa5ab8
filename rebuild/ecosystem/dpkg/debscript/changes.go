package debscript

import (
	"path"
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
)

// Changes lists what scripts changed in a tree, sorted by path, without what an image does not keep: what is below /run and
// the directories for temporary files, logs, the database and the answers of debconf, the caches that programs make again, the
// machine's identity. That a compiled Python module is removed is left out as well: scripts remove all of a package's
// before they compile them anew, and which of them no longer fit their source is the caller's to know.
func Changes(t *script.Tree) ([]script.Change, error) {
	all, err := t.Changes()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(c script.Change) bool {
		return transient(c.Path) || c.Entry == nil && (strings.HasSuffix(c.Path, ".pyc") || path.Base(c.Path) == "__pycache__")
	}), nil
}

func transient(p string) bool {
	switch p {
	case "etc/machine-id", "var/lib/dbus/machine-id", "var/lib/dpkg/status-old", "var/lib/dpkg/diversions-old", "var/lib/dpkg/statoverride-old":
		return true
	}
	switch path.Base(p) {
	case "loaders.cache", "immodules.cache", "giomodule.cache", "gschemas.compiled":
		return true // made anew by programs that are requests
	}
	for _, dir := range []string{
		"run/", "tmp/", "var/run/", "var/tmp/", "var/log/", "var/lock/", "var/cache/debconf/", "var/cache/ldconfig/", "var/cache/man/",
		"var/cache/fontconfig/", "var/lib/systemd/catalog/",
	} {
		if strings.HasPrefix(p, dir) {
			return true
		}
	}
	return false
}
