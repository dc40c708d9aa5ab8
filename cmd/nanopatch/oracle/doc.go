// Package oracle holds nanopatch against the distribution's own package manager: images of many kinds are rebuilt by
// nanopatch and upgraded by `apt-get upgrade` in a chroot, and the two trees are compared path by path.
//
// It holds tests only, under the build tag e2e. `make e2e` runs a few of the images, `make oracle` all of them;
//
//	go test -tags e2e -v ./cmd/nanopatch/oracle -run TestOracle -images bookworm-web,noble-postgres
//
// runs those that it names. It takes root (chroots and mounts of their own name spaces), mmdebstrap, umoci and a mirror.
//
// # What is compared
//
// Both sides start from the same image, flattened by umoci, and upgrade the same packages: what nanopatch holds is put
// on hold for apt too. Of every path: type, mode, owner, size, SHA-256, link target, extended attributes and the
// other names of its inode; of what an updated package ships, the modification time too. Beyond that, bytecode must
// agree with its source, and dpkg and apt must find the result as sound as apt's own.
//
// What may differ stands in allowed.go, with a reason each. That list is short on purpose: a new entry is a claim that
// no user can be hurt by the difference.
//
// # Adding an image
//
// Add a recipe to images.go: a release, the packages of its lowest layer, and for each further layer packages and a
// shell script that runs in it. Each package comes in the oldest version that any pocket of the release still serves,
// so there is much to update. If the recipe is quick and shows something that no other does, mark it brief: then
// `make e2e` runs it too.
//
// # Why this way
//
// Images are built and flattened by mmdebstrap, apt and umoci, so that nothing written here decides what a layer holds.
// They and the package files are kept below $XDG_CACHE_HOME/nanopatch-fixtures/oracle, by a digest of the recipe and
// of the versions that it would be built from: a rerun builds nothing until the mirror moves. What a run compares is
// computed anew each time.
package oracle
