// Package accounts reads an image's own lists of users and groups.
//
// Guarantees: of several lines for one name the first counts, as for the C library; nothing but names and numbers is
// kept.
//
// Why this way: unpacking gives files their owners by these names, and the proof that a maintainer script changes
// nothing compares owners with them. Both have to read the same.
package accounts
