// Package signtest helps to test what signs and verifies images: keys, a repository in memory, an in-process
// registry and a Repository on it, a Sigstore instance that stock tools sign with, artifacts that no honest signer would make.
//
// # Guarantees
//
// Nothing leaves the process or the loopback interface, no file is read, and keys and images are the same in
// every run, so that tests can pin digests.
//
// # Why this way
//
// Tests of the packages that use sign/cosign need a Repository, and package rebuild/image, which has the
// real ones, must not be imported by anything under sign. The registry Repository here is the plain
// go-containerregistry one: interoperability with the stock tools is then not owed to code of ours that
// happens to sit on both ends.
//
// The Sigstore instance answers over HTTP, and not as fakes behind interfaces of sigstore-go, so that the clients in use are
// the real ones and the stock tools can be led to it.
package signtest
