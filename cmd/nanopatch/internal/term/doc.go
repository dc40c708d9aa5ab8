// Package term is where nanopatch speaks to a person: what is happening, on standard error.
//
// # Guarantees
//
// On a terminal a stage shows a moving bar; elsewhere, in CI above all, it is one plain line when the stage is done.
// Results never pass through here: they go to standard output. NO_COLOR is honoured. What comes out of an image is shown
// as [Line] leaves it: one line, nothing that a terminal would obey.
//
// # Why this way
//
// The pipeline reports through [Progress], which knows stages and bytes and nothing of terminals, so that text, JSON
// and silence are three small printers of the same events.
package term
