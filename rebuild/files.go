package rebuild

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// ErrFiles says that an image's files are not those of the packages that they are said to be from.
var ErrFiles = errors.New("files are not those of their packages")

// CheckedFiles counts what CheckFiles looked at.
type CheckedFiles struct {
	// Same are the files that equal the package file's; Configuration are changed files that the package manager keeps,
	// Absent those that somebody removed from the image.
	Same, Configuration, Absent int
}

// CheckFiles holds the files of a rebuilt image against the package files that its updates name. Each update is judged in
// the layers up to its home: what layers above do to its files is their authors' business. The package files come from the
// client, checked against their digests.
//
// It returns ErrFiles for a file with other content, naming it, and for a database that lists another version.
func CheckFiles(ctx context.Context, tree *rootfs.Stack, updates []plan.Update, choices plan.Choices, opts Options) (CheckedFiles, error) {
	c := filesCheck{tree: tree, opts: &opts, payloads: make([]ecosystem.Payload, len(updates)), keep: choices.OnModified == ecosystem.KeepModified}
	for i, u := range updates {
		at := slices.IndexFunc(backends(), func(b backend) bool { return b.ecosystem.Type() == u.Type })
		if at < 0 || u.Layer < 0 || u.Layer >= tree.Len() {
			return c.out, fmt.Errorf("%w: %s: no package of type %q in layer %d", ErrFiles, u.Key(), u.Type, u.Layer)
		}
		c.eco = backends()[at].ecosystem
		if err := c.fetch(ctx, i, u); err != nil {
			return c.out, err
		}
	}
	for i, u := range updates {
		if err := c.check(i, updates, u); err != nil {
			return c.out, err
		}
	}
	return c.out, nil
}

type filesCheck struct {
	tree     *rootfs.Stack
	opts     *Options
	eco      ecosystem.Ecosystem
	payloads []ecosystem.Payload
	keep     bool
	out      CheckedFiles
}

// fetch opens an update's package file.
func (c *filesCheck) fetch(ctx context.Context, i int, u plan.Update) error {
	artifact, err := ArtifactOf(u)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFiles, err)
	}
	files, err := c.opts.Client.Fetch(ctx, []pkgrepo.Artifact{artifact}, 1)
	if err != nil {
		return err
	}
	if c.payloads[i], err = c.eco.Unpack(ctx, files[0], c.opts.Store); err != nil {
		return err
	}
	if p := c.payloads[i].Package(); p.Name != u.Name || p.Version != u.To || p.Arch != u.NewArch() && p.Arch != "noarch" {
		return fmt.Errorf("%w: %s is the package file of %s %s, not of %s %s", ErrFiles, u.Artifact.URL, p.Key, p.Version, u.Key(), u.To)
	}
	return nil
}

// ArtifactOf is an update's package file. The error says that its digest is none.
func ArtifactOf(u plan.Update) (pkgrepo.Artifact, error) {
	a := pkgrepo.Artifact{URL: u.Artifact.URL, Size: u.Artifact.Size}
	digest, err := hex.DecodeString(u.Artifact.SHA256)
	if err != nil || len(digest) != sha256.Size {
		return a, fmt.Errorf("%s: %q is no SHA-256", u.Key(), u.Artifact.SHA256)
	}
	a.SHA256 = [sha256.Size]byte(digest)
	return a, nil
}

// check judges one update. A file may be that of another update in the same layer: packages take files over.
func (c *filesCheck) check(i int, updates []plan.Update, u plan.Update) error {
	view := c.tree.View(u.Layer + 1)
	db, err := c.eco.Open(view)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrFiles, u.Key(), err)
	}
	want := ecosystem.Key{Name: u.Name, Arch: u.NewArch()}
	if !slices.ContainsFunc(db.Packages(), func(p ecosystem.Package) bool { return p.Key == want && p.Version == u.To }) {
		return fmt.Errorf("%w: the database in layer %d does not list %s %s", ErrFiles, u.Layer, want, u.To)
	}
	shipped, err := c.eco.Shipped(view, c.payloads[i])
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrFiles, u.Key(), err)
	}
	for _, f := range shipped {
		n, ok := view.Lookup(f.Path)
		if !ok {
			c.out.Absent++
			continue
		}
		inode := n.Inode()
		switch {
		case inode != nil && inode.SHA256 == f.SHA256:
			c.out.Same++
		case f.Configuration || c.keep:
			c.out.Configuration++
		case inode != nil && c.others(i, updates, view, f.Path, inode.SHA256):
			c.out.Same++
		default:
			return fmt.Errorf("%w: layer %d: %s is not what %s %s ships (%s)", ErrFiles, u.Layer, f.Path, u.Key(), u.To, u.Artifact.URL)
		}
	}
	return nil
}

// others tells whether another update at home in the same layer or below ships such a file.
func (c *filesCheck) others(i int, updates []plan.Update, view *rootfs.View, path string, sum [sha256.Size]byte) bool {
	for j, u := range updates {
		if j == i || u.Layer > updates[i].Layer || u.Type != updates[i].Type {
			continue
		}
		shipped, err := c.eco.Shipped(view, c.payloads[j])
		if err == nil && slices.ContainsFunc(shipped, func(f ecosystem.Shipped) bool { return f.Path == path && f.SHA256 == sum }) {
			return true
		}
	}
	return false
}
