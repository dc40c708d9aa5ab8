package layer

import (
	"fmt"
	"os"
)

// CheckPrivate wants a cache directory in which nobody but this user, and root, can write.
func CheckPrivate(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a directory: remove it, or choose another place", dir)
	}
	if uid, ok := foreign(info); ok {
		return fmt.Errorf("%s belongs to another user, %d, who could forge what it holds: choose another place", dir, uid)
	}
	if perm := info.Mode().Perm(); perm&0o022 != 0 && hasModes {
		return fmt.Errorf("other users may write to %s (mode %04o): run chmod go-w %[1]s", dir, perm)
	}
	return nil
}
