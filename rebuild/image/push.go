package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"
)

// registryRepository is a repository of a registry.
type registryRepository struct {
	c     *Client
	repo  name.Repository
	place string

	// attaching makes updates of a list of referrers wait for each other: a registry without the referrers API keeps
	// the list in a tag, which is read, changed and written.
	attaching sync.Mutex

	mu sync.Mutex
	// manifests are those known to be there, for tagging.
	manifests map[v1.Hash]manifest
	// whole are the indexes that were pushed with all that is in them.
	whole map[v1.Hash]bool
}

// manifest is a manifest or index to put under its digest or a tag.
type manifest struct {
	raw  []byte
	desc v1.Descriptor
}

func (m manifest) RawManifest() ([]byte, error)        { return m.raw, nil }
func (m manifest) MediaType() (types.MediaType, error) { return m.desc.MediaType, nil }

func (r *registryRepository) String() string { return r.place }

// wrap gives an error its kind; at is what was written.
func (r *registryRepository) wrap(ctx context.Context, at string, err error) error {
	return registryError(ctx, at, r.repo.RegistryStr(), err)
}

func (r *registryRepository) Push(ctx context.Context, img v1.Image) (v1.Descriptor, error) {
	m, err := manifestOf(img)
	if err != nil {
		return v1.Descriptor{}, fmt.Errorf("reading the image to push to %s: %w", r.place, err)
	}
	there, err := r.has(ctx, m)
	if err != nil {
		return v1.Descriptor{}, err
	}
	// That the manifest is there does not say that all of it is: not every registry looks, and some lose blobs.
	blobs, err := pushable(img)
	if err != nil {
		return v1.Descriptor{}, fmt.Errorf("reading the image to push to %s: %w", r.place, err)
	}
	g, gctx := errgroup.WithContext(ctx)
	for _, blob := range blobs {
		g.Go(func() error { return r.upload(gctx, blob) })
	}
	if err := g.Wait(); err != nil || there {
		return m.desc, err
	}
	return m.desc, r.put(ctx, m)
}

func (r *registryRepository) PushIndex(ctx context.Context, idx v1.ImageIndex) (v1.Descriptor, error) {
	m, err := manifestOf(idx)
	if err != nil {
		return v1.Descriptor{}, fmt.Errorf("reading the index to push to %s: %w", r.place, err)
	}
	r.mu.Lock()
	whole := r.whole[m.desc.Digest]
	r.mu.Unlock()
	if whole {
		return m.desc, nil
	}
	old, err := r.has(ctx, m)
	if err != nil {
		return v1.Descriptor{}, err
	}
	there := func(ctx context.Context, child v1.Descriptor) (bool, error) {
		// What an earlier run pushed may have lost blobs since, as in Push. Next to what is new, the rest of an index stays
		// unread: it is what was in this repository before.
		if old && (child.MediaType.IsImage() || child.MediaType.IsIndex()) {
			return false, nil
		}
		_, there, err := r.head(ctx, r.repo.Digest(child.Digest.String()))
		return there, err
	}
	if err := pushChildren(ctx, r, idx, there); err != nil {
		return v1.Descriptor{}, err
	}
	if !old {
		if err := r.put(ctx, m); err != nil {
			return v1.Descriptor{}, err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.whole[m.desc.Digest] = true
	return m.desc, nil
}

// manifestOf is an image's manifest or an index.
func manifestOf(d interface {
	remote.Taggable
	partial.Describable
},
) (manifest, error) {
	desc, err := describe(d)
	if err != nil {
		return manifest{}, err
	}
	raw, err := d.RawManifest()
	return manifest{raw: raw, desc: desc}, err
}

// pushChildren pushes what an index holds. there says what need not even be fetched.
func pushChildren(
	ctx context.Context, to Repository, idx v1.ImageIndex, there func(context.Context, v1.Descriptor) (bool, error),
) error {
	children, err := idx.IndexManifest()
	if err != nil {
		return fmt.Errorf("reading the index to push to %s: %w", to, err)
	}
	g, gctx := errgroup.WithContext(ctx)
	// Blobs have their own limit; this one bounds how many manifests are held.
	g.SetLimit(defaultJobs)
	seen := make(map[v1.Hash]bool)
	for _, child := range children.Manifests {
		if seen[child.Digest] {
			continue
		}
		seen[child.Digest] = true
		g.Go(func() error {
			if ok, err := there(gctx, child); ok || err != nil {
				return err
			}
			return pushChild(gctx, to, idx, child)
		})
	}
	return g.Wait()
}

func pushChild(ctx context.Context, to Repository, idx v1.ImageIndex, child v1.Descriptor) error {
	switch {
	case child.MediaType.IsIndex():
		nested, err := idx.ImageIndex(child.Digest)
		if err != nil {
			return fmt.Errorf("reading index %s to push to %s: %w", child.Digest, to, err)
		}
		_, err = to.PushIndex(ctx, nested)
		return err
	case child.MediaType.IsImage():
		img, err := idx.Image(child.Digest)
		if err != nil {
			return fmt.Errorf("reading image %s to push to %s: %w", child.Digest, to, err)
		}
		_, err = to.Push(ctx, img)
		return err
	}
	return &Error{
		Kind: ErrUnsupported, Ref: to.String(), What: fmt.Sprintf("the index holds a %s, which cannot be copied", child.MediaType),
	}
}

// pushable lists an image's blobs without what must not be distributed: what a registry gets, and is to hold.
func pushable(img v1.Image) ([]v1.Layer, error) {
	blobs, err := blobsOf(img)
	if err != nil {
		return nil, err
	}
	out := blobs[:0:0]
	for _, l := range blobs {
		mediaType, err := l.MediaType()
		if err != nil {
			return nil, err
		}
		if distributable(mediaType) == mediaType {
			out = append(out, l)
		}
	}
	return out, nil
}

// blobsOf lists an image's layers, each digest once, and its config.
func blobsOf(img v1.Image) ([]v1.Layer, error) {
	layers, err := img.Layers()
	if err != nil {
		return nil, err
	}
	config, err := configLayer(img)
	if err != nil {
		return nil, err
	}
	var blobs []v1.Layer
	seen := make(map[v1.Hash]bool)
	for _, l := range append(layers[:len(layers):len(layers)], config) {
		digest, err := l.Digest()
		if err != nil {
			return nil, err
		}
		if !seen[digest] {
			seen[digest] = true
			blobs = append(blobs, l)
		}
	}
	return blobs, nil
}

// has tells whether the repository holds a manifest. A registry that refuses to say may still take it.
func (r *registryRepository) has(ctx context.Context, m manifest) (bool, error) {
	_, there, err := r.head(ctx, r.repo.Digest(m.desc.Digest.String()))
	if there {
		r.know(m)
	}
	return there, err
}

func (r *registryRepository) head(ctx context.Context, ref name.Reference) (v1.Hash, bool, error) {
	desc, err := r.c.puller.Head(ctx, ref)
	if err == nil {
		return desc.Digest, true, nil
	}
	err = r.wrap(ctx, ref.String(), err)
	if ctx.Err() != nil || errors.Is(err, ErrUnreachable) {
		return v1.Hash{}, false, err
	}
	return v1.Hash{}, false, nil
}

func (r *registryRepository) know(m manifest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.manifests[m.desc.Digest] = m
}

// upload writes one blob, unless it is there or can be mounted.
func (r *registryRepository) upload(ctx context.Context, blob v1.Layer) error {
	digest, err := blob.Digest()
	if err != nil {
		return fmt.Errorf("pushing to %s: %w", r.place, err)
	}
	release, err := r.c.slot(ctx)
	if err != nil {
		return err
	}
	defer release()
	at := r.place + "@" + digest.String()
	err = r.c.try(ctx, "pushing "+at, func(ctx context.Context) error {
		if err := r.c.pusher.Upload(ctx, r.repo, markSource(blob)); err != nil {
			return err
		}
		if attemptOf(ctx).mounted.Load() {
			size, err := blob.Size()
			if err != nil {
				return err
			}
			r.c.counts.mounted.Add(size)
		}
		return nil
	})
	return r.wrap(ctx, at, err)
}

// put writes a manifest under its digest; what it names is there.
func (r *registryRepository) put(ctx context.Context, m manifest) error {
	ref := r.repo.Digest(m.desc.Digest.String())
	err := r.c.try(ctx, "pushing "+ref.String(), func(ctx context.Context) error {
		return r.c.pusher.Put(ctx, ref, m)
	})
	if err != nil {
		return r.wrap(ctx, ref.String(), err)
	}
	r.know(m)
	return nil
}

func (r *registryRepository) Tag(ctx context.Context, digest v1.Hash, tags ...string) error {
	m, err := r.known(ctx, digest)
	if err != nil {
		return err
	}
	for _, tag := range tags {
		if err := r.tag(ctx, m, tag); err != nil {
			return err
		}
	}
	return nil
}

// known fetches a manifest that an earlier run pushed.
func (r *registryRepository) known(ctx context.Context, digest v1.Hash) (manifest, error) {
	r.mu.Lock()
	m, ok := r.manifests[digest]
	r.mu.Unlock()
	if ok {
		return m, nil
	}
	ref := r.repo.Digest(digest.String())
	desc, err := r.c.puller.Get(ctx, ref)
	if err != nil {
		return manifest{}, r.wrap(ctx, ref.String(), err)
	}
	return manifest{raw: desc.Manifest, desc: desc.Descriptor}, nil
}

func (r *registryRepository) tag(ctx context.Context, m manifest, tag string) error {
	if _, err := name.NewTag(r.place+":"+tag, name.StrictValidation); err != nil {
		return &Error{Kind: ErrUsage, Ref: r.place, What: fmt.Sprintf("%q is not a tag", tag), Cause: err}
	}
	ref := r.repo.Tag(tag)
	old, exists, err := r.head(ctx, ref)
	if err != nil || (exists && old == m.desc.Digest) {
		return err
	}
	err = r.c.try(ctx, "tagging "+ref.String(), func(ctx context.Context) error {
		return r.c.pusher.Put(ctx, ref, m)
	})
	var answer *transport.Error
	if exists && errors.As(err, &answer) && refusesTag(answer.StatusCode) {
		return &Error{
			Kind: ErrImmutableTag, Ref: ref.String(), Cause: err,
			What: fmt.Sprintf("the tag names %s and the registry does not let it move (%s)", old, answerText(answer)),
			Hint: "push to another tag, or lift the tag's protection",
		}
	}
	return r.wrap(ctx, ref.String(), err)
}

// refusesTag tells whether an answer to moving a tag means that it must not move. The repository has just taken the same
// manifest by digest, so it is neither malformed nor unwelcome. There is no standard answer: ECR says 400, GitLab 403,
// ACR 405 or 409, Harbor 412.
func refusesTag(code int) bool {
	switch code {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusConflict,
		http.StatusPreconditionFailed, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// markSource makes a layer whose content fails to be read say so, instead of looking like a failed upload. It stays
// mountable.
func markSource(l v1.Layer) v1.Layer {
	if m, ok := l.(*remote.MountableLayer); ok {
		return &remote.MountableLayer{Layer: &sourceLayer{Layer: m.Layer, from: m.Reference}, Reference: m.Reference}
	}
	return &sourceLayer{Layer: l}
}

type sourceLayer struct {
	v1.Layer
	// from is the image in a registry that the layer is read from; nil for others.
	from name.Reference
}

// sourceError is an error of the registry that a layer is read from, while it is written to another place.
type sourceError struct {
	ref, host string
	err       error
}

func (e *sourceError) Error() string { return e.ref + ": " + e.err.Error() }
func (e *sourceError) Unwrap() error { return e.err }

func (l *sourceLayer) Compressed() (io.ReadCloser, error) {
	rc, err := l.Layer.Compressed()
	if err != nil {
		return nil, l.mark(err)
	}
	return &sourceReader{ReadCloser: rc, layer: l}, nil
}

func (l *sourceLayer) mark(err error) error {
	var typed *Error
	var mirror *mirrorError
	switch {
	case errors.As(err, &typed), errors.Is(err, context.Canceled):
		return err
	case l.from == nil:
		return &permanentError{fmt.Errorf("reading a layer: %w", err)}
	case isContent(err) && !errors.As(err, &mirror):
		return &Error{
			Kind: ErrVerification, Ref: l.from.String(), What: "a layer is not what it should be: " + err.Error(), Cause: err,
			Hint: "it was damaged or exchanged; push the image again",
		}
	}
	return &sourceError{ref: l.from.String(), host: l.from.Context().RegistryStr(), err: err}
}

type sourceReader struct {
	io.ReadCloser
	layer *sourceLayer
}

func (r *sourceReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // io.Reader promises io.EOF itself
		err = r.layer.mark(err)
	}
	return n, err
}
