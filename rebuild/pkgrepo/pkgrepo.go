package pkgrepo

import (
	"crypto/sha256"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
)

// Candidate is a version of a package that a repository offers.
type Candidate struct {
	ecosystem.Package
	Artifact Artifact
	// Origin is the repository it comes from, the same pointer for all candidates of one index.
	Origin *Origin
	// Priority is the pin priority: 500 by default, 100 for NotAutomatic with ButAutomaticUpgrades (backports), 1 for
	// NotAutomatic, anything where a preference says so; negative means never.
	Priority int
	// Phase is the percentage of machines that should get the update by now (Ubuntu's phased updates); 100 where
	// nothing is said.
	Phase int
}

// Artifact is a package file, as a verified index describes it.
type Artifact struct {
	// URL is where the file is: http, https or file.
	URL    string
	Size   int64
	SHA256 [sha256.Size]byte
}

// Origin describes one repository index. All of it comes out of signed data, but for URI.
type Origin struct {
	// URI is the repository's base as configured: "http://deb.debian.org/debian".
	URI string
	// Label, Name, Suite, Codename and Version are the Release file's fields (Name is its "Origin").
	Label, Name, Suite, Codename, Version string
	// Component is "main", …; empty in a flat repository.
	Component string
	// Date is when the index was made.
	Date time.Time
	// ValidUntil is when the index stops to count; zero for never.
	ValidUntil time.Time
	// Digest is the SHA-256 of the signed file (InRelease, APKINDEX.tar.gz).
	Digest [sha256.Size]byte
	// Signer is the fingerprint of the key that signed it, hexadecimal.
	Signer string
	// Security says that the repository is the distribution's own security pocket.
	Security bool
	// Frozen says that the repository is a pocket of a frozen release of the image's own distribution: its updates
	// are fixes by the release's policy.
	Frozen bool
}
