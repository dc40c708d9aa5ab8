package image

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// hasBlob tells whether a blob is there and right, and what it must be.
func (r *layoutRepository) hasBlob(ctx context.Context, blob v1.Layer) (bool, v1.Descriptor, error) {
	desc, err := describe(blob)
	if err != nil {
		return false, desc, fmt.Errorf("writing to %s: %w", r, err)
	}
	there, err := r.isSound(ctx, desc)
	return there, desc, err
}

// isSound tells whether a blob is a file of the layout itself with the content that it must have. A file is read once,
// and again only if it is another one or was written to since. Whatever is wrong with it, it will be replaced.
func (r *layoutRepository) isSound(ctx context.Context, desc v1.Descriptor) (bool, error) {
	path := r.dir.path(blobFile(desc.Digest))
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() != desc.Size {
		return false, nil
	}
	r.mu.Lock()
	before := r.sound[desc.Digest]
	r.mu.Unlock()
	if before != nil && os.SameFile(before, info) && before.ModTime().Equal(info.ModTime()) {
		return true, nil
	}
	release, err := r.c.slot(ctx)
	if err != nil {
		return false, err
	}
	defer release()
	if err := r.readBlob(ctx, path, info, desc); err != nil {
		return false, ctx.Err()
	}
	r.know(desc.Digest, info)
	return true, nil
}

// readBlob reads a blob to its end, where it is checked.
func (r *layoutRepository) readBlob(ctx context.Context, path string, info fs.FileInfo, desc v1.Descriptor) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	if opened, err := f.Stat(); err != nil || !os.SameFile(opened, info) {
		_ = f.Close()
		return cmp.Or(err, fs.ErrNotExist) // another file took its place meanwhile
	}
	rc, err := newVerifier(f, r.String(), desc.Digest, desc.Size)
	if err != nil {
		return err
	}
	defer rc.Close()
	_, err = io.Copy(io.Discard, &stoppable{Reader: rc, stop: ctx.Err})
	return err
}

// know remembers a blob whose content was checked.
func (r *layoutRepository) know(digest v1.Hash, info fs.FileInfo) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sound[digest] = info
}
