package debscript

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script/posix"
)

// Invocation is one call of a maintainer script, as dpkg makes it.
type Invocation struct {
	// Package and Arch name the package. Coinstallable says that it is Multi-Arch: same.
	Package, Arch string
	Coinstallable bool
	// Kind is "preinst", "postinst", "prerm" or "postrm", Args what dpkg calls it with: "configure", "1.0-1".
	Kind   string
	Args   []string
	Script []byte
	// Config and Templates are the package's control files for debconf; nil if it has none.
	Config, Templates []byte
	// Instances is how many instances of the package, by architecture, are installed: 1 where it is 0.
	Instances int
	// Moving are the packages of the run with how far it has come with them; the tree's database has their old state while
	// any of them is to be unpacked, and their last one afterwards.
	Moving map[string]Progress
	// Tree is what the script sees and edits, the package's new database included where dpkg would have written it. After
	// an error the edits are of no use.
	Tree   *script.Tree
	Limits script.Limits
}

// Progress is how far a run has come with a package.
type Progress int

// The values of Progress.
const (
	// Waiting says that the package is still to be unpacked, or was just unpacked while others are to be.
	Waiting Progress = iota
	// Unpacked and Configured are its states when all packages are unpacked.
	Unpacked
	Configured
)

// Trigger is a trigger that a script activates with dpkg-trigger(1).
type Trigger struct {
	Name string
	// NoAwait says that the package does not wait for it.
	NoAwait bool
}

// Result is what a script does besides its edits.
type Result struct {
	Triggers []Trigger
	// Requests are programs that derive files from others and that the script calls, sorted: "ldconfig", "mandb". Running them, or knowing that nothing is to do, is the caller's.
	Requests []string
	Output   []byte
	Steps    int
}

// Run runs a maintainer script. The error is an *script.UnknownError, an *script.ExitError or that of the context.
func Run(ctx context.Context, inv Invocation) (Result, error) {
	s := &session{Invocation: inv, requests: make(map[string]bool)}
	res, err := script.Run(ctx, script.Input{
		Name: inv.Kind, Arg0: s.path(inv.Kind), Script: inv.Script, Args: inv.Args, Env: s.env(), Tree: inv.Tree,
		Commands: commands(), Vendor: s, Limits: inv.Limits,
	})
	return Result{
		Triggers: s.triggers, Requests: slices.Sorted(maps.Keys(s.requests)), Output: res.Output, Steps: res.Steps,
	}, err
}

// session is what the commands of one invocation share.
type session struct {
	Invocation
	triggers []Trigger
	requests map[string]bool
	database *database
	debconf  *debconf
}

// path is where dpkg has a control file of the package.
func (s *session) path(name string) string {
	pkg := s.Package
	if s.Coinstallable {
		pkg += ":" + s.Arch
	}
	return "/" + infoDir + "/" + pkg + "." + name
}

// env is the environment that dpkg gives a script (maintscript_set_exec_context and run_script in dpkg's
// src/main/script.c), called by a root without a terminal.
func (s *session) env() map[string]string {
	instances := "1"
	if s.Instances > 1 {
		instances = itoa(s.Instances)
	}
	return map[string]string{
		"DPKG_MAINTSCRIPT_PACKAGE": s.Package, "DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT": instances,
		"DPKG_MAINTSCRIPT_ARCH": s.Arch, "DPKG_MAINTSCRIPT_NAME": s.Kind, "DPKG_MAINTSCRIPT_DEBUG": "0",
		"DPKG_ROOT": "", "DPKG_ADMINDIR": "/var/lib/dpkg", "DPKG_COLORS": "never", "DPKG_FORCE": "confold,confdef",
		"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME": "/root", "LC_ALL": "C.UTF-8", "LANG": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", "SHELL": "/bin/sh",
		"USER": "root", "LOGNAME": "root",
	}
}

// of returns the session that a command runs in.
func of(p *script.Process) *session { return p.Vendor.(*session) } //nolint:forcetypeassert // Run sets it

// commands are the programs of a Debian system that are known.
func commands() map[string]script.Command {
	all := posix.Commands()
	for _, group := range []map[string]script.Command{
		{"dpkg": dpkg, "dpkg-query": dpkgQuery, "dpkg-trigger": dpkgTrigger, "dpkg-divert": dpkgDivert, "dpkg-statoverride": statOverride},
		{"update-alternatives": updateAlternatives},
		{"deb-systemd-helper": systemdHelper, "deb-systemd-invoke": succeeds, "invoke-rc.d": invokeRC, "update-rc.d": updateRC},
		{"systemctl": systemctl, "service": notRunning, "initctl": notRunning, "start-stop-daemon": stopDaemon, "journalctl": journalctl, "ss": listeners, "udevadm": succeeds},
		{"systemd-tmpfiles": tmpfiles, "systemd-sysusers": sysusers, "adduser": addUser, "useradd": addUser, "addgroup": addGroup, "groupadd": addGroup},
		{"/usr/share/debconf/frontend": frontend, "debconf-escape": debconfEscape},
		{"setcap": setcap, "py3compile": request, "py3clean": cleans, "pycompile": request, "pyclean": cleans},
		{"ischroot": succeeds, "logger": succeeds, "su": su, "uname": uname, "mountpoint": mountpoint, "perl": perl, "getcap": getcap, "setpriv": setpriv, "openssl": openssl, "a2query": apacheQuery, "run-parts": runParts},
		{"pidof": nothingFound, "pgrep": nothingFound, "dbus-send": nothingFound, "selinuxenabled": nothingFound},
		{"systemd-machine-id-setup": succeeds, "pg_lsclusters": lsClusters, "dbus-uuidgen": dbusUUID, "update-passwd": updatePasswd},
		{"python3": python, "python3.9": python, "python3.10": python, "python3.11": python, "python3.12": python, "python3.13": python},
	} {
		maps.Copy(all, group)
	}
	for _, name := range []string{
		"ldconfig", "install-info", "update-menus", "update-mime-database", "update-mime", "update-icon-caches",
		"gtk-update-icon-cache", "update-desktop-database", "glib-compile-schemas", "gio-querymodules", "fc-cache", "mandb",
		"update-fonts-scale", "update-fonts-dir", "update-fonts-alias", "update-initramfs", "update-xmlcatalog", "update-catalog",
		"update-python-modules", "dpkg-reconfigure", "locale-gen", "udevadm-hwdb", "systemd-hwdb", "gdk-pixbuf-query-loaders",
		"gtk-query-immodules-2.0", "gtk-query-immodules-3.0", "pam-auth-update", "helpztags", "appstreamcli",
	} {
		all[name], all["*/"+name] = request, request
	}
	return all
}

func succeeds(*script.Process) (int, error) { return 0, nil }

// cleans is py3clean and its like, called before an upgrade: they remove the compiled modules of the package. Their
// callers in package dpkg remove those that no longer fit, and leave the others.
func cleans(p *script.Process) (int, error) { return request(p) }

// request notes that a program was called. One whose output is used has to be known better, unless it goes into a cache that
// is the caller's to derive (see [Changes]).
func request(p *script.Process) (int, error) {
	_, name := splitPath(p.Args[0])
	if p.Captured() && !strings.Contains(name, "-query-") && name != "fc-cache" { // which writes a log
		return 0, p.Unknownf("is not modelled, and its output is used")
	}
	if name == "ldconfig" && !slices.Contains([]string{"", "-r /", "--verbose"}, strings.Join(p.Args[1:], " ")) {
		return 0, p.Unknownf("searches otherwise than by its configuration")
	}
	of(p).requests[name] = true
	return 0, nil
}
