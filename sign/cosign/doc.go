// Package cosign signs images and verifies them in the formats of sigstore's cosign, so that the stock
// cosign tool verifies what we sign and we verify what it signs.
//
// A signature is a sigstore bundle v0.3 (a DSSE envelope around an in-toto statement) that is attached to the
// image as an OCI 1.1 referrer, the form that cosign 3 makes by default and cosign 2 with
// --new-bundle-format. What signs is a key in a file, a key in a key management service, or, keyless, the
// identity of a CI job for which an authority issues a short-lived certificate. Attestations are the same with
// another predicate. The package meets images only as digests, descriptors and a Repository that it declares
// itself; package rebuild/image has one for registries and one for OCI layouts.
//
// The classic format, which cosign 1 and 2 make, holds the same under two tags beside the image; it is made on request and
// verified wherever the Repository is a Tagger. The stock tools look for bundles first and, if they find any, for nothing
// else: an image that is to be verified by its classic signatures should have no bundles.
//
// # Guarantees
//
//   - Verify fails closed. It passes only with a valid statement of cosign's sign predicate by the given key
//     or identity about exactly the given digest. Neither is an error, never a pass, and no option skips a check.
//   - Whatever lies next to an image is hostile: its number and sizes are bounded, and what is malformed is a
//     failed check; a malformed entry of a classic list only where what else there is does not suffice.
//   - Bundles of other keys and identities are reported and count for nothing.
//   - An identity is a subject together with its issuer. Its certificate must have been valid when a transparency log, or a
//     timestamp authority, saw the signature.
//   - Entries of a classic list name no key: one that our key did not sign, or that is malformed, counts for nothing, as if it
//     were another's, and is reported. So do the stock tools. One with the certificate of our identity that does not verify
//     fails the verification.
//   - A bundle that names our key and does not verify, or that verifies and speaks of another image, fails
//     the verification even if a good signature lies beside it: someone has tampered with or mixed up what
//     is attached to the image.
//   - Signing with a key file is deterministic: one key, statement and creation time give one artifact, bit for bit. ECDSA
//     signatures are those of RFC 6979.
//   - Signing twice attaches once: a valid statement of the same content by the same key is reused.
//
// # Why this way
//
// `cosign verify` in bundle mode passes on an image that carries nothing but an SBOM attestation by the right
// key, since every bundle is an attestation to it. An SBOM that a scanner attached would then pass for a
// release signature. So the sign predicate is required here, by name.
//
// We verify with sigstore-go, as cosign does, but one layer below cosign's own functions: those read from a
// registry and nothing else, and give no reason for the bundles that they drop.
//
// A classic entry is verified as the bundle that has the same content, so that there is one place where signatures,
// certificates, logs and timestamps are judged, and it is sigstore-go's.
//
// Statements are handed to sigstore-go as our own parser read them (package attest), so that what was
// verified is what is reported, and an SBOM of megabytes is not read into a protobuf tree twice.
//
// Key files are decrypted here and not with cosign's LoadPrivateKey, which hides the key behind a signer
// that always adds randomness. The tests read our key files with cosign's code and cosign's with ours, and
// compare our referrers with those that cosign writes.
package cosign
