// Package imagetest helps to test what reads and writes images: a registry in the process, images with all that real ones
// carry, and the suite that each [image.Repository] must pass.
//
// # Guarantees
//
// No network but loopback, no files but the test's own. Images are the same bytes in each run.
//
// # Why this way
//
// go-containerregistry's registry keeps all blobs in one store, so nothing ever needs to be mounted or sent twice, and
// it never fails. [Registry] stands in front of it, gives each repository its own blobs, keeps a record of requests and
// lets a test answer in the registry's stead.
package imagetest
