// Package ecosystem is what nanopatch asks of a package manager: to read its database in the tree of an image, and to
// compute what it would change there if it upgraded packages. It holds the interface and the types that the packages
// around it share; each package manager is a package below it (ecosystem/dpkg), with all its quirks inside.
//
// The types describe packages as their own manager does, not as a lowest common denominator: versions are opaque
// strings in the manager's syntax (package version orders them), relations keep their operators and architectures.
//
// # Guarantees that an implementation gives
//
//   - Nothing of the image is executed, and nothing outside of the given tree is read.
//   - [Ecosystem.Upgrade] returns what the real package manager would leave behind, file by file, or a [HoldError] with a
//     reason. It does not approximate: an effect that it cannot derive is a hold.
//   - [Ecosystem.EditDatabase] keeps all that it does not have to change, byte for byte.
//   - The results depend on the arguments alone: no clock, no environment, no order of maps.
//
// # Why this way
//
// An upgrade is a pure function from a tree and package files to a set of path changes ([Effect]), because the same
// function is needed at several places: for the layer that a package was installed in, for each database copy above it, and
// for tests that compare it with the real package manager. Which layer a change lands in is not the ecosystem's
// business; package plan decides that.
//
// The reasons for a hold are one closed list ([Reason]) for all ecosystems, since scripts match on them.
package ecosystem
