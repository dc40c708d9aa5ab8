//go:build !unix

package layer

import "io/fs"

// hasModes tells whether permission bits say who may write.
const hasModes = false

// foreign knows no owners here: a user's cache directory is the user's own by the system's defaults.
func foreign(fs.FileInfo) (uid uint32, ok bool) { return 0, false }
