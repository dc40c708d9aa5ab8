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
	// Same are the files that equal the package file's. Kept are those that an administrator changed and the update left
	// alone, Absent those that somebody removed from the image, Taken those that another package has taken over.
	// Written are the paths of those that the packages' scripts wrote anew, as the lock says.
	Same, Kept, Absent, Taken int
	Written                   []string
}

// CheckFiles holds the files of a rebuilt image against the package files that its lock names. Each update is judged in the
// layers up to its home: what layers above do to its files is their authors' business. The package files come from the
// client, checked against their digests.
//
// It returns ErrFiles for a file with other content, naming it, and for a database that lists another version. A file that a
// script wrote anew has the content that the lock gives for it; that a script does write that, only the rebuild itself shows.
func CheckFiles(ctx context.Context, tree *rootfs.Stack, lock *plan.PlatformLock, opts Options) (CheckedFiles, error) {
	c := newFilesCheck(tree, lock.KeptFiles)
	var err error
	if opts.Client, err = ImageClient(tree, opts.Client); err != nil {
		return c.out, err
	}
	for _, u := range lock.Updates {
		if err := c.open(ctx, u, &opts); err != nil {
			return c.out, err
		}
	}
	for _, u := range c.updates {
		differing, err := c.check(u)
		if err != nil {
			return c.out, err
		}
		for _, f := range differing {
			if f.SHA256 == "" || !slices.Contains(lock.WrittenFiles, f) {
				return c.out, fmt.Errorf("%w: layer %d: %s is not what %s %s ships (%s)", ErrFiles, u.Layer, f.Path, u.Key(), u.To, u.Artifact.URL)
			}
			c.out.Written = append(c.out.Written, f.Path)
		}
	}
	return c.out, nil
}

// ImageClient is a client that has the image's own logins for its repositories besides its own.
func ImageClient(tree *rootfs.Stack, client *pkgrepo.Client) (*pkgrepo.Client, error) {
	for _, b := range backends() {
		var err error
		if client, err = b.client(tree.Top(), client); err != nil {
			return nil, err
		}
	}
	return client, nil
}

type filesCheck struct {
	tree    *rootfs.Stack
	updates []*checkedUpdate
	// ships are the contents that any update has for a path: packages take files over from each other.
	ships map[string]map[[sha256.Size]byte]bool
	// kept are the paths whose changes the updates left alone.
	kept map[string]bool
	// homes are the databases of the layers that updates are at home in, by ecosystem and layer.
	homes map[home]ecosystem.Database
	out   CheckedFiles
}

// home is a layer as an ecosystem sees it.
type home struct {
	kind  string
	layer int
}

func newFilesCheck(tree *rootfs.Stack, kept []plan.KeptFile) *filesCheck {
	c := &filesCheck{
		tree: tree, ships: make(map[string]map[[sha256.Size]byte]bool), kept: make(map[string]bool),
		homes: make(map[home]ecosystem.Database),
	}
	for _, k := range kept {
		c.kept[k.Path] = true
	}
	return c
}

// checkedUpdate is one update with its package file.
type checkedUpdate struct {
	plan.Update
	eco     ecosystem.Ecosystem
	view    *rootfs.View
	shipped []ecosystem.Shipped
}

// open reads an update's package file.
func (c *filesCheck) open(ctx context.Context, u plan.Update, opts *Options) error {
	b, known := backendOf(u.Type)
	if !known || u.Layer < 0 || u.Layer >= c.tree.Len() {
		return fmt.Errorf("%w: %s: no package of type %q in layer %d", ErrFiles, u.Key(), u.Type, u.Layer)
	}
	artifact, err := ArtifactOf(u)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFiles, err)
	}
	files, err := opts.Client.Fetch(ctx, []pkgrepo.Artifact{artifact}, 1)
	if err != nil {
		return err
	}
	payload, err := b.ecosystem.Unpack(ctx, files[0], opts.Store)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrFiles, u.Key(), err)
	}
	if p := payload.Package(); p.Name != u.Name || p.Version != u.To || p.Arch != u.NewArch() && p.Arch != "noarch" {
		return fmt.Errorf("%w: %s is the package file of %s %s, not of %s %s", ErrFiles, u.Artifact.URL, p.Key, p.Version, u.Key(), u.To)
	}
	return c.add(u, b.ecosystem, payload)
}

// add takes an update whose package file is read.
func (c *filesCheck) add(u plan.Update, eco ecosystem.Ecosystem, payload ecosystem.Payload) error {
	out := &checkedUpdate{Update: u, eco: eco, view: c.tree.View(u.Layer + 1)}
	var err error
	if out.shipped, err = eco.Shipped(out.view, payload); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrFiles, u.Key(), err)
	}
	for _, f := range out.shipped {
		if c.ships[f.Path] == nil {
			c.ships[f.Path] = make(map[[sha256.Size]byte]bool)
		}
		c.ships[f.Path][f.SHA256] = true
	}
	c.updates = append(c.updates, out)
	return nil
}

// check judges one update. What it returns are the paths that neither the package nor anybody else accounts for, without a
// digest where there is no file.
func (c *filesCheck) check(u *checkedUpdate) ([]plan.WrittenFile, error) {
	at := home{u.Type, u.Layer}
	db := c.homes[at]
	if db == nil {
		var err error
		if db, err = u.eco.Open(u.view); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrFiles, u.Key(), err)
		}
		c.homes[at] = db
	}
	want := ecosystem.Key{Name: u.Name, Arch: u.NewArch()}
	if !slices.ContainsFunc(db.Packages(), func(p ecosystem.Package) bool { return p.Key == want && p.Version == u.To }) {
		return nil, fmt.Errorf("%w: the database in layer %d does not list %s %s", ErrFiles, u.Layer, want, u.To)
	}
	var taken map[string]bool
	var differing []plan.WrittenFile
	for _, f := range u.shipped {
		n, ok := u.view.Lookup(f.Path)
		if !ok {
			c.out.Absent++
			continue
		}
		inode := n.Inode()
		switch {
		case inode != nil && (inode.SHA256 == f.SHA256 || c.ships[f.Path][inode.SHA256]):
			c.out.Same++
			continue
		case f.Configuration || c.kept[f.Path]:
			c.out.Kept++
			continue
		case taken == nil:
			taken = others(db, u.view, want)
		}
		if taken[f.Path] {
			c.out.Taken++
			continue
		}
		w := plan.WrittenFile{Path: f.Path, Package: want.String()}
		if inode != nil && inode.IsRegular() {
			w.SHA256 = hex.EncodeToString(inode.SHA256[:])
		}
		differing = append(differing, w)
	}
	return differing, nil
}

// others are the paths that a database gives to other packages.
func others(db ecosystem.Database, view *rootfs.View, than ecosystem.Key) map[string]bool {
	paths := make(map[string]bool)
	for _, p := range db.Packages() {
		if p.Key == than {
			continue
		}
		for _, file := range db.Files(p.Key) {
			if at, err := view.ResolveDir(file); err == nil {
				paths[at] = true
			}
		}
	}
	return paths
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
