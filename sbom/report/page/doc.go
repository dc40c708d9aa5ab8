// Package page writes reports that people read outside a terminal: an HTML page of one file, and markdown for a pull request or a
// job summary.
//
// # Guarantees
//
// Every text of a [Page] or [Section] is taken for hostile: none is read as HTML, CSS or markdown, none has control characters or
// turns the direction of writing, none notifies somebody on GitHub, and none is longer than a reader can use. The HTML loads nothing
// and runs nothing: it has no script, no address that a browser would fetch, and a content security policy that says so. It is the
// same for the same page. Markdown is never longer than GitHub takes ([MarkdownLimit]), and says what it left out.
//
// # Why this way
//
// What a plan, a result and a diff have in common is not what they mean but how they are laid out. So this package knows a
// layout: facts, figures, alerts, layers as bars, tables; and who has a document fills it. The structure of the page, its colours
// and its accessibility are then in one place, and checked in one place.
package page
