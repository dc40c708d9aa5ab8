package rebuild

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/rebuild/policy"
)

// What goes wrong with one package must not stop the others: errors that belong to a package become its holds here.
// Under a lock they stay errors, for nothing that it names may be left out.

// unpackError is a verified package file that cannot be read.
type unpackError struct {
	url string
	err error
}

func (e *unpackError) Error() string { return e.url + ": " + e.err.Error() }
func (e *unpackError) Unwrap() error { return e.err }

// unusable makes a hold of a package file that is gone, or that is what its repository signed and still no readable
// package: no-artifact, both times. It is nil where the fault is not the file's.
func (l *loop) unusable(ctx context.Context, err error, u policy.Update) *ecosystem.HoldError {
	unreadable := new(unpackError)
	switch {
	case err == nil, l.job.opts.Lock != nil, ctx.Err() != nil:
		return nil //nolint:nilerr // it is no hold; the caller has the error
	case errors.Is(err, pkgrepo.ErrNotFound):
		return &ecosystem.HoldError{Package: u.From.Key, Reason: ecosystem.ReasonNoArtifact, Detail: err.Error()}
	case errors.As(err, &unreadable) && !ours(err):
		return &ecosystem.HoldError{
			Package: u.From.Key, Reason: ecosystem.ReasonNoArtifact, Detail: "the package file cannot be read: " + err.Error(),
		}
	}
	return nil
}

// ours tells whether an error comes from this machine's files: a full disk says nothing about a package.
func ours(err error) bool {
	var (
		path  *fs.PathError
		errno syscall.Errno
	)
	return errors.As(err, &path) || errors.As(err, &errno)
}

// uneditable makes a hold of a file that a layer holds in a form that no edit can replace (sparse, or hard linked across
// packages): modified-file, for no package manager made it so. It is nil where the file belongs to none of the updates,
// as the package database does not.
func (l *loop) uneditable(err error, updates []policy.Update) *ecosystem.HoldError {
	edit := new(layer.EditError)
	if l.job.opts.Lock != nil || !errors.As(err, &edit) {
		return nil
	}
	for _, u := range updates {
		if l.ships(u, edit.Path) {
			return &ecosystem.HoldError{
				Package: u.From.Key, Reason: ecosystem.ReasonModifiedFile,
				Detail: fmt.Sprintf("/%s cannot be replaced where it lies: %v", edit.Path, edit.Err),
			}
		}
	}
	return nil
}

// ships tells whether the old or the new version of a package has a file that lies at a path of the tree.
func (l *loop) ships(u policy.Update, path string) bool {
	files := l.database.Files(u.From.Key)
	for _, e := range l.payloads[u.To.Artifact].Files().Entries {
		files = append(files, e.Path)
	}
	return slices.ContainsFunc(files, func(p string) bool {
		if p == path {
			return true
		}
		at, err := l.job.Tree.Top().ResolveDir(p)
		return err == nil && at == path
	})
}
