//go:build unix

package layer

import (
	"io/fs"
	"os"
	"syscall"
)

// hasModes tells whether permission bits say who may write.
const hasModes = true

// foreign returns the owner of a file that belongs neither to this user nor to root.
func foreign(info fs.FileInfo) (uid uint32, ok bool) {
	stat, known := info.Sys().(*syscall.Stat_t)
	if !known {
		return 0, false
	}
	return stat.Uid, stat.Uid != 0 && int(stat.Uid) != os.Geteuid()
}
