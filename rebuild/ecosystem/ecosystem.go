package ecosystem

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// ErrNoDatabase says that a tree holds no database of the ecosystem that was asked.
var ErrNoDatabase = errors.New("no package database")

// Ecosystem reads and edits the package databases of one package manager.
// Implementations are stateless and safe for concurrent use.
type Ecosystem interface {
	// Name is the package manager's name: "dpkg", "apk".
	Name() string
	// Type is the purl type of its packages: "deb", "apk".
	Type() string
	// Wants tells whether the database needs the content of the regular file at a clean path; the index
	// of a layer keeps those.
	Wants(path string) bool
	// Open reads the database of a tree. It returns ErrNoDatabase where there is none, another error
	// where there is one that cannot be read.
	Open(v *rootfs.View) (Database, error)
	// Unpack reads one package file.
	Unpack(ctx context.Context, file string, files FileIndexer) (Payload, error)
	// Upgrade computes what the package manager would change in the tree v if it installed every step's
	// payload over its installed package, in one run. Either all steps pass, or the holds name those that
	// cannot be done and why; the caller drops these and asks again. The tree itself is not changed.
	Upgrade(ctx context.Context, v *rootfs.View, steps []Step, opts UpgradeOptions) (*Effect, []*HoldError, error)
	// UpgradeAbove computes what steps, made in layers below with the given changes, mean for the last layer of the tree v
	// beyond the copies it has of their files: files that some program derives from what changed, and that this layer
	// holds itself or only a package of this layer asks for. The holds name steps that would leave such a file out of date.
	UpgradeAbove(ctx context.Context, v *rootfs.View, steps []Step, changes []Change, opts UpgradeOptions) (*Effect, []*HoldError, error)
	// DatabasePaths lists the whole-file databases, of which any layer may carry a copy: "var/lib/dpkg/status".
	DatabasePaths() []string
	// EditDatabase returns a layer's own copy of a whole-file database with the steps' entries brought to
	// their new state. Entries of other packages stay byte for byte. v is the tree up to that layer.
	EditDatabase(path string, old []byte, v *rootfs.View, steps []Step) ([]byte, error)
	// Shipped tells where the tree v holds the regular files of a payload, and what they should be. It neither looks
	// whether they are there nor what they are.
	Shipped(v *rootfs.View, p Payload) ([]Shipped, error)
}

// Shipped is a regular file of a package.
type Shipped struct {
	// Path is where the tree holds it: links among its directories and the package manager's own renamings are followed.
	Path string
	// SHA256 is that of the content in the package.
	SHA256 [sha256.Size]byte
	// Configuration says that the package manager lets a file stay that an administrator changed.
	Configuration bool
}

// FileIndexer indexes a package's file archive, once per key (its SHA-256, hexadecimal), keeping all content.
// layer.Store is one.
type FileIndexer interface {
	IndexTar(ctx context.Context, key string, open layer.Opener) (*layer.Index, error)
}

// Database is what is installed in one tree.
type Database interface {
	// Packages lists the installed packages, in the database's order.
	Packages() []Package
	// Files lists the clean paths a package ships as its database has them (before symbolic links in
	// the tree are resolved), directories included.
	Files(key Key) []string
}

// Payload is one opened package file.
type Payload interface {
	// Package says what the package file itself claims to be.
	Package() Package
	// Date is when the package was built, from the package file: a .deb's ar member time, an .apk's builddate.
	Date() time.Time
	// Files is the archive of the package's files.
	Files() *layer.Index
}

// Step is one package to upgrade: the installed one and the payload that replaces it.
type Step struct {
	Installed Package
	Payload   Payload
}

// OnModified says what to do about a package file that someone changed.
type OnModified string

// The values of OnModified.
const (
	HoldModified      OnModified = "hold"
	OverwriteModified OnModified = "overwrite"
	KeepModified      OnModified = "keep"
)

// UpgradeOptions are the choices of the editing rules; the zero value is the default.
type UpgradeOptions struct {
	// OnModified is HoldModified where empty.
	OnModified OnModified
	// RestoreMissing brings back package paths that are absent from the tree.
	RestoreMissing bool
	// Time is the time of files that the package manager generates.
	Time time.Time
}

// Effect is what an upgrade changes in a tree.
type Effect struct {
	// Changes are sorted by path; a path appears once.
	Changes []Change
	// Kept lists changed configuration files that keep the administrator's content.
	Kept []KeptFile
}

// Change is the state of one path after an upgrade.
type Change struct {
	// Path is where the tree holds the file: parent directories that are symbolic links are resolved.
	Path string
	// Entry is the state after; nil says that the path is removed. A directory removed is listed after
	// none of its children is left. Its Path equals Path.
	Entry *layer.Entry
	// Package is the package because of which the path changes.
	Package Key
	// Database says that the path belongs to the package database, not to the package's files.
	Database bool
	// Script says that a maintainer script made it so.
	Script bool
}

// KeptFile is a configuration file that an update left alone because the administrator changed it.
type KeptFile struct {
	Path    string
	Package Key
}

// Reason is why a package is not updated. The values are part of the command-line contract.
type Reason string

// The reasons for which an update is held.
const (
	ReasonLevel            Reason = "level"
	ReasonRule             Reason = "rule"
	ReasonMinAge           Reason = "min-age"
	ReasonDependency       Reason = "dependency"
	ReasonModifiedFile     Reason = "modified-file"
	ReasonMaintainerScript Reason = "maintainer-script"
	ReasonNoArtifact       Reason = "no-artifact"
	ReasonDistroHold       Reason = "distro-hold"
	ReasonPin              Reason = "pin"
	ReasonTest             Reason = "test"
)

// HoldError says that one package's update cannot be applied as the package manager would.
type HoldError struct {
	Package Key
	Reason  Reason
	// Detail is one line for a person: the file, the script and line, the command.
	Detail string
}

func (e *HoldError) Error() string {
	return fmt.Sprintf("%s is held (%s): %s", e.Package, e.Reason, e.Detail)
}
