// Package generate makes a software bill of materials of an image, and reads and writes the common formats of one. It is the
// only package that knows syft.
//
// A [Generator] runs syft's image catalogers over a [Tree]: an index of the image's layers that someone already
// has. Nothing is extracted to disk, no layer is read twice, and only the files that [Wants] names need to be at
// hand. The result is a [Document]: the packages, each with the layer that installed it, and everything else the catalogers
// know, for [Document.Encode] to write as SPDX 2.3, CycloneDX 1.6 or syft JSON. [Read] goes the other way, for any version of
// these that syft decodes.
//
// # Guarantees
//
// The packages, their package URLs, licenses, CPEs and evidence are those that the stock syft finds in the same
// image; tests hold one against the other. Documents are reproducible: the same image and time give the same bytes, on any
// number of processors, because everything that stock encoders take from clocks and random numbers is derived from
// the content. Neither the network nor the machine's own package caches are looked at.
//
// # Why this way
//
// Syft's own image source unpacks every layer into a temporary directory first, which costs seconds and as much disk as
// the image has; the layer index that a rebuild needs anyway knows all names, types and sizes, and holds the content
// of the files that matter. Symbolic links are followed by the very search that the stock source uses
// (stereoscope's file tree), so what a cataloger's pattern finds does not differ either.
//
// The layer of a package is not the layer of the database it was found in: a database that lists all packages
// is copied up by any later installation. dpkg writes two small files for each package when it unpacks it, and those
// carry the layer; packages of other package managers live where most of their files do.
//
// A document lists what a container of the image sees or, of a [LayeredTree], what any layer holds. The second is not the sum
// of the layers' own documents: a database in one layer speaks of files in another, and a link leads through layers
// above it. So it has the stock source's own trees, one for each layer and one for each squash.
//
// For the same reason a document is cached whole, by everything that it depends on, and not in parts by layer: parts
// would have to name all that a cataloger looked at outside its layer. What is kept by layer is what the catalogers read: the
// index, with the content of every file that [Wants] names. A document that does not read back the same in every format is not
// taken from the cache: the digests of its encodings are kept with it. To find that out when it is cached would cost a seventh of
// a first document. The encodings stay in memory with the document, for one of them is what most runs want next.
//
// What catalogers find is kept by what they looked at, whichever layers that was in: by verifying traces, as "Build Systems à la
// Carte" calls it. A cataloger can see an image only through its resolver, so the queries that it made and the answers to them
// determine what it found; where another image gives the same answers, it need not run. An answer is all that a cataloger could
// learn: paths in their order, and of each file its metadata and the digest of its content, which covers hard links to layers
// below. What has no such answer (a file whose content is not known, a path that the cataloger made up) is not remembered, nor is
// an error, nor what would not come back from a file as it was. In the squashed scope the names of layers are not part of an
// answer, since any rewrite of the layer with os-release would change it for nearly all catalogers; but what was found is only used
// where each file that it names is in the very layer. That catalogers use the name of a layer for nothing else is the one thing taken
// on trust, and random images are held against documents made without. Of all layers, where a path may be in several, the names are
// part of the answers.
//
// Traces pay where a cataloger reads much: classifiers look for patterns in all of a program. What they find is remembered for each
// file, so that a rewritten layer costs those of its own. Of the catalogers that look into every executable, each runs again when one
// changed. Those of package databases always run: an update is what they are there to see. So do those that unpack archives into
// temporary files: when the disk is full they leave out what they could not unpack and say nothing, which must not become what other
// images hold.
//
// Four more things make a first document dear in the stock program, and none has to be done. What recognizes license texts is built
// for every process, most of a second of one processor; sbom/licensetext finds the same without. That syft takes it from here is the
// one thing that its public interface does not offer; scanner.go links two of its functions by name. The way without would be to drive
// the catalogers here and to repeat what syft does with their results, several hundred lines that follow it with each release. And the
// pattern of an old version of node is tried at every NUL of a program, two seconds of one processor; sieve.go keeps from it the pieces
// of the file that can hold none. Of every program all symbols are decoded to find three of native images of Java, and all bytes compared
// to find the marker of a .NET bundle; programs.go, where there is a cache, shows these catalogers only the programs that have the symbols'
// names as text, or the marker, which it looks for by its rarest byte. With these the same catalogers find the same, as tests show that
// hold both against the stock ones.
//
// CycloneDX closes the list of SPDX license ids with each release of its schema; ids that are younger go by name.
//
// Documents leave out two things of the stock ones: the list of an image's files with their owners (some seven
// thousand relationships that repeat the package database) and, in SPDX, the files by which packages were found, which are
// named in each package's source information.
package generate
