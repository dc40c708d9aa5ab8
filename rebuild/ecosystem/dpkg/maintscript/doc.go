// Package maintscript proves of a Debian maintainer script that running it would change nothing.
//
// [Check] reads a script and the arguments that dpkg would call it with, and follows the only way that the script can
// take. Branches not taken do not matter. On the way, every command must be one whose effect on an image is known and
// is nothing: an assignment or a test, a service action (no service runs in an image, and policy-rc.d denies all), a
// helper of debhelper's generated blocks that finds its work already done. The first command of which that is not
// known ends the proof, and the verdict names it with its line.
//
// # Guarantees
//
// Nothing is executed. Nothing outside the given [Root] is looked at, and that is only read. The number of steps is
// bounded, so scripts that loop forever are refused as quickly as any other. A script that would fail is not inert.
//
// # Why this way
//
// Most scripts of most packages act only when a package is installed for the first time, upgraded from a version long
// gone, or purged. Whether they act now follows from their arguments alone, so it can be read off the syntax tree,
// without an interpreter that could be made to do something. Matching whole debhelper blocks as text would be simpler
// still, but there are hundreds of spellings of each over the years, and a block's own conditions would have to be
// looked at all the same.
package maintscript
