// Package apk reads the repositories of apk, the package manager of Alpine and Wolfi.
//
// [Sources] finds an image's repositories, [Open] fetches and verifies their indexes, and the [Archive] that comes out of it
// says what they offer. [Archive.Resolve] then makes an ordinary artifact, one with a SHA-256, of what an index says of a
// package.
//
// # Guarantees
//
//   - An Archive holds nothing that is not covered by the RSA signature of a trusted key: those in the image's etc/apk/keys, or
//     the ones given. There is no switch to leave a signature unchecked.
//   - A resolved artifact is the file that the signed index means. The index has its size and the SHA-1 of its control member, the
//     control member the SHA-256 of the data member: all three are checked before the digest of the whole is believed.
//   - Repositories and packages in the format of apk-tools 3 (ADB) are refused by name, never misread.
//   - A repository of a tag ("@edge https://…") only offers packages that etc/apk/world asks for by that tag; versions that the
//     world does not admit are offered with a negative priority, so that they show as pinned.
//
// # Why this way
//
// The index is the signed file itself and changes under its URL, so it is asked for each time, by a conditional request. It is
// read straight through: entries of packages that are not installed are skipped line by line, which takes less than it would to
// keep a parsed copy.
//
// SHA-1 is what apk has. An attacker who can make two control members of one SHA-1 must have had one of them signed into an
// index by the distribution: the same position from which any package could be published. Everything behind the control member is
// bound by SHA-256, and lockfiles and plans record the SHA-256 of the whole.
package apk
