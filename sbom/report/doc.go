// Package report shows package lists and their differences: as tables for a terminal, as markdown for pull requests and job
// summaries, and as JSON for programs.
//
// # Guarantees
//
// Output goes only to the writer that is given, and only the colour flag that is given decides about colour. Names and
// versions come out of images that nobody vouches for: no control character of theirs reaches a terminal, none of
// them is read as markdown or HTML, and none makes a line longer than a screen can hold. JSON has them as they are. The
// same input gives the same bytes.
//
// # Why this way
//
// Each format is a plain function over the data, without an interface between. How a page of HTML and markdown are laid out is
// package page's to know. What a diff's JSON looks like is said by its type in package diff; this package only writes it.
package report
