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
//
// # Adding a package manager
//
// It is one package below rebuild/ecosystem, one below rebuild/pkgrepo, and a line. In this order each step has something to stand
// on, and a test that somebody else wrote:
//
//  1. The order of versions: a version.Scheme in package version, with the real tool's own vectors as test data.
//  2. rebuild/ecosystem/NAME implements [Ecosystem]. Its Upgrade works on an overlay.Tree, which records what changes over a view
//     and never touches it; scripts run in package script, over the same tree, with the commands of script/posix and those that
//     only this package manager has. Begin with Open and Wants, then Unpack, EditDatabase, Upgrade, and UpgradeAbove last. The
//     suite ecosystemtest.Run says when it holds to the interface; whether it does what the real package manager does, only a
//     test with the real one can say (apk: battery_e2e_test.go; dpkg: upgrade_oracle_test.go): the same package files, the real
//     tool in a chroot, entry by entry.
//  3. rebuild/pkgrepo/NAME reads the repositories' configuration out of an image, verifies the indexes, and gives candidates and
//     their artifacts; pkgrepo's doc.go tells what it can build on. The suite is pkgrepotest.Run.
//  4. rebuild/NAME.go joins the two (distro, open, Candidates, Resolve: 60 lines for apk), and the list in rebuild/backend.go gets
//     its line. Policy, plan, layers, images, documents and the command line know no package manager by name.
//  5. testdata/fixture gets a twin: a small image of three layers and its signed repository, built by other people's packager. It is
//     one entry in the tests of rebuild, in those of the command line's scripts, and in the end-to-end tests: they are the same
//     for all, and pin a digest for each.
//  6. Where the distribution says which CVEs its versions fix, package advisory learns to read it, and which Scheme orders it.
//
// What it cost for apk, the second: two calls became part of the interfaces, UpgradeAbove (a trigger of a layer above) and the
// repositories' Resolve (apk's indexes do not state a file's SHA-256); nothing else that exists had to change.
package ecosystem
