package dpkg

import (
	"path"
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
)

// derived is a file that some program makes of all files in a directory. Where it is not there, nobody wants it, and
// nothing can be out of date.
type derived struct {
	// program is "" where the interpreter runs what makes it; then only packages without scripts leave it out of date.
	program string
	// input and output are patterns as of path.Match; an input means all that is below it.
	input, output string
}

// derivedFiles are those that packages' scripts and triggers make, as far as they are known and not made here. An upgrade
// that changes an input is held while the output is there, also in images that have no trigger databases.
var derivedFiles = []derived{
	{"install-info", "usr/share/info", "usr/share/info/dir"},
	{"glib-compile-schemas", "usr/share/glib-2.0/schemas", "usr/share/glib-2.0/schemas/gschemas.compiled"},
	{"gio-querymodules", "usr/lib/*/gio/modules", "usr/lib/*/gio/modules/giomodule.cache"},
	{"gdk-pixbuf-query-loaders", "usr/lib/*/gdk-pixbuf-2.0/*/loaders", "usr/lib/*/gdk-pixbuf-2.0/*/loaders.cache"},
	{"gtk-query-immodules-2.0", "usr/lib/*/gtk-2.0/*/immodules", "usr/lib/*/gtk-2.0/*/immodules.cache"},
	{"gtk-query-immodules-3.0", "usr/lib/*/gtk-3.0/*/immodules", "usr/lib/*/gtk-3.0/*/immodules.cache"},
	{"update-icon-caches", "usr/share/icons/*", "usr/share/icons/*/icon-theme.cache"},
	{"gtk-update-icon-cache", "usr/share/icons/*", "usr/share/icons/*/icon-theme.cache"},
	{"update-mime-database", "usr/share/mime/packages", "usr/share/mime/mime.cache"},
	{"update-desktop-database", "usr/share/applications", "usr/share/applications/mimeinfo.cache"},
	{"update-mime", "usr/share/applications", "etc/mailcap"},
	{"update-mime", "usr/lib/mime/packages", "etc/mailcap"},
	{"fc-cache", "usr/share/fonts", "var/cache/fontconfig/CACHEDIR.TAG"},
	{"update-fonts-scale", "usr/share/fonts/X11", "usr/share/fonts/X11/*/fonts.scale"},
	{"update-fonts-dir", "usr/share/fonts/X11", "usr/share/fonts/X11/*/fonts.dir"},
	{"update-fonts-alias", "etc/X11/fonts", "usr/share/fonts/X11/*/fonts.alias"},
	{"systemd-hwdb", "usr/lib/udev/hwdb.d", "etc/udev/hwdb.bin"},
	{"systemd-hwdb", "usr/lib/udev/hwdb.d", "usr/lib/udev/hwdb.bin"},
	{"udevadm-hwdb", "usr/lib/udev/hwdb.d", "usr/lib/udev/hwdb.bin"},
	{"update-initramfs", "usr/share/initramfs-tools", "boot/initrd.img-*"},
	{"update-initramfs", "usr/lib/modules", "boot/initrd.img-*"},
	{"update-initramfs", "usr/lib/firmware", "boot/initrd.img-*"},
	{"helpztags", "usr/share/vim/*/doc", "usr/share/vim/*/doc/tags"},
	{"update-xmlcatalog", "usr/share/xml", "etc/xml/catalog"},
	{"update-catalog", "usr/share/sgml", "etc/sgml/catalog"},
	{"", "usr/share/ca-certificates", "etc/ssl/certs/ca-certificates.crt"},
	{"locale-gen", "usr/share/i18n", "usr/lib/locale/locale-archive"},
	{"locale-gen", "usr/share/i18n", "usr/lib/locale/*/LC_CTYPE"},
	{"pam-auth-update", "usr/share/pam-configs", "etc/pam.d/common-auth"},
}

// derivedElsewhere are programs whose work is nothing to do here, with the reason.
var derivedElsewhere = map[string]string{
	"ldconfig":              "what it does is done here",
	"journalctl":            "the catalog of messages, which systemd makes again when it starts",
	"mandb":                 "an index that man(1) checks against the pages and does without",
	"update-menus":          "menus of window managers, kept nowhere in an image",
	"appstreamcli":          "a cache that is made again when asked for",
	"py3compile":            "bytecode of what changes is removed",
	"py3clean":              "bytecode of what changes is removed",
	"pycompile":             "bytecode of what changes is removed",
	"pyclean":               "bytecode of what changes is removed",
	"update-python-modules": "bytecode of what changes is removed",
}

// incomplete are programs that read more than derivedFiles tells of: a script that calls one is believed that there is something
// to do, if there is what it makes.
var incomplete = map[string]bool{
	"update-initramfs": true, "fc-cache": true, "systemd-hwdb": true, "udevadm-hwdb": true, "update-catalog": true, "update-xmlcatalog": true,
}

// request is a program that a script called to derive files from others.
type request struct {
	by      *install
	program string
}

// checkDerived holds packages whose changes leave a derived file out of date, or whose scripts call a program to derive
// nobody knows what: nothing may be silently stale.
func (u *upgrade) checkDerived() error {
	for _, d := range derivedFiles {
		outputs := u.matches(d.output)
		if len(outputs) == 0 {
			continue
		}
		for _, dir := range u.matches(d.input) {
			for _, in := range u.installs {
				if d.program == "" && in.old.dropIn == "" {
					continue
				}
				p := in.changed(func(p string) bool {
					return below(p, dir) && !slices.Contains(outputs, p) && u.matters(d, p, outputs[0])
				})
				if p != "" {
					u.hold(in.key(), ecosystem.ReasonMaintainerScript, "%s would go stale: %s changes", listName(outputs[0]), listName(p))
				}
			}
		}
	}
	for _, r := range u.requests {
		known := derivedElsewhere[r.program] != "" ||
			slices.ContainsFunc(derivedFiles, func(d derived) bool { return d.program == r.program })
		stale := slices.ContainsFunc(derivedFiles, func(d derived) bool {
			return d.program == r.program && incomplete[r.program] && len(u.matches(d.output)) > 0
		})
		if !known || stale {
			u.hold(r.by.key(), ecosystem.ReasonMaintainerScript, "its scripts run %s, whose work is not modelled", r.program)
		}
	}
	return u.updateLibraries()
}

// matches lists the physical paths that a pattern means, links followed.
func (u *upgrade) matches(pattern string) []string {
	at := []string{"."}
	for name := range strings.SplitSeq(pattern, "/") {
		var next []string
		for _, dir := range at {
			if !strings.ContainsAny(name, "*?[") {
				if p := u.tree.Follow(path.Join(dir, name), true); u.tree.Exists(p) {
					next = append(next, p)
				}
				continue
			}
			for _, child := range u.tree.Names(dir) {
				if ok, err := path.Match(name, child); err == nil && ok {
					next = append(next, u.tree.Follow(path.Join(dir, child), true))
				}
			}
		}
		at = next
	}
	return at
}

// changed gives a changed path that the caller looks for, "" if there is none.
func (in *install) changed(wanted func(p string) bool) string {
	if i := slices.IndexFunc(in.touched, wanted); i >= 0 {
		return in.touched[i]
	}
	return ""
}

// changedBelow gives a changed path at or below a physical one, "" if there is none.
func (in *install) changedBelow(dir string) string {
	return in.changed(func(p string) bool { return below(p, dir) })
}

// below tells whether a physical path is a directory or something in it.
func below(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }
