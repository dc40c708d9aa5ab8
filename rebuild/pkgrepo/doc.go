// Package pkgrepo is what all formats of package repository have in common: the description of what a
// repository offers (Candidate, Artifact, Origin), and a Client that fetches its files through a cache on
// disk.
//
// # Guarantees
//
//   - Nothing unverified. A package of a format, pkgrepo/apt for one, has one exported way to make an archive:
//     a function that checks signature, date, size and digest and fails otherwise. Its archive type has no
//     exported field, and its zero value offers nothing. There is no switch to leave a signature or a digest
//     unchecked.
//   - Artifacts and indexes are checked against the size and SHA-256 of a signed file while they come in, and
//     again each time they are taken from the cache. No more than the declared size is ever read.
//   - Memory is constant: files go from the network to disk through fixed buffers.
//   - A file appears in the cache whole or not at all, whatever happens to the process or the disk, and any
//     number of processes may use one cache; none downloads what another is downloading.
//   - Errors say which file, and are told apart with errors.Is: ErrUnreachable, ErrNotFound, ErrVerification.
//     An interrupted context is neither: its own error is returned.
//
// # The seam for another format
//
// A format needs three calls. Latest gets the signed file that changes under its URL (InRelease,
// APKINDEX.tar.gz), asking the server each time but transferring it only when it changed. FetchIndex gets what
// that file vouches for by digest; formats whose signed file is the index itself, as apk's, skip it. Derived
// keeps the parsed form of a verified index under its digest, so that the next run does not decode it again.
// The archive that comes out of it then answers by name and architecture, as apt.Archive does:
//
//	Candidates(name, arch string) []Candidate
//	Serves(name, arch string) bool
//	Origins() []*Origin
//
// # Why this way
//
// Package managers keep their downloads under the URL's name and compare dates. Here files are kept under the
// digest that a signature vouches for: mirrors, releases and images share them, there is nothing to invalidate,
// and a damaged or stale copy cannot be mistaken for the right one. Locks merely save work, so that a file
// system on which they do not work costs time and not correctness.
//
// The derived files are the exception: their digest is the input's, and what is in them is believed. They are
// sealed against damage, and New refuses a cache directory that another user but root owns or can write to.
package pkgrepo
