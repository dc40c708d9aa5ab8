// Package debscript runs Debian's maintainer scripts over the tree of an image, on the engine of package script.
//
// It knows the programs that these scripts call besides those of every system: dpkg's own (dpkg-query, dpkg-divert, dpkg-statoverride,
// dpkg-trigger, update-alternatives), debconf, the helpers of init-system-helpers and systemd, those that add users. Programs that are
// shell scripts themselves, dpkg-maintscript-helper, ucf and update-ca-certificates above all, run as the image has them.
//
// # Guarantees
//
// [Run] gives a script the environment that dpkg gives it, in an image that is being built: root without a terminal, no service
// running and none to be started (policy-rc.d denies all), debconf noninteractive. The files that a program of dpkg writes are
// those that the real one writes, byte for byte. What is not known is an error, as the engine has it.
//
// Programs that derive files from others (ldconfig, caches of MIME types and icons) do nothing; they are
// listed in [Result.Requests], because what is to be done about them depends on what else changes in the same run. So are
// triggers.
//
// [Changes] leaves out what no image keeps.
//
// # Why this way
//
// debconf's answers come from a session that speaks its protocol, and not from functions named db_get: scripts then source the
// confmodule that the image has, in all its spellings. The database is neither asked nor written, so that an image looks as if
// nobody had been there to answer.
//
// A question about a package that is itself being upgraded is answered by how far the run has come ([Progress]). While packages are
// being unpacked, that is a matter of their order, which is apt's to choose: then its state and version are unknown.
package debscript
