// Package render shows plans, results and explanations to people: as tables on a terminal, as markdown in a pull
// request, as an HTML page; and held security updates to code scanning, as SARIF. The JSON forms are the documents themselves.
//
// # Guarantees
//
// Every update, hold and unmanaged package of the document is shown, with its reason; only markdown is cut, where GitHub
// would not take it, and says so.
// Text that comes out of an image is cut to one line and freed of control characters before it reaches a terminal.
//
// # Why this way
//
// One list of sections is built from a document and written by one writer for tables and one for markdown, so that the
// two never say different things.
package render
