// Package apt reads apt repositories: which ones an image uses, and what they offer, verified.
//
// Sources finds an image's repositories in its tree, in both of apt's formats, or takes its distribution's
// defaults (a distroless image has no configuration), or what the caller names instead. Open fetches and
// verifies them and returns an Archive, which knows the candidates of the installed packages: version,
// dependencies, pin priority, origin, and the artifact to download.
//
// # Guarantees
//
//   - An Archive holds nothing that a good signature does not cover. The signature is by a key that the image's
//     keyrings, narrowed by Signed-By, or the given keyring allow, and that is neither expired nor revoked now.
//     Where the image has no keyring for its distribution's archives, the distribution's keys are known here.
//     Of a clear-signed file, only what the signature covers is parsed. Then dates, suite, sizes and SHA-256
//     digests are checked. "trusted=yes" and its like are not honoured, SHA-1 is not accepted, and all of this
//     ends the run (pkgrepo.ErrVerification), never in a warning.
//   - The image cannot make the host's files be read: file: and copy: sources are left out, and every path in
//     its configuration is one of its own tree.
//   - Memory is bounded by the packages asked for, not by the indexes: these are read as streams.
//   - The same repositories give the same Archive, in the same order, whatever the cache holds.
//
// # Why this way
//
// Formats follow apt's own parsers (sources.list(5), apt_preferences(5), apt-pkg/policy.cc), leniency included
// where it does no harm: an image is configured for apt, and a different reading would update it to something
// else. Where apt only warns about something that hides updates (a suite that is not the one asked for, an
// unsigned repository), this package fails.
//
// What decides between versions is not here: an Archive lists, the policy chooses. Nor is the state of the
// machine: apt's own lists and its solver are not used, so that an image can be looked at from anywhere.
//
// An index is read by way of a table, its reduced copy in the cache (see pkgrepo.Client.Derived), which takes a
// tenth of the time of decoding the index again. Dependencies are taken apart by a parser of its own, for
// binary packages only: what is wanted is the shared form of rebuild/ecosystem, with dpkg's meaning of an
// absent architecture.
package apt
