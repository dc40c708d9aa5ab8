// Package advisory tells which CVEs an update fixes, from what others have written down: the distribution's changelogs, its
// security database or tracker, OSV records, or the report of a scanner.
//
// [Find] asks every source about every update and returns a [Statement] for each that has something to say, with its name. A
// source is the changelog in the new version's own package file, which is always at hand for Debian's packages, or a [Document]
// that the caller names.
//
// # Guarantees
//
//   - Nothing is guessed. A CVE is listed if a source names it, by its whole identifier, for a version after the installed one
//     and not after the new one. Versions are ordered as the package manager does. A document about another distribution or
//     release says nothing.
//   - Known and nothing found differs from not known: a source that knows the package and names no CVE gives a statement
//     without CVEs; one that does not know it gives none. A changelog that was cut before the installed version is marked.
//   - The answer depends on the arguments alone. It is for people and for documents, and never decides what an update does.
//   - Everything read is bounded, and streamed: a tracker's dump of 80 MB costs no memory to speak of.
//
// # What a changelog means
//
// A changelog names a CVE where it fixes it, almost always; but also where it reverts a fix, or says that one came with an
// earlier version. Telling these apart would be reading prose, so it is not done: the statement is that the changelog names it.
//
// # Why this way
//
// Sources disagree, and which to believe is for the reader to say. So their statements stay apart, each under its name, and only
// their union is the list that a report shows.
package advisory
