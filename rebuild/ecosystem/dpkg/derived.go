package dpkg

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/overlay"
)

// derived is a file that some program makes of all files in a directory. Where it is not there, nobody wants it, and
// nothing can be out of date.
type derived struct {
	input, output string
}

// derivedFiles are those that packages' triggers make, as far as they are known. An upgrade that changes an input is
// held while the output is there, also in images that have no trigger databases.
var derivedFiles = []derived{
	{"usr/share/ca-certificates", "etc/ssl/certs/ca-certificates.crt"},
	{"usr/share/man", "var/cache/man/index.db"},
	{"usr/share/info", "usr/share/info/dir"},
	{"usr/share/glib-2.0/schemas", "usr/share/glib-2.0/schemas/gschemas.compiled"},
	{"usr/share/icons/hicolor", "usr/share/icons/hicolor/icon-theme.cache"},
	{"usr/share/mime/packages", "usr/share/mime/mime.cache"},
	{"usr/share/applications", "usr/share/applications/mimeinfo.cache"},
	{"usr/share/applications", "etc/mailcap"},
	{"usr/lib/mime/packages", "etc/mailcap"},
	{"usr/share/fonts", "var/cache/fontconfig/CACHEDIR.TAG"},
	{"usr/lib/systemd/catalog", "var/lib/systemd/catalog/database"},
	{"usr/lib/udev/hwdb.d", "etc/udev/hwdb.bin"},
}

// checkTriggers holds packages whose changes would make dpkg run a trigger, unless the trigger's work is known to come
// out as it is: what is derived from packages' files must never be silently out of date.
func (u *upgrade) checkTriggers() error {
	for _, in := range u.installs {
		u.checkDerived(in)
	}
	if err := u.checkLibraries(); err != nil {
		return err
	}
	interested, err := readFileTriggers(u.tree)
	if err != nil {
		return err
	}
	for _, in := range u.installs {
		if u.held(in.key()) || in.old.dropIn != "" {
			continue
		}
		if err := u.checkFileTriggers(in, interested); err != nil {
			return err
		}
		if err := u.checkActivations(in); err != nil {
			return err
		}
	}
	return nil
}

func (u *upgrade) checkDerived(in *install) {
	for _, d := range derivedFiles {
		if _, exists := u.tree.Target(d.output); !exists {
			continue
		}
		if p := in.changedBelow(d.input, u.tree); p != "" {
			u.hold(in.key(), ecosystem.ReasonMaintainerScript, "%s would go stale: %s changes", listName(d.output), listName(p))
		}
	}
}

// changedBelow gives a changed path below a directory, "" if there is none.
func (in *install) changedBelow(dir string, t *overlay.Tree) string {
	dir = t.Follow(dir, true)
	for _, p := range in.touched {
		if p == dir || strings.HasPrefix(p, dir+"/") {
			return p
		}
	}
	return ""
}

// checkFileTriggers holds a package that changed something below a path that another package is interested in.
func (u *upgrade) checkFileTriggers(in *install, interested map[string][]string) error {
	for _, dir := range slices.Sorted(maps.Keys(interested)) {
		if slices.ContainsFunc(derivedFiles, func(d derived) bool { return d.input == dir }) {
			continue // looked at above
		}
		p := in.changedBelow(dir, u.tree)
		if p == "" {
			continue
		}
		for _, owner := range interested[dir] {
			why := fmt.Sprintf("%s changes, which triggers %s", listName(p), owner)
			if err := u.checkHandler(in, owner, listName(dir), why); err != nil {
				return err
			}
		}
	}
	return nil
}

// ldconfigTrigger is activated by packages with shared libraries; the cache it makes is looked at by itself.
const ldconfigTrigger = "ldconfig"

// checkActivations holds a package that activates a trigger by its name.
func (u *upgrade) checkActivations(in *install) error {
	before, err := u.triggersOf(in.old)
	if err != nil {
		return err
	}
	for _, i := range append(slices.Clone(before), in.new.triggers...) {
		if !i.activate || i.name == ldconfigTrigger {
			continue
		}
		owners, err := u.interestedIn(i)
		if err != nil {
			return err
		}
		for _, owner := range owners {
			if err := u.checkHandler(in, owner, i.name, fmt.Sprintf("it triggers %s (%s)", owner, i.name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// interestedIn lists who wants to know of a trigger.
func (u *upgrade) interestedIn(i interest) ([]string, error) {
	if i.file() {
		all, err := readFileTriggers(u.tree)
		p, perr := cleanPath(i.name)
		if err != nil || perr != nil {
			return nil, err
		}
		return all[p], nil
	}
	data, err := readFile(u.tree, triggersDir+"/"+i.name)
	var owners []string
	for _, line := range strings.Fields(string(data)) {
		owner, _, _ := strings.Cut(line, "/")
		owners = append(owners, owner)
	}
	return owners, err
}

// checkHandler holds a package because of the trigger processing of another: that is the postinst of whoever is
// interested, called with "triggered".
func (u *upgrade) checkHandler(in *install, owner, trigger, why string) error {
	name, arch, _ := strings.Cut(owner, ":")
	for _, r := range u.db.records {
		if r.Name != name || arch != "" && r.Arch != arch || !r.installed() {
			continue
		}
		p := r.Package
		var content []byte
		if handler, ok := u.byKey[r.Key]; ok {
			p, content = handler.new.pkg, handler.new.info["postinst"].content
		} else {
			var err error
			if content, err = u.db.info(r, "postinst"); err != nil {
				return err
			}
		}
		if content == nil {
			continue
		}
		held := u.held(in.key())
		u.checkScript(in.key(), p, "postinst", content, u.tree, []string{"triggered", trigger})
		if !held && u.held(in.key()) {
			h := u.holds[len(u.holds)-1]
			h.Detail = why + ": " + h.Detail
		}
	}
	return nil
}
