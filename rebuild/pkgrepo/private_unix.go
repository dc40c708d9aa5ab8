//go:build unix

package pkgrepo

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// checkOwner reads the mode and the owner. An access control list that lets others write shows in the mode: the
// group's bits are its mask.
func checkOwner(dir string, info fs.FileInfo) error {
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("other users can write to %s (mode %04o): run chmod go-w %[1]s, or use another directory",
			dir, info.Mode().Perm())
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("the owner of %s cannot be told", dir)
	}
	if own := os.Geteuid(); st.Uid != 0 && int(st.Uid) != own {
		return fmt.Errorf("%s belongs to the user with the ID %d, and this one is %d: use another directory", dir, st.Uid, own)
	}
	return nil
}
