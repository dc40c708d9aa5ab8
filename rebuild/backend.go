package rebuild

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	apkdb "github.com/nanopatch/nanopatch/rebuild/ecosystem/apk"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem/dpkg"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo/apk"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo/apt"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
	"github.com/nanopatch/nanopatch/rebuild/version"
)

// errNotHere says that an image has no database of a backend's ecosystem.
var errNotHere = errors.New("ecosystem not in the image")

// backend is one ecosystem with the repositories that serve it. A new ecosystem is one more line in backends.
type backend struct {
	ecosystem ecosystem.Ecosystem
	scheme    version.Scheme
	// wants tells whether the repositories' configuration is read from a file of the image.
	wants func(path string) bool
	// distro reads the image's distribution and the day on which its support ended, nil while it has not.
	distro func(v fs.FS, now time.Time) (plan.Distro, *plan.Date, error)
	// logins reads the image's own logins for its repositories; nil where the package manager knows none.
	logins func(v fs.FS) (pkgrepo.Logins, error)
	// open reads and verifies the repositories for an image, as far as they concern its packages.
	open func(ctx context.Context, v *rootfs.View, db ecosystem.Database, opts *Options) (repositories, error)
}

// backends lists the ecosystems in the order in which they are looked for.
func backends() []backend {
	return []backend{
		{ecosystem: dpkg.Ecosystem{}, scheme: version.Deb, wants: apt.Wants, distro: distroAPT, logins: apt.Logins, open: openAPT},
		{ecosystem: apkdb.Ecosystem{}, scheme: version.Apk, wants: apk.Wants, distro: distroAPK, open: openAPK},
	}
}

// repositories is what a plan asks of an image's repositories.
type repositories interface {
	// Candidates lists every version that any repository offers for an installed package.
	Candidates(key ecosystem.Key) []pkgrepo.Candidate
	// Resolve gives a candidate's artifact its SHA-256, where the index does not state it. It returns others as they are.
	Resolve(ctx context.Context, a pkgrepo.Artifact) (pkgrepo.Artifact, error)
	// Origins lists the verified indexes.
	Origins() []*pkgrepo.Origin
}

// Wants tells whether any known ecosystem needs a regular file's content kept in the index of its layer.
func Wants(path string) bool {
	for _, b := range backends() {
		if b.ecosystem.Wants(path) || b.wants(path) {
			return true
		}
	}
	return false
}

// Keep tells whether the index of a layer is to keep a file's content, for the known ecosystems: it is a layer.Keep. Beside what
// Wants names these are small programs that are shell scripts themselves, which maintainer scripts may call.
func Keep(e *layer.Entry, head []byte) bool {
	const maxScript = 128 << 10
	return Wants(e.Path) || e.Size <= maxScript && shebang.Match(head)
}

var shebang = regexp.MustCompile(`^#! ?/(usr/)?bin/(env )?(ba|da)?sh\s`)

// client is a client that has the image's own logins for repositories besides its own.
func (b backend) client(v *rootfs.View, c *pkgrepo.Client) (*pkgrepo.Client, error) {
	if b.logins == nil {
		return c, nil
	}
	own, err := b.logins(v)
	if err != nil {
		return nil, fmt.Errorf("reading the image's logins for repositories: %w", err)
	}
	return c.WithLogins(own), nil
}

// backendOf finds what belongs to a package type.
func backendOf(kind string) (backend, bool) {
	for _, b := range backends() {
		if b.ecosystem.Type() == kind {
			return b, true
		}
	}
	return backend{}, false
}

// Scheme is the ordering of a package type's versions ("deb", "apk"), if a known ecosystem has it.
func Scheme(kind string) (version.Scheme, bool) {
	b, ok := backendOf(kind)
	return b.scheme, ok
}
