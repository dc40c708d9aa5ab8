// Package dpkg upgrades Debian packages in a tree of layers, and leaves there what dpkg would.
//
// [Ecosystem] reads the package database of a tree ([Ecosystem.Open]) and package files ([Ecosystem.Unpack]), and
// computes which paths change when packages are upgraded ([Ecosystem.Upgrade]): their files, configuration files, and
// dpkg's own database, byte for byte. Debian, Ubuntu and all that is made of them work alike; distroless images, which
// have a file for each package in var/lib/dpkg/status.d and no dpkg, are upgraded as their builder would unpack them.
//
// # Guarantees
//
// The result is that of "dpkg --force-confold --install": which path comes from which package, types, modes, owners by
// the image's own users, times, hard links; the fate of each configuration file; diversions, overrides of modes, path
// filters, files that move between packages, coinstallable architectures; every control file, file list and stanza.
// The tests let the real dpkg do the same and compare all paths.
//
// It differs from dpkg in what the image's author did, and on purpose: a path that someone removed stays away, with all
// below it; a package's file that someone changed holds the update, or is kept, as the caller says. It differs
// further in that files of which nothing changes keep their time, lists of triggers keep their order, and no backup of
// the status file is written. Directories that exist are left alone, as dpkg does.
//
// Maintainer scripts run as dpkg would run them, over the tree and its pending changes, in an interpreter that executes
// nothing (see package debscript); what they change is part of the upgrade. So do the triggers at the end, and ldconfig's work is done. Upgrades of which
// not everything is known are held, with the reason: what a script does, a file that a program derives from others and that
// is not made here, a conflict over a path. Nothing that packages' triggers derive from files is left silently out of date.
//
// All input is hostile: databases and package files are bounded, no path leads out of the tree, and nothing is
// executed or written to disk.
//
// # Why this way
//
// Unpacking archives over a tree is not what dpkg does, and the difference is what breaks images: files of the old
// version that stay, configuration that is lost, /lib that stops being a link. So the upgrade is a replay of dpkg's own
// procedure, in its order, over a tree that records changes instead of making them; the functions name the places in
// dpkg's source that they follow. A replay can be compared with the original at any point, which a set of rules about
// final states could not.
//
// dpkg's parsers are followed rather than the documents about its formats, and libraries for them are not used where
// bytes must come out the same: the status file says "(>= 1.0)" where a package said "(>=1.0)", and keeps unknown
// fields as they are.
//
// Scripts run in the same tree, each where dpkg has it: the installed prerm and the new preinst before a package is unpacked,
// the installed postrm before old files go, the postinsts when the configuration files are settled and the database says
// what is installed. What a script did is seen by all that comes later, be it a diversion, an override or a user.
//
// File triggers count only where content changed, unlike in dpkg: a program that sees the same input makes the same of it.
package dpkg
