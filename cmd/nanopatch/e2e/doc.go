// Package e2e holds nanopatch's end-to-end tests: the program against components that nobody here wrote, on a real
// outdated Debian image and a distroless one. They build with the tag e2e, run on Debian as root, start what they need on loopback and stop
// it again.
package e2e
