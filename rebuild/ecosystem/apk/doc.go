// Package apk reads and edits the database of apk, the package manager of Alpine and Wolfi, and computes what an upgrade would
// change in a tree.
//
// The database is one directory, lib/apk/db or usr/lib/apk/db: installed (packages, directories, files with SHA-1), scripts.tar
// or scripts.tar.gz, and triggers. Packages are those of version 2: gzip streams one behind the other, with the signature, the
// control files and the data. Version 3 (ADB) is refused with [ErrVersion3].
//
// # Guarantees
//
//   - Nothing of a package is used whose content does not have the digests that the package states: the data member's SHA-256 in
//     .PKGINFO, and each file's SHA-1 in the archive.
//   - An upgrade is what apk does, path by path: files replaced and removed, directories made and removed, links, extended
//     attributes, owners by the image's own names, protected paths with NAME.apk-new, packages that replace files of others. The
//     tests with the tag e2e compare with the real apk.
//   - Where apk would overwrite or remove a file that someone changed, the update is held. What is absent stays absent.
//   - A script or trigger of which anything is not known holds the update.
//   - Entries of other packages keep their bytes.
//
// # Where it differs from apk, on purpose
//
// apk writes the scripts and triggers of upgraded packages at the end of their files, in the order of its dependency graph. Here all
// entries stay in their place: that is where a build with the new versions would have put them, and no reader cares. (Installed
// packages are sorted by name since apk-tools 2.14, so their place is the same.)
//
// apk brings back files that were removed, and its busybox trigger brings back removed applet links, whenever a package changes a
// directory of programs. Both stay away, by the rule above.
//
// # Scripts
//
// An upgrade runs the new version's pre-upgrade and post-upgrade, and every trigger that watches a directory of the package. They are
// interpreted over the tree by package ecosystem/script, with the programs of ecosystem/script/posix and a few of Alpine's own:
// addgroup and adduser for accounts that are there, "apk version -t", and "busybox --install".
//
// The last is in almost every upgrade: busybox's trigger watches the directories of programs and makes the links to its applets that
// are missing. As they were all made when busybox was installed, only those count whose place the upgrade itself clears, and those
// of applets that a new busybox brings. Which there are says a file in its package, etc/busybox-paths.d/busybox. Its own post-upgrade
// script is known by its text.
//
// # Why this way
//
// Ownership of paths is settled first, from the database and the packages' file lists alone, so that the same decision serves the tree in
// which a package is installed and each copy of the database in the layers above. Files come second, against the tree.
package apk
