package maintscript

import (
	"path"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/version"
)

// programs are the programs of an image whose effect is known. A model returns the status, and whether it is certain
// that nothing changes.
var programs = map[string]func(e *evaluator, args []string) (status int, inert bool){
	"dpkg":                    (*evaluator).dpkg,
	"dpkg-maintscript-helper": (*evaluator).maintscriptHelper,
	"deb-systemd-helper":      (*evaluator).systemdHelper,
	"dpkg-statoverride":       (*evaluator).statOverride,
	"rm":                      (*evaluator).rm,
	"mkdir":                   (*evaluator).mkdir,
	"chown":                   (*evaluator).chown,
	"chmod":                   (*evaluator).chmod,
	"update-rc.d":             (*evaluator).updateRC,
	"getent":                  (*evaluator).getent,
	"adduser":                 (*evaluator).addUser,
	"addgroup":                (*evaluator).addGroup,

	// Services: none runs while an image is built, and policy-rc.d forbids starting any.
	"deb-systemd-invoke": inert,
	"invoke-rc.d":        inert,

	// Python's bytecode: what is stale goes by a rule of its own, for every source file that changes.
	"py3compile":   inert,
	"py3clean":     inert,
	"pycompile":    inert,
	"pyclean":      inert,
	"pypy3compile": inert,
	"pypy3clean":   inert,

	// The cache of shared libraries is checked for every library that changes.
	"ldconfig": inert,
}

func inert(*evaluator, []string) (int, bool) { return 0, true }

// isMounted tells whether a path is in a file system that is mounted while an image is built or runs. systemd's
// directory in /run is known not to be there.
func isMounted(p string) bool {
	if p == "/run/systemd/system" || p == "/run/systemd/system/" {
		return false
	}
	for _, dir := range []string{"/proc", "/sys", "/dev", "/run"} {
		if p == dir || strings.HasPrefix(p, dir+"/") {
			return p != "/dev/null"
		}
	}
	return false
}

// dpkg knows comparisons of versions: dpkg --compare-versions A OPERATOR B. An empty version is older than all others
// for lt, le, eq, ne, ge and gt, and newer for those that end in -nl.
func (e *evaluator) dpkg(args []string) (int, bool) {
	if len(args) == 0 || args[0] != "--compare-versions" {
		return 0, false
	}
	args = args[1:]
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) != 3 {
		return 0, false
	}
	truth, ok := compareVersions(args[0], args[1], args[2])
	if !ok {
		return 0, false
	}
	if truth {
		return 0, true
	}
	return 1, true
}

func compareVersions(a, operator, b string) (truth, ok bool) {
	operator, emptyIsNewer := strings.CutSuffix(operator, "-nl")
	var c int
	switch {
	case a == "" && b == "":
	case a == "" || b == "":
		c = 1
		if (a == "") != emptyIsNewer {
			c = -1
		}
	default:
		var err error
		if c, err = version.Deb.Compare(a, b); err != nil {
			return false, false
		}
	}
	switch operator {
	case "lt", "<<":
		return c < 0, true
	case "le", "<=", "<":
		return c <= 0, true
	case "eq", "=":
		return c == 0, true
	case "ne":
		return c != 0, true
	case "ge", ">=", ">":
		return c >= 0, true
	case "gt", ">>":
		return c > 0, true
	}
	return false, false
}

// rm changes nothing where nothing is.
func (e *evaluator) rm(args []string) (int, bool) {
	force := false
	for _, a := range args {
		switch {
		case a == "--":
		case strings.HasPrefix(a, "-"):
			if strings.Trim(a, "-rfRv") != "" {
				return 0, false
			}
			force = force || strings.Contains(a, "f")
		case !strings.HasPrefix(a, "/") || isMounted(a):
			return 0, false
		default:
			if _, there := e.root.Lstat(a); there {
				return 0, false
			}
		}
	}
	return 0, force
}

// mkdir -p changes nothing where the directory is.
func (e *evaluator) mkdir(args []string) (int, bool) {
	parents := false
	for _, a := range args {
		switch {
		case a == "-p" || a == "--parents":
			parents = true
		case !strings.HasPrefix(a, "/") || isMounted(a):
			return 0, false
		default:
			if mode, there := e.root.Stat(a); !there || !mode.IsDir() {
				return 0, false
			}
		}
	}
	return 0, parents
}

// updateRC registers init scripts. On an upgrade they are registered, and defaults does not touch the links that are
// there; a package's first init script would be news.
func (e *evaluator) updateRC(args []string) (int, bool) {
	if len(args) != 2 || args[1] != "defaults" && args[1] != "defaults-disabled" {
		return 0, false
	}
	for _, other := range []string{"insserv", "rc-update"} {
		if _, found := e.find(other); found {
			return 0, false
		}
	}
	for _, level := range []string{"0", "1", "2", "3", "4", "5", "6", "S"} {
		for order := range 100 {
			for _, kind := range []string{"S", "K"} {
				link := path.Join("/etc/rc"+level+".d", kind+string([]byte{'0' + byte(order/10), '0' + byte(order%10)})+args[0])
				if _, there := e.root.Lstat(link); there {
					return 0, true
				}
			}
		}
	}
	return 0, false
}
