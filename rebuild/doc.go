// Package rebuild plans and applies the smallest change that brings an image's packages up to date.
//
// [Plan] reads an image, its package database and the repositories that serve it, and says what would change in which
// layer. [Job.Apply] rewrites those layers, and only those, and gives the new image. Neither writes to a registry or
// prints: that is the caller's part.
//
// # Guarantees
//
// The result is what rebuilding the image from its own recipe would give, had its packages been up to date in the
// layer that installed them. A layer that the plan does not edit keeps its digest, diffID, position and history. Equal
// inputs give equal digests on any machine, at any time. Nothing in the image is executed, and memory does not grow
// with the size of a layer.
//
// # Why this way
//
// Some reasons to hold an update (a maintainer script, a file that somebody changed, a package file that is gone) show
// only when the package is at hand, and holding one update can leave another without its dependency. So planning is a
// loop: policy decides what should be updated, the artifacts are fetched and checked, their effects are computed over
// the indexes of the layers, and every new hold goes back to policy until none is left. Nothing is ever un-held, so the
// loop ends.
//
// The loop works on indexes alone. An edited layer's index is known before a byte of it is written, so a plan costs no
// rewrite, and each layer's edits are computed on the tree that the edits below it will have made.
package rebuild
