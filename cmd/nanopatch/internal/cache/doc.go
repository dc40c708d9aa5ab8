// Package cache keeps the program's cache directory below a size.
//
// The libraries each keep files in a directory of their own, that appear whole and can be made anew. A [Run] is told of each
// file before it is taken; [Clean] removes those that were taken longest ago.
//
// # Guarantees
//
//   - What a run has used, or made, stays until the run is over, whoever cleans meanwhile and in whichever process. So a
//     cache may stay above its limit while runs are on; the one that ends last brings it down.
//   - A run that is killed holds nothing up: its claim is a lock that ends with its process.
//   - Only regular files below the directories named are removed; no link is followed.
//
// # Why this way
//
// A file's modification time is when it was last used: every file system keeps it, and content has names that are digests, so
// nothing else wants it. Each run holds a lock on a file that it made when it began. Files that were last used before the
// oldest run that is still on are in nobody's use. One more lock, the gate, is held shared while a file is marked as used and
// exclusively while files are removed, so that no file is marked and removed at once.
package cache
