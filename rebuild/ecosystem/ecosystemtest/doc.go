// Package ecosystemtest is the conformance suite of package ecosystem: what every package manager's implementation has to hold to,
// whatever its database looks like. An implementation is done when [Run] passes for it and its effects equal those of the real
// package manager, which only its own tests can ask.
//
// # Adding a package manager
//
// The doc.go of package ecosystem tells all of it. For this suite make a tree with a few packages installed, open the package file of
// a newer version of one or more of them, and call Run.
//
// # Why this way
//
// The suite asks through the interface alone, as plan and rebuild do, so that what they rely on is what is tested.
package ecosystemtest
