// Package sbomoracle holds nanopatch's SBOMs against those of the stock syft command on real images: the same packages,
// package URLs, licenses and evidence, and how long either takes.
//
// `make sbom-oracle` builds the command, at the version of the library in go.mod, and runs the tests. They assemble six
// images out of real packages (Debian's archive, npm, Go modules, and Alpine's release where ../shared/data has it).
//
// # Why this way
//
// A hermetic test in sbom/generate holds the catalogers against the library's own image source. That it is the
// library and not the command, and that the fixtures are small, are the two things it cannot prove: hence this one,
// apart, since the command takes minutes to compile.
package sbomoracle
