// Package overlay is the tree of an image with the changes of one upgrade on top: what the ecosystems work on while they
// replay their package manager.
//
// A [Tree] starts as the merged layers of an image. Package managers put files into it ([Tree.Set]) and take them away
// ([Tree.Remove]), each for a package and each at once visible to whoever looks next; [Tree.Changes] lists what came of it.
// It is a script.Base as well, so that scripts run over the very same tree, and [Tree.Adopt] takes over what they did.
//
// # Guarantees
//
// Paths are physical where a method says so: no component but the last is a symbolic link. [Tree.Place] and
// [Tree.Follow] make them so, as the kernel would and never outside of the tree. Only what differs from the image is a
// change, and the names of one file (hard links) change together. Memory grows with the number of changes.
//
// # Why this way
//
// dpkg and apk need the same tree, down to the treatment of hard links, so it is here and not twice below them. The tree
// of package script is another one on purpose: its files are inodes that are written to bit by bit, its methods fail as
// system calls do, its edits belong to no package, and all of them are thrown away if the script turns out to be
// unknown. It lies on top of this one, for as long as one script runs.
package overlay
