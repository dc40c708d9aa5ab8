// Package sbom holds the few words that the packages below it share: what a package of an image is, which layer
// it lives in, and which image a document is about.
//
// [github.com/nanopatch/nanopatch/sbom/generate] makes and reads documents, [github.com/nanopatch/nanopatch/sbom/diff]
// compares two of them and holds the difference against a plan, [github.com/nanopatch/nanopatch/sbom/report] shows both
// to people.
//
// # Why this way
//
// Only generate knows syft, which takes minutes to compile and has its own idea of a package with some forty kinds of
// metadata. A comparison needs five strings of that. With the five strings here, diff and report build and test
// without syft, and a caller that has package lists from elsewhere can use them too.
package sbom
