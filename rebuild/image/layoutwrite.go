package image

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/renameio/v2"
	"golang.org/x/sync/errgroup"
)

// layoutRepository writes an OCI image layout.
type layoutRepository struct {
	c      *Client
	dir    dirFiles
	layout layout

	mu sync.Mutex
	// sound are the blobs whose content was found right, as they were then; indexes are those written with all they hold.
	sound   map[v1.Hash]fs.FileInfo
	indexes map[v1.Hash]bool
}

func newLayoutRepository(c *Client, dir string) *layoutRepository {
	return &layoutRepository{
		c: c, dir: dirFiles(dir), layout: directory(dir), sound: make(map[v1.Hash]fs.FileInfo), indexes: make(map[v1.Hash]bool),
	}
}

const (
	layoutFile = `{"imageLayoutVersion":"1.0.0"}`
	emptyIndex = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`
)

func (r *layoutRepository) String() string { return r.layout.String() }

func (r *layoutRepository) Push(ctx context.Context, img v1.Image) (v1.Descriptor, error) {
	m, err := manifestOf(img)
	if err != nil {
		return v1.Descriptor{}, fmt.Errorf("reading the image to write to %s: %w", r, err)
	}
	if err := r.prepare(ctx); err != nil {
		return v1.Descriptor{}, err
	}
	blobs, err := blobsOf(img)
	if err != nil {
		return v1.Descriptor{}, fmt.Errorf("reading the image to write to %s: %w", r, err)
	}
	g, gctx := errgroup.WithContext(ctx)
	for _, blob := range blobs {
		g.Go(func() error { return r.writeBlob(gctx, blob) })
	}
	if err := g.Wait(); err != nil {
		return v1.Descriptor{}, err
	}
	return m.desc, r.writeManifest(ctx, m)
}

func (r *layoutRepository) PushIndex(ctx context.Context, idx v1.ImageIndex) (v1.Descriptor, error) {
	m, err := manifestOf(idx)
	if err != nil {
		return v1.Descriptor{}, fmt.Errorf("reading the index to write to %s: %w", r, err)
	}
	if err := r.prepare(ctx); err != nil {
		return v1.Descriptor{}, err
	}
	if err := pushChildren(ctx, r, idx, r.complete); err != nil {
		return v1.Descriptor{}, err
	}
	if err := r.writeManifest(ctx, m); err != nil {
		return v1.Descriptor{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.indexes[m.desc.Digest] = true
	return m.desc, nil
}

// complete tells whether an image of an index is in the layout with all its blobs, or an index within it was written in
// this run.
func (r *layoutRepository) complete(ctx context.Context, child v1.Descriptor) (bool, error) {
	r.mu.Lock()
	written := r.indexes[child.Digest]
	r.mu.Unlock()
	if written {
		return true, nil
	}
	found, err := r.layout.openDigest(child.Digest)
	if err != nil || found.image == nil {
		// Whatever is wrong with it, or in it, it will be written.
		return false, nil //nolint:nilerr // as said
	}
	blobs, err := blobsOf(found.image)
	if err != nil {
		return false, err
	}
	raw, err := found.image.RawManifest()
	if err != nil {
		return false, err
	}
	for _, blob := range append(blobs, static.NewLayer(raw, found.desc.MediaType)) {
		if there, _, err := r.hasBlob(ctx, blob); !there || err != nil {
			return false, err
		}
	}
	return true, nil
}

// prepare makes the directory a layout, if it is empty or not there. One that holds something else is left alone.
func (r *layoutRepository) prepare(ctx context.Context) error {
	if err := os.MkdirAll(string(r.dir), 0o755); err != nil {
		return r.layout.fileError(err)
	}
	return r.locked(ctx, func() error {
		marker, index := r.dir.path(markerFile), r.dir.path(indexFile)
		raw, err := r.layout.readFile(markerFile, maxManifest)
		switch {
		case err == nil:
			err = checkLayoutFile(r.String(), raw)
		case errors.Is(err, fs.ErrNotExist):
			err = r.mark(marker)
		}
		if err != nil {
			return err
		}
		if _, err := os.Lstat(index); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return r.replaceFile(index, []byte(emptyIndex))
	})
}

// mark makes an empty directory a layout.
func (r *layoutRepository) mark(marker string) error {
	entries, err := os.ReadDir(string(r.dir))
	if err != nil {
		return err
	}
	// A run that was killed right here leaves a file that would have become oci-layout.
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return strings.HasPrefix(e.Name(), "."+markerFile) })
	if len(entries) > 0 {
		return usageError(r.String(), "the directory holds something that is no OCI image layout", "name an empty or new directory")
	}
	return r.replaceFile(marker, []byte(layoutFile))
}

func checkLayoutFile(where string, raw []byte) error {
	var marker struct {
		Version string `json:"imageLayoutVersion"`
	}
	if err := json.Unmarshal(raw, &marker); err != nil {
		return &Error{Kind: ErrInvalid, Ref: where, What: "oci-layout cannot be read: " + err.Error(), Cause: err}
	}
	if marker.Version != "1.0.0" {
		return &Error{Kind: ErrUnsupported, Ref: where, What: fmt.Sprintf("image layout version %q", marker.Version)}
	}
	return nil
}

// lockPoll is how often a lock is asked for that another process holds for a moment.
const lockPoll = 20 * time.Millisecond

// locked runs f while no other process runs one on the same layout. The lock is on the directory itself: it needs no
// file that would be left behind, and it stays the same file while everything in it is replaced by renaming.
func (r *layoutRepository) locked(ctx context.Context, f func() error) error {
	lock := flock.New(string(r.dir), flock.SetFlag(os.O_RDONLY))
	if _, err := lock.TryLockContext(ctx, lockPoll); err != nil {
		return fmt.Errorf("locking %s: %w", r, err)
	}
	err := f()
	if unlockErr := lock.Unlock(); err == nil {
		err = unlockErr
	}
	if err != nil {
		return r.layout.fileError(err)
	}
	return nil
}

// writeBlob copies a blob, unless it is there. It has its name only when it is whole and right.
func (r *layoutRepository) writeBlob(ctx context.Context, blob v1.Layer) error {
	there, desc, err := r.hasBlob(ctx, blob)
	if there || err != nil {
		return err
	}
	release, err := r.c.slot(ctx)
	if err != nil {
		return err
	}
	defer release()
	path := r.dir.path(blobFile(desc.Digest))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return r.layout.fileError(err)
	}
	at := r.String() + "@" + desc.Digest.String()
	err = r.c.try(ctx, "writing "+at, func(ctx context.Context) error {
		rc, err := markSource(blob).Compressed()
		if err != nil {
			return err
		}
		if rc, err = newVerifier(rc, at, desc.Digest, desc.Size); err != nil {
			return err
		}
		defer rc.Close()
		return r.copyFile(ctx, path, rc)
	})
	if info, statErr := os.Lstat(path); err == nil && statErr == nil {
		r.know(desc.Digest, info)
	}
	return registryError(ctx, at, "", err)
}

// copyFile writes a file under another name in the same file system and renames it when it is on disk. The other name is
// in the layout's root, where no tool takes it for a blob.
func (r *layoutRepository) copyFile(ctx context.Context, path string, from io.Reader) error {
	f, err := renameio.NewPendingFile(path, renameio.WithTempDir(string(r.dir)), renameio.WithPermissions(0o644))
	if err != nil {
		return err
	}
	// After the file has its name, this does nothing.
	defer func() { _ = f.Cleanup() }()
	if _, err := io.Copy(f, &stoppable{Reader: from, stop: ctx.Err}); err != nil {
		return err
	}
	return f.CloseAtomicallyReplace()
}

// stoppable ends a copy from and to disk when nobody waits for it any more.
type stoppable struct {
	io.Reader
	stop func() error
}

func (s *stoppable) Read(p []byte) (int, error) {
	if err := s.stop(); err != nil {
		return 0, err
	}
	return s.Reader.Read(p)
}

func (r *layoutRepository) replaceFile(path string, content []byte) error {
	return renameio.WriteFile(path, content, 0o644, renameio.WithTempDir(string(r.dir)))
}

func (r *layoutRepository) writeManifest(ctx context.Context, m manifest) error {
	return r.writeBlob(ctx, static.NewLayer(m.raw, m.desc.MediaType))
}

func (r *layoutRepository) Tag(ctx context.Context, digest v1.Hash, tags ...string) error {
	entry, err := r.layout.entry(digest)
	if err != nil {
		return err
	}
	for _, tag := range tags {
		if !layoutTag.MatchString(tag) {
			return usageError(r.String(), fmt.Sprintf("%q is not a tag", tag), "")
		}
		entry.Annotations = map[string]string{refName: tag}
		err := r.editIndex(ctx, func(raw []byte, entries []v1.Descriptor) ([]byte, error) {
			return tagEntry(raw, entries, entry, tag)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// editIndex changes index.json in one step that other processes see whole or not at all.
func (r *layoutRepository) editIndex(ctx context.Context, f func(raw []byte, entries []v1.Descriptor) ([]byte, error)) error {
	return r.locked(ctx, func() error {
		raw, err := r.layout.readIndex()
		if err != nil {
			return err
		}
		edited, err := editedIndex(r.String(), raw, f)
		if err != nil || bytes.Equal(raw, edited) {
			return err
		}
		return r.replaceFile(r.dir.path(indexFile), edited)
	})
}

func (r *layoutRepository) Attach(ctx context.Context, subject v1.Descriptor, artifact v1.Image) error {
	artifact, err := withSubject(artifact, subject)
	if err != nil {
		return err
	}
	desc, err := r.Push(ctx, artifact)
	if err != nil {
		return err
	}
	if desc, err = referrerEntry(desc, artifact); err != nil {
		return err
	}
	return r.editIndex(ctx, func(raw []byte, entries []v1.Descriptor) ([]byte, error) {
		return addEntry(raw, entries, desc)
	})
}

func (r *layoutRepository) Referrers(ctx context.Context, subject v1.Hash) ([]v1.Image, error) {
	return r.layout.referrers(ctx, subject)
}
