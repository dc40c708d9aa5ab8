// Package tarfile gives random access to the regular files of a tar archive, and writes archives whose members' sizes
// show only when they are written.
//
// # Guarantees
//
// Opening reads headers and no content. Nothing is extracted; names are cleaned and only looked up. The number of
// members is bounded, links are followed only within the archive and only so often.
//
// # Why this way
//
// Archives of images hold gigabytes, and all that is wanted of them at first is two small files. archive/tar seeks over
// content where it can, so one pass over the headers costs next to nothing, and every later read is a section of the file.
package tarfile
