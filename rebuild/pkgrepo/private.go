package pkgrepo

import (
	"fmt"
	"os"
)

// checkPrivate fails unless dir is a directory that only this user and root can put files into. Reading is
// open: nothing in the cache is secret. A symbolic link is refused, since who owns it chooses the directory.
func checkPrivate(dir string) error {
	info, err := os.Lstat(dir)
	switch {
	case err != nil:
		return err
	case info.Mode()&os.ModeSymlink != 0:
		return fmt.Errorf("%s is a symbolic link: name the directory that it stands for", dir)
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory", dir)
	}
	return checkOwner(dir, info)
}
