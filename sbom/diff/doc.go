// Package diff compares two lists of packages, and holds the difference against what a plan said it would be.
//
// # Guarantees
//
// Packages are the same when type, name, architecture and version are: a package URL's other parts (the distribution's point
// release, the source package) change without the package changing. The comparison has no direction of its own: what
// [Compare] says of (a, b) is what it says of (b, a), turned round, and of (a, a) it says nothing. The order in which
// packages are listed does not matter.
//
// Several versions of one name, common with npm, are not crossed with one another: equal ones cancel out, those
// at the same place are a change of that place, and of the rest each is matched with the version nearest to it; whatever is
// left over was added or removed.
//
// A document need not know everything: a package without an architecture or a type is matched with the one that it can only be.
// Licenses that one side does not know have not changed, and nothing moved where a layer is not known.
//
// [Diff.Gate] returns a [*GateError] naming every change that a plan does not account for.
//
// # Why this way
//
// Comparing by package URL alone calls every package of an image changed when the distribution's point release
// changes, and pairing versions in the order of the list makes downgrades out of thin air. How versions are ordered and
// what counts as a patch is knowledge of each ecosystem, which the caller brings along as [Versions]; without it, changes
// are listed all the same, only without a direction and a level.
package diff
