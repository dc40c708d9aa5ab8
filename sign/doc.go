// Package sign holds what nanopatch's signatures and attestations are made and verified with: the statements in sign/attest,
// the signatures in sign/cosign. It has no code of its own; this is the page about whom they protect against.
//
// # Threats
//
// Who can do what, and which check of `nanopatch verify` stops it. The forgeries are entries of the table in
// cmd/nanopatch/tamper_test.go, each of which is refused with exit code 4 by the check that it names.
//
//   - The registry, or whoever may push to it, changes content: a layer, config or manifest is not what its digest says
//     (check "content"; forgery "a byte of a layer"), or the tag names another manifest (check "signed"; forgery "the tag names
//     an older image").
//   - It takes attestations away or leaves only some: an SBOM by the right signer is no signature (checks "signed", "attested";
//     forgeries "stripped referrers", "no signature but an SBOM", "provenance stripped" with the policy's require). The same
//     with the lists of the classic format (test TestClassicTampered); what two signers write there at a time is not lost
//     (test TestClassicLostUpdate).
//   - It mixes and matches: a signature or attestation of another image is moved over (check "subject"; forgeries "SBOM of
//     another image", "diff of another pair", "index child swapped").
//   - It replays an old image that was signed once (check "age" with the policy's maxAge; forgery "an old signed image
//     replayed").
//   - The mirror, or a cache in between, serves another package file: it does not have the digest of the signed index while
//     rebuilding, nor that of the lockfile later (check "files"; forgery "signed provenance with another's package file"). An
//     archive, or whoever attaches package files to the image, is believed as little (tests TestSnapshotArchive,
//     TestPackagesBeside).
//   - A repository key is stolen: its holder signs an index of packages of their own. Signatures on the image cannot tell. The
//     provenance records each index with its digest and signing key, so that afterwards every image made from it can be found.
//   - The CI runner, or whoever holds the signing key, lies: about the content (checks "sbom", "diff", "vex"; forgery "signed SBOM
//     without a package"), about what it installed ("files"), about where the image comes from ("source", "layers", "lineage";
//     forgery "signed provenance that hides a rewritten layer"), about how it runs ("config"; forgery "signed image with another
//     entry point"). What remains is what the rebuild does not explain, such as a file that a package's script is said to
//     write (test TestWrittenFiles; check "reproduced", with --reproduce; forgery "signed image that no rebuild gives").
//   - The log of the keyless is forged, or a token is another job's (tests TestKeylessRefusals, TestKeylessJob).
//   - Somebody else signs: another key, another identity, or the same name by another issuer (check "signed"; tests
//     TestKeylessRefusals, TestIncompleteIdentity), or with a certificate that has ended (check "signature"; test
//     TestExpiredCertificate).
//   - A race for the tag: somebody pushes to the tag while it is being rebuilt. The tag does not move then (test
//     TestTagMovedMeanwhile).
//   - The source was replaced before the rebuild: --source-key, or --source-identity with --source-issuer, verify it first
//     (test TestScripts/proof).
//
// # What is not covered
//
// Nothing here says that a package is good, only that it is the distribution's. Who holds the signing key and a repository key
// together can make a false image that reproduces. With a key and no transparency log there is no proof of when something was
// signed: an image's own creation time then stands for it.
//
// # Admission controllers
//
// Sigstore's policy-controller takes the policies in sign/cosign/testdata/admission, which its own tester holds against what
// nanopatch signs (make admission). With a public key it reads the classic format only: sign with
// --signature-format=classic. Bundles it reads from keyless authorities whose signatureFormat is bundle. An authority that asks
// for attestations does not ask for a signature, and of several authorities one is enough: so a signature and attestations are
// two policies.
//
// Kyverno does not run in the tests. Its verifyImages rules of type Cosign read what `cosign verify` does in the classic
// format, with the key (and rekor.ignoreTlog, unless --tlog was given) or with subject and issuer; an attestations entry for
// each predicate type, such as https://slsa.dev/provenance/v1, reads the classic attestations. The stock cosign is led through
// all of that, in versions 2 and 3 (make interop).
package sign
