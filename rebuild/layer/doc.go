// Package layer reads and rewrites one layer of a container image.
//
// A layer is a tar archive, mostly compressed, that its image names by the digest of its compressed bytes and
// by its diffID, the digest of the uncompressed ones (OCI image specification, layer.md and config.md). The
// package turns it into an Index, applies Edits to it, and writes the archive that results:
//
//   - Scan, and Store.Index with a cache on disk, make the index of a layer in one pass.
//   - Index.Apply says what a layer will hold after edits, without touching any archive.
//   - Rewrite, and Store.Rewrite for compressed layers, stream the archive and apply the edits.
//
// # Guarantees
//
// What is not edited stays as it is, byte for byte: headers, PAX records, order, data, padding, and what
// lies behind the end of the archive. Rewrite gives exactly what Apply says. The same layer and edits give
// the same bytes, compressed or not, on every machine and whatever the number of cores.
//
// Nothing that a layer says is trusted: names that lead out of the root, absurd numbers and lengths are a
// FormatError, bytes that are not those the image names a DigestError; whether they were seen before
// makes no difference to that. Memory grows with the number of entries, within Limits, and never with their
// content; a sparse file is not expanded. Each layer that is being read takes a few MiB beside its index, and
// a zstd layer as much as its window: 64 MiB at most, more is a FormatError. How many are read at the same
// time is up to the caller. No file of a layer is written to disk under a name of its own.
//
// A Store's directory is trusted: its files have a checksum against damage, none against forgery. So it has
// to belong to the user, or to root, and be closed to the writing of others; OpenStore makes sure.
//
// All functions end soon after their context, and leave no goroutine and no temporary file behind.
//
// # Why this way
//
// Archives are read by archive/tar, because the container runtimes read them with it: what nanopatch sees in
// a layer is what they will unpack. But archive/tar does not tell of what bytes a header was made, and a
// header that is decoded and encoded again is seldom the same. So the bytes are recorded on the way to it,
// one header at a time, and data goes around it.
//
// A hard link is a name of an entry that came before it, so the order of an archive carries meaning, and an
// edit of one entry can concern others. The rules for this are in Edits: they never need bytes that the
// stream has not reached or has passed, so that one pass and a constant amount of memory are enough. Where
// they would, in archives that override their own entries in contrived ways, the edit fails.
//
// Compression takes most of the time of a rewrite. It is behind an interface of its own, for a compressor
// that copies the unchanged blocks of the old stream instead.
package layer
