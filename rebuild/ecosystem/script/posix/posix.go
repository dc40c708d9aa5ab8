package posix

import (
	"maps"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem/script"
)

// Commands returns the models by program name. The map is the caller's own, to add to.
func Commands() map[string]script.Command {
	all := map[string]script.Command{
		"true":  func(*script.Process) (int, error) { return 0, nil },
		"false": func(*script.Process) (int, error) { return 1, nil },
		"sync":  func(*script.Process) (int, error) { return 0, nil },
		"sleep": func(*script.Process) (int, error) { return 0, nil },
	}
	for _, group := range []map[string]script.Command{
		{"basename": basename, "dirname": dirname, "readlink": readlink, "realpath": realpath, "which": which, "which.debianutils": which},
		{"rm": rm, "rmdir": rmdir, "mkdir": mkdir, "mv": mv, "cp": cp, "ln": ln, "touch": touch, "mktemp": mktemp, "install": install},
		{"chmod": chmod, "chown": chown, "chgrp": chgrp},
		{"cat": cat, "head": head, "tail": tail, "wc": wc, "sort": sortLines, "uniq": uniq, "cut": cut, "tr": tr, "tee": tee, "seq": seq},
		{"grep": grep, "egrep": grep, "fgrep": grep, "sed": sed, "find": find, "xargs": xargs, "expr": expr},
		{"md5sum": sum, "sha1sum": sum, "sha256sum": sum, "cmp": cmpFiles, "diff": diff},
		{"id": id, "getent": getent, "stat": stat, "date": date, "env": env},
		{"ls": ls, "getopt": getopt},
		{"awk": awk, "mawk": awk, "gawk": awk},
	} {
		maps.Copy(all, group)
	}
	return all
}
