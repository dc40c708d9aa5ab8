//go:build e2e

package oracle

import (
	"path"
	"strings"
)

// allowance lets paths differ between nanopatch's result and apt's, where nanopatch leaves them as they were. One that ends with a slash is for all below it.
type allowance struct{ pattern, reason string }

// allowances is the whole list.
var allowances = []allowance{
	{"var/log/", "what happened on the machine where apt ran"},
	{"run/", "what ran on the machine where apt ran"},
	{"tmp/", "what programs left there"},
	{"var/lib/apt/lists/", "the indexes that apt fetched; nanopatch never puts them into an image"},
	{"var/cache/apt/", "the package files that apt fetched; nanopatch never puts them into an image"},
	{"var/cache/ldconfig/aux-cache", "ldconfig's own cache of what it saw by inode and time, which differ on every machine"},
	{"var/cache/debconf/", "debconf's database: which questions apt asked again; no program but debconf reads it"},
	{"var/lib/dpkg/status-old", "dpkg's copy of the database before its last run"},
	{"var/lib/dpkg/diversions-old", "the same for diversions"},
	{"var/lib/dpkg/statoverride-old", "the same for statoverrides"},
	{"var/lib/dpkg/lock", "dpkg's lock"},
	{"var/lib/dpkg/lock-frontend", "apt's lock"},
	{"var/lib/dpkg/triggers/Lock", "dpkg's lock"},
	{"*.pyc", "bytecode is made by running Python: nanopatch removes what is stale, and Python makes it when it wants it"},
	{"__pycache__", "the folder of bytecode"},
}

// allowed returns why a path may differ, "" if it may not.
func allowed(p string) string {
	for _, a := range allowances {
		below, isDir := strings.CutSuffix(a.pattern, "/")
		switch {
		case isDir && strings.HasPrefix(p, below+"/"), p == a.pattern:
			return a.reason
		case !strings.Contains(a.pattern, "/"):
			if ok, err := path.Match(a.pattern, path.Base(p)); err == nil && ok {
				return a.reason
			}
		}
	}
	return ""
}
