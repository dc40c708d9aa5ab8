// Package posix models the programs that scripts of package managers call most, as functions over the tree of package
// script: coreutils, grep, sed, find and their like.
//
// # Guarantees
//
// A program does what the real one (GNU coreutils, grep, sed, findutils; where they agree also busybox) would do to the
// tree and print, or says that it is unknown. Options and operands that are not modelled are unknown, never ignored. Where
// nothing else is said messages on standard error need not have the real one's wording.
//
// # Why this way
//
// Scripts use a small part of each program. That part can be modelled exactly and read in an evening; the rest is left to
// be refused.
package posix
