// Package apttest builds small signed apt repositories for tests: dists/, pool/, Packages in three forms,
// Release, InRelease, by-hash, from a list of .deb files.
//
// What it writes is what apt itself accepts, and depends on nothing but its arguments: with TestKey the same
// packages and dates give the same bytes, so that images made from such a repository have digests that can be
// pinned. A Suite can also be written wrong on purpose, one field at a time.
//
// # Why this way
//
// Tests against a real mirror change their outcome from day to day, and the tampering that must be refused
// cannot be done to a mirror. dpkg-scanpackages, apt-ftparchive and gpg would be a dependency of "make test".
package apttest
