// Package attest builds and reads in-toto statements about container images.
//
// A statement binds a predicate (an SBOM, a diff, where the image came from) to the digest of an image. This
// package knows the bytes of a statement and nothing of signatures, registries or clocks; package
// sign/cosign signs and verifies what it makes.
//
// # Guarantees
//
// Encoding is deterministic: equal statements have equal bytes, and the numbers of a predicate keep the
// digits they were written with. Parsing reads hostile input: its size and the number of its subjects are
// bounded, and a document with two values for one key is refused, because two readers could disagree on
// which of them was signed.
//
// # Why this way
//
// The statement is our own small struct and not the protobuf message of in-toto/attestation. That one's JSON
// form holds random white space by design, turns every number of a predicate into a float64, and reads a
// predicate of some megabytes into a tree that nobody looks at. The tests hold every statement we make
// against that library's own validators.
//
// Formats: in-toto statement v1 (https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md),
// SLSA provenance v1 (https://slsa.dev/spec/v1.0/provenance).
package attest
