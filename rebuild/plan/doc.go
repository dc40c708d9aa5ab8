// Package plan says what a rebuild changes in which layer: the plan as a document, the lockfile, and the edits of every
// layer's archive.
//
// # Guarantees
//
// Everything here is a pure function of the layers' indexes and the updates: no clock, no network, no image name. What
// is edited in a layer depends only on the layers up to it and on the updates at home there or below, so two images that
// share a prefix and its updates share the rewritten layers, byte for byte. Cut after any layer, the result's package
// database and files agree as they did before.
//
// # Why this way
//
// An update is at home in one layer: the lowest from which every package database up to the top names the installed
// version ([Homes]). There it takes place as the package manager would do it, in the tree that ends with that layer; what
// layers above hold says nothing about it. The layers above keep what their authors did: a copy that still has the old
// content follows the update with its own mode and owner, any other is an override and is reported ([Distribute]).
//
// The edits are applied to indexes, not archives, so the next layer's edits are computed on the tree that will be there,
// and the new tree is known before anything is written.
package plan
