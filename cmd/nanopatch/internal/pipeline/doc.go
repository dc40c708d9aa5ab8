// Package pipeline is nanopatch's main job, composed from rebuild, sbom and sign: one file for each stage.
//
// A [Session] holds what one run of the program shares: the registry client, the package client, the store of layers.
// Its stages follow each other as the data does:
//
//	open      references → images, one for each platform            open.go
//	plan      package databases, repositories, policy → plans       open.go
//	rewrite   plans → new layers → new images                       rebuild.go
//	sbom      old and new trees → documents                         documents.go
//	diff      documents → the difference, held against the plan     documents.go
//	push      content by digest, opened again                       publish.go
//	attach    SBOMs where other tools look for them                 attach.go
//	sign      signature and attestations                            claims.go, provenance.go, seal.go
//	verify    what was signed, read back                            seal.go
//	tag       last of all                                           publish.go
//
// # Guarantees
//
// A tag moves only after everything that belongs to the image was pushed, signed and read back. A failure or a signal
// before that leaves content without a name, which a registry cleans up, and no half-published image.
//
// # Why this way
//
// The three libraries never import each other, so that each is of use alone; here is the only place where their types
// meet. Stages report to a term.Progress and return values: nothing here prints.
package pipeline
