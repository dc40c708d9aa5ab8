// Package image opens container images, makes rebuilt ones from them, and writes images with what refers to them.
//
// A [Client] serves one run: it shares connections, tokens and the knowledge of what is already where, and counts the
// bytes that move. [Client.Open] gives a [Source], a platform's image or all of an index's. [Rebuild] and [RebuildIndex]
// put new layers and new images in. A [Repository] takes the result: a registry's repository or an OCI layout. What is said of
// an image goes beside it as an artifact ([NewArtifact]) or into the index that holds it ([AttestIndex]).
//
// # Guarantees
//
//   - Opening costs one manifest and one config for each image. Layers are read when somebody reads them.
//   - Nothing that is read is believed: manifests, configs and blobs are checked against their digests, sizes are
//     bounded, the counts of layers, diffIDs and history must agree.
//   - What a rebuild does not change stays byte for byte: keys, order and white space of manifest, config and index,
//     unknown fields, annotations, media types. A rebuild that changes nothing has the digest of its base.
//   - Pushing writes content first, then what names it by digest; a tag moves only in [Repository.Tag], last. Killed at
//     any point, a run leaves no tag that points at something missing. What is there already is not sent again; layers
//     that another repository of the same registry holds are mounted.
//   - Errors are for errors.Is: [ErrUsage], [ErrNotFound], [ErrUnauthorized], [ErrUnreachable], [ErrImmutableTag],
//     [ErrVerification], [ErrInvalid], [ErrUnsupported]. Each message names the image and what to do next.
//
// # Why this way
//
// go-containerregistry does the registry protocol, but its mutate package encodes manifests and indexes anew, which
// drops unknown fields and changes order; so edits happen on the raw JSON. Its retries sleep through a cancelled
// context and know nothing of Retry-After, and its writer retries no server error that carries an unknown code; so it
// runs with its retries switched off under ones of ours. Its OCI layouts inflate every layer to learn a diffID, check
// no digest and write no file atomically; so layouts are read and written here.
//
// A large transfer that breaks off goes on where it was, below those retries, so that whoever reads or writes a layer sees one
// whole transfer. Mirrors stand above: they are asked when an image is opened, and never for what a tag names at this moment
// or for what was just written, of which a mirror may know less than its registry.
//
// An archive is read in place, by its members' offsets; go-containerregistry reads through it anew for each member, and
// holds a daemon's answer in memory. It is written in one go when a tag moves, read back, and takes its name last: until
// then what was pushed is kept as the images it was given as, unread. An archive of docker's has no manifests, so what is
// opened from one has a manifest of its own making, over layers as they lie there; written, its layers are not compressed,
// as docker writes them and every reader expects.
//
// An OCI layout keeps referrers as extra entries of index.json, because cosign and oras look for them there. Tools that
// take a layout without a tag want exactly one entry (skopeo), so an image's entry always carries its tag and platform
// and can be asked for by tag.
package image
