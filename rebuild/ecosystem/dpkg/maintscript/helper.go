package maintscript

import (
	"io/fs"
	"slices"
	"strings"
)

// maintscriptHelper follows dpkg-maintscript-helper(1):
//
//	dpkg-maintscript-helper COMMAND PARAMETERS... [LAST-VERSION [PACKAGE]] -- SCRIPT-ARGUMENTS...
//
// It acts in two halves, in preinst and postinst, when the old version is at most LAST-VERSION (or that is not given)
// and what is to be renamed or removed is there.
func (e *evaluator) maintscriptHelper(args []string) (int, bool) {
	if len(args) > 0 && args[0] == "supports" {
		return 0, true
	}
	end := slices.Index(args, "--")
	if end < 1 || end+1 >= len(args) {
		return 0, false
	}
	command, params, script := args[0], args[1:end], args[end+1:]
	h, ok := helpers[command]
	if !ok || len(params) < h.operands {
		return 0, false
	}
	target := strings.TrimSuffix(params[0], "/")
	switch action := e.vars["DPKG_MAINTSCRIPT_NAME"] + " " + script[0]; action {
	case "preinst upgrade", "postinst configure":
		last := ""
		if len(params) > h.operands {
			last = params[h.operands]
		}
		if len(script) > 1 && script[1] != "" {
			due, ok := compareVersions(script[1], "le-nl", last)
			if ok && !due && (action == "preinst upgrade" || !h.finishesAlways) {
				return 0, true
			}
		}
		if action == "preinst upgrade" {
			return 0, !h.prepares(e, target)
		}
		return 0, !h.finishes(e, target)
	case "prerm upgrade", "postrm upgrade", "postinst triggered", "prerm deconfigure":
		return 0, true
	}
	return 0, false
}

// helper is one command of dpkg-maintscript-helper.
type helper struct {
	operands int
	// prepares and finishes tell whether the first and the second half may find something to do.
	prepares, finishes func(e *evaluator, target string) bool
	// finishesAlways says that the second half does not ask for the version.
	finishesAlways bool
}

var helpers = map[string]helper{
	"rm_conffile": {1, (*evaluator).there, func(e *evaluator, p string) bool {
		return e.there(p+".dpkg-backup") || e.there(p+".dpkg-remove")
	}, false},
	"mv_conffile": {2, (*evaluator).there, func(e *evaluator, p string) bool {
		return e.there(p) || e.there(p+".dpkg-remove")
	}, false},
	"symlink_to_dir": {2, (*evaluator).isLink, hasBackup, true},
	"dir_to_symlink": {2, func(e *evaluator, p string) bool {
		f, ok := e.root.Lstat(p)
		return ok && f.IsDir()
	}, hasBackup, true},
}

func hasBackup(e *evaluator, p string) bool { return e.there(p + ".dpkg-backup") }

func (e *evaluator) isLink(p string) bool {
	f, ok := e.root.Lstat(p)
	return ok && f.FileMode&fs.ModeSymlink != 0
}
