// Package pkgrepotest is the conformance suite of repository formats: what pkgrepo promises of every one of them. A format is done
// when [Run] passes for it, and when its own tests have shown that it picks from real repositories what the real client picks.
//
// # Adding a format
//
// In its tests make a repository in a directory, with a key of the test's own, that offers two versions of a package; and give Run a
// function that opens it.
//
// # Why this way
//
// Nearly everything that can go wrong with a repository is a changed byte in a file. So the suite changes them, file by file, and
// asks for the one error that promises that nothing of it was believed.
package pkgrepotest
