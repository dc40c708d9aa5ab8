package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/renameio/v2"

	"github.com/nanopatch/nanopatch/rebuild/image/internal/tarfile"
)

// archiveRepository is an archive, or a daemon's image. What is pushed is kept as it is, most of it unread, until a tag is
// moved; then the archive is written anew, whole, or the daemon given the image.
type archiveRepository struct {
	c   *Client
	ref Ref

	mu sync.Mutex
	// staged is nil until something is pushed.
	staged *stagedFiles
	// pushed are those images and indexes that wait for their tag.
	pushed map[v1.Hash]bool
}

func newArchiveRepository(c *Client, ref Ref) *archiveRepository {
	return &archiveRepository{c: c, ref: ref, pushed: make(map[v1.Hash]bool)}
}

func (r *archiveRepository) String() string { return r.ref.place() }

// content is what is there, with what is staged above it.
func (r *archiveRepository) content(ctx context.Context) (layout, error) {
	if r.staged != nil {
		return layout{place: r.String(), files: r.staged}, nil
	}
	return r.c.archived(ctx, r.ref)
}

func (r *archiveRepository) openDigest(ctx context.Context, ref Ref) (opened, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l, err := r.content(ctx)
	if err != nil {
		return opened{}, err
	}
	return l.openDigest(ref.Digest)
}

// stage takes over what the archive holds, for it will be written anew. The one image that has no tag makes way for what
// is pushed, unless that is attached to it.
func (r *archiveRepository) stage(ctx context.Context, attaching bool) error {
	if r.staged != nil {
		return nil
	}
	if r.ref.Transport == DockerDaemon {
		// It keeps the other images itself.
		r.staged = newStagedFiles([]byte(emptyIndex), nil)
		return nil
	}
	old, err := r.c.archived(ctx, r.ref)
	if errors.Is(err, ErrNotFound) && !attaching {
		r.staged = newStagedFiles([]byte(emptyIndex), nil)
		return nil
	}
	if err != nil {
		return err
	}
	index, err := old.readIndex()
	if err != nil {
		return err
	}
	if !attaching {
		if index, err = editedIndex(r.String(), index, old.dropNameless); err != nil {
			return err
		}
	}
	r.staged = newStagedFiles(index, old.files)
	return nil
}

// dropNameless removes the images without a tag from an index.json, and leaves what refers to others.
func (l layout) dropNameless(raw []byte, entries []v1.Descriptor) ([]byte, error) {
	edit := newEdit(raw)
	for i := len(entries) - 1; i >= 0; i-- {
		image, err := l.isImage(entries[i])
		if err != nil {
			return nil, err
		}
		if image && entries[i].Annotations[refName] == "" {
			edit.remove("manifests", i)
		}
	}
	return edit.doc, edit.err
}

func (r *archiveRepository) Push(ctx context.Context, img v1.Image) (v1.Descriptor, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.push(ctx, img, false)
}

func (r *archiveRepository) push(ctx context.Context, img v1.Image, attaching bool) (v1.Descriptor, error) {
	if err := r.stage(ctx, attaching); err != nil {
		return v1.Descriptor{}, err
	}
	m, err := manifestOf(img)
	if err != nil {
		return v1.Descriptor{}, fmt.Errorf("reading the image to write to %s: %w", r, err)
	}
	blobs, err := blobsOf(img)
	if err != nil {
		return v1.Descriptor{}, fmt.Errorf("reading the image to write to %s: %w", r, err)
	}
	for _, blob := range blobs {
		desc, err := describe(blob)
		if err != nil {
			return v1.Descriptor{}, fmt.Errorf("reading the image to write to %s: %w", r, err)
		}
		if r.staged.has(desc) {
			continue
		}
		r.staged.keep(desc.Digest, func() (io.ReadCloser, int64, error) {
			rc, err := markSource(blob).Compressed()
			return rc, desc.Size, err
		})
	}
	return m.desc, r.put(m)
}

func (r *archiveRepository) put(m manifest) error {
	_, err := r.staged.put(m.raw)
	r.pushed[m.desc.Digest] = true
	return err
}

func (r *archiveRepository) PushIndex(ctx context.Context, idx v1.ImageIndex) (v1.Descriptor, error) {
	if !r.ref.Transport.KeepsReferrers() {
		return v1.Descriptor{}, &Error{
			Kind: ErrUsage, Ref: r.String(), What: "holds single images, and this is an index of several",
			Hint: "name the source by the digest of one platform's image (SOURCE@sha256:…)",
		}
	}
	m, err := manifestOf(idx)
	if err != nil {
		return v1.Descriptor{}, fmt.Errorf("reading the index to write to %s: %w", r, err)
	}
	none := func(context.Context, v1.Descriptor) (bool, error) { return false, nil }
	if err := pushChildren(ctx, r, idx, none); err != nil {
		return v1.Descriptor{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.stage(ctx, false); err != nil { // an index may be empty
		return v1.Descriptor{}, err
	}
	return m.desc, r.put(m)
}

// Attach writes at once what refers to something that the archive holds already.
func (r *archiveRepository) Attach(ctx context.Context, subject v1.Descriptor, artifact v1.Image) error {
	if !r.ref.Transport.KeepsReferrers() {
		return &Error{
			Kind: ErrUnsupported, Ref: r.String(), What: "has no place for signatures and attestations",
			Hint: "write to a registry, oci: or oci-archive:, or sign nothing with --no-sign",
		}
	}
	artifact, err := withSubject(artifact, subject)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	waiting := r.pushed[subject.Digest]
	desc, err := r.push(ctx, artifact, !waiting)
	if err != nil {
		return err
	}
	if desc, err = referrerEntry(desc, artifact); err != nil {
		return err
	}
	if err := r.edit(func(raw []byte, entries []v1.Descriptor) ([]byte, error) { return addEntry(raw, entries, desc) }); err != nil || waiting {
		return err
	}
	return r.save(ctx)
}

func (r *archiveRepository) edit(f func(raw []byte, entries []v1.Descriptor) ([]byte, error)) error {
	edited, err := editedIndex(r.String(), r.staged.index, f)
	if err == nil {
		r.staged.replace(edited)
	}
	return err
}

func (r *archiveRepository) Referrers(ctx context.Context, subject v1.Hash) ([]v1.Image, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ref.Transport.KeepsReferrers() {
		return nil, nil
	}
	l, err := r.content(ctx)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return l.referrers(ctx, subject)
}

func (r *archiveRepository) Tag(ctx context.Context, digest v1.Hash, tags ...string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.stage(ctx, !r.pushed[digest]); err != nil {
		return err
	}
	entry, err := layout{place: r.String(), files: r.staged}.entry(digest)
	if err != nil {
		return err
	}
	for _, tag := range tags {
		if err := r.name(entry, tag); err != nil {
			return err
		}
	}
	return r.save(ctx)
}

// name lets a tag name an image. The tag of an archive of docker's may be empty, a daemon's goes with the name.
func (r *archiveRepository) name(entry v1.Descriptor, tag string) error {
	tagOf := layoutTagOf
	switch r.ref.Transport {
	case DockerArchive:
		tagOf = dockerTagOf
	case DockerDaemon:
		tag, tagOf = r.ref.Repository+":"+tag, dockerTagOf
	}
	if tag == "" && r.ref.Transport == DockerArchive {
		return r.edit(func(raw []byte, entries []v1.Descriptor) ([]byte, error) { return addEntry(raw, entries, entry) })
	}
	tag, err := tagOf(tag)
	if err != nil {
		return usageError(r.String(), err.Error(), "")
	}
	entry.Annotations = map[string]string{refName: tag}
	return r.edit(func(raw []byte, entries []v1.Descriptor) ([]byte, error) { return tagEntry(raw, entries, entry, tag) })
}

// save writes the archive. It has its name only when it is whole and was read back.
func (r *archiveRepository) save(ctx context.Context) error {
	if r.ref.Transport == DockerDaemon {
		return r.load(ctx)
	}
	f, err := renameio.NewPendingFile(r.ref.Repository, renameio.WithPermissions(0o644), renameio.WithExistingPermissions())
	if err != nil {
		return archiveError(r.ref, err)
	}
	defer func() { _ = f.Cleanup() }() // nothing, after the file has its name
	if err := r.write(ctx, f.File); err != nil {
		return archiveError(r.ref, registryError(ctx, r.String(), "", err))
	}
	if err := r.readBack(f.Name()); err != nil {
		return archiveError(r.ref, err)
	}
	if err := f.CloseAtomicallyReplace(); err != nil {
		return archiveError(r.ref, err)
	}
	return nil
}

func (r *archiveRepository) write(ctx context.Context, f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	w := tarfile.NewWriter(f)
	l := layout{place: r.String(), files: r.staged}
	var err error
	if r.ref.Transport == LayoutArchive {
		err = r.writeLayout(ctx, w, l)
	} else {
		err = r.writeDocker(ctx, w, l)
	}
	if err != nil {
		return err
	}
	return w.Close()
}

// writeLayout writes what can be reached from index.json. What refers to an image that is no longer there goes with it.
func (r *archiveRepository) writeLayout(ctx context.Context, w *tarfile.Writer, l layout) error {
	manifest, err := v1.ParseIndexManifest(bytes.NewReader(r.staged.index))
	if err != nil {
		return err
	}
	reach := reachable{layout: l, found: make(map[v1.Hash]v1.Descriptor)}
	for _, e := range manifest.Manifests {
		if ok, err := l.isImage(e); err != nil || !ok {
			if err != nil {
				return err
			}
			continue
		}
		if err := reach.add(e, 0); err != nil {
			return err
		}
	}
	if err := r.edit(reach.addReferrers); err != nil {
		return err
	}
	if err := w.Add(markerFile, bytes.NewReader([]byte(layoutFile))); err != nil {
		return err
	}
	if err := w.Add(indexFile, bytes.NewReader(r.staged.index)); err != nil {
		return err
	}
	for _, desc := range reach.sorted() {
		if err := r.writeBlob(ctx, w, desc); err != nil {
			return err
		}
	}
	return nil
}

// writeBlob copies a blob and checks it on the way.
func (r *archiveRepository) writeBlob(ctx context.Context, w *tarfile.Writer, desc v1.Descriptor) error {
	path := blobFile(desc.Digest)
	rc, _, err := r.staged.open(path)
	if errors.Is(err, fs.ErrNotExist) && distributable(desc.MediaType) != desc.MediaType {
		return nil
	}
	if err != nil {
		return err
	}
	if rc, err = newVerifier(rc, r.String(), desc.Digest, desc.Size); err != nil {
		return err
	}
	defer rc.Close()
	return w.Add(path, &stoppable{Reader: rc, stop: ctx.Err})
}

// reachable collects what an index.json leads to.
type reachable struct {
	layout layout
	found  map[v1.Hash]v1.Descriptor
}

func (r *reachable) add(desc v1.Descriptor, depth int) error {
	if _, ok := r.found[desc.Digest]; ok {
		return nil
	}
	if depth > maxNesting+1 || len(r.found) > maxIndexEntries*maxLayers {
		return invalidError(r.layout.String(), "the index is nested too deep or has too many entries")
	}
	raw, manifest, err := r.layout.readManifest(desc.Digest)
	if err != nil {
		return err
	}
	r.found[desc.Digest] = manifest
	if !manifest.MediaType.IsIndex() {
		img, err := v1.ParseManifest(bytes.NewReader(raw))
		if err != nil {
			return err
		}
		for _, blob := range append(img.Layers, img.Config) {
			r.found[blob.Digest] = blob
		}
		return nil
	}
	idx, err := v1.ParseIndexManifest(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	for _, child := range idx.Manifests {
		if err := r.add(child, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// addReferrers takes in what refers to something reachable, and drops from index.json what refers to nothing there.
func (r *reachable) addReferrers(raw []byte, entries []v1.Descriptor) ([]byte, error) {
	edit := newEdit(raw)
	for i := len(entries) - 1; i >= 0; i-- {
		if _, ok := r.found[entries[i].Digest]; ok {
			continue
		}
		content, desc, err := r.layout.readManifest(entries[i].Digest)
		if err != nil {
			return nil, err
		}
		if _, ok := r.found[subjectOf(content)]; !ok && !fallbackTag.MatchString(entries[i].Annotations[refName]) {
			edit.remove("manifests", i)
			continue
		}
		if err := r.add(desc, 0); err != nil {
			return nil, err
		}
	}
	return edit.doc, edit.err
}

func (r *reachable) sorted() []v1.Descriptor {
	var all []v1.Descriptor
	for digest, desc := range r.found {
		all = append(all, v1.Descriptor{MediaType: desc.MediaType, Size: desc.Size, Digest: digest})
	}
	sortByDigest(all)
	return slices.Clip(all)
}
