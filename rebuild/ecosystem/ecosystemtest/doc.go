// Package ecosystemtest is the conformance suite of package ecosystem: what every package manager's implementation has to hold to,
// whatever its database looks like. An implementation is done when [Run] passes for it and its effects equal those of the real
// package manager, which only its own tests can ask.
//
// # Adding a package manager
//
// Make a package below rebuild/ecosystem that implements ecosystem.Ecosystem, and one below rebuild/pkgrepo for its repositories (see
// pkgrepo/pkgrepotest). In its tests make a tree with a few packages installed, open the package file of a newer version of one of
// them, and call Run. Then one line in rebuild/backend.go brings both to the command line.
//
// # Why this way
//
// The suite asks through the interface alone, as plan and rebuild do, so that what they rely on is what is tested.
package ecosystemtest
