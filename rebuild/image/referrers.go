package image

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/sync/errgroup"
)

// maxReferrers bounds how many referrers of one digest are looked at.
const maxReferrers = 1000

func (r *registryRepository) Attach(ctx context.Context, subject v1.Descriptor, artifact v1.Image) error {
	artifact, err := withSubject(artifact, subject)
	if err != nil {
		return err
	}
	m, err := manifestOf(artifact)
	if err != nil {
		return fmt.Errorf("reading what to attach to %s: %w", r.place, err)
	}
	r.attaching.Lock()
	defer r.attaching.Unlock()
	if _, err := r.Push(ctx, artifact); err != nil {
		return err
	}
	// In a registry without the referrers API another process may have written the list at the same time, or an earlier
	// run may have been killed before it did: putting the manifest again brings the entry back.
	of := r.repo.Digest(subject.Digest.String())
	err = r.c.try(ctx, "attaching to "+of.String(), func(ctx context.Context) error {
		listed, err := r.list(ctx, of)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(listed, func(d v1.Descriptor) bool { return d.Digest == m.desc.Digest }) {
			return nil
		}
		if err := r.c.pusher.Put(ctx, r.repo.Digest(m.desc.Digest.String()), m); err != nil {
			return err
		}
		return errNotListed
	})
	if errors.Is(err, errNotListed) {
		return &Error{
			Kind: ErrUnreachable, Ref: of.String(), What: "the registry took what was attached but does not list it", Cause: err,
			Hint: "check that others do not write the same list of referrers all the time",
		}
	}
	return r.wrap(ctx, of.String(), err)
}

// errNotListed is reason to look again.
var errNotListed = &requestError{errors.New("not in the list of referrers")}

func (r *registryRepository) Referrers(ctx context.Context, subject v1.Hash) ([]v1.Image, error) {
	of := r.repo.Digest(subject.String())
	listed, err := r.list(ctx, of)
	if err != nil {
		return nil, r.wrap(ctx, of.String(), err)
	}
	if len(listed) > maxReferrers {
		return nil, invalidError(of.String(), "%d referrers are too many to look at", len(listed))
	}
	found := make([]v1.Image, len(listed))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(r.c.opts.Jobs)
	for i, desc := range listed {
		g.Go(func() (err error) {
			found[i], err = r.referrer(ctx, gctx, desc, subject)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(found, func(img v1.Image) bool { return img == nil }), nil
}

// list returns the descriptors of what refers to a digest, sorted by digest: registries have no order.
func (r *registryRepository) list(ctx context.Context, of name.Digest) ([]v1.Descriptor, error) {
	idx, err := remote.Referrers(of, remote.Reuse(r.c.puller), remote.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	manifest, err := idx.IndexManifest()
	if err != nil {
		return nil, &Error{Kind: ErrInvalid, Ref: of.String(), What: "the list of referrers cannot be read: " + err.Error(), Cause: err}
	}
	sortByDigest(manifest.Manifests)
	return slices.CompactFunc(manifest.Manifests, func(a, b v1.Descriptor) bool { return a.Digest == b.Digest }), nil
}

func sortByDigest(descs []v1.Descriptor) {
	slices.SortFunc(descs, func(a, b v1.Descriptor) int { return cmp.Compare(a.Digest.String(), b.Digest.String()) })
}

// referrer fetches one. What the list names but is gone, or refers to something else, is none: nil. The manifest is
// fetched under call; the image reads the rest under ctx.
func (r *registryRepository) referrer(ctx, call context.Context, desc v1.Descriptor, subject v1.Hash) (v1.Image, error) {
	if !desc.MediaType.IsImage() {
		return nil, nil //nolint:nilnil // the caller drops these
	}
	if err := call.Err(); err != nil {
		return nil, err
	}
	ref := r.repo.Digest(desc.Digest.String())
	got, err := r.c.puller.Get(ctx, ref)
	if err != nil {
		if err = r.wrap(ctx, ref.String(), err); errors.Is(err, ErrNotFound) {
			r.c.opts.Logger.DebugContext(ctx, "a listed referrer is gone", "ref", ref.String())
			return nil, nil //nolint:nilnil // the caller drops these
		}
		return nil, err
	}
	if got.MediaType, err = mediaTypeOf(ref.String(), got.Manifest, got.MediaType); err != nil {
		return nil, err
	}
	if !refersTo(got.Manifest, subject) {
		return nil, nil //nolint:nilnil // the caller drops these
	}
	img, err := got.Image()
	return img, r.wrap(ctx, ref.String(), err)
}

// refersTo tells whether an image manifest's subject is the digest.
func refersTo(raw []byte, subject v1.Hash) bool {
	return subjectOf(raw) == subject
}

// subjectOf is what a manifest refers to; zero is nothing.
func subjectOf(raw []byte) v1.Hash {
	manifest, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil || manifest.Subject == nil {
		return v1.Hash{}
	}
	return manifest.Subject.Digest
}

// withSubject lets an artifact refer to subject.
func withSubject(artifact v1.Image, subject v1.Descriptor) (v1.Image, error) {
	manifest, err := artifact.Manifest()
	if err != nil {
		return nil, fmt.Errorf("reading what to attach to %s: %w", subject.Digest, err)
	}
	if manifest.Subject != nil {
		if manifest.Subject.Digest != subject.Digest {
			return nil, invalidError(subject.Digest.String(), "what is to be attached refers to %s", manifest.Subject.Digest)
		}
		return artifact, nil
	}
	m, err := manifestOf(artifact)
	if err != nil {
		return nil, fmt.Errorf("reading what to attach to %s: %w", subject.Digest, err)
	}
	config, err := artifact.RawConfigFile()
	if err != nil {
		return nil, fmt.Errorf("reading what to attach to %s: %w", subject.Digest, err)
	}
	layers, err := artifact.Layers()
	if err != nil {
		return nil, fmt.Errorf("reading what to attach to %s: %w", subject.Digest, err)
	}
	edit := newEdit(m.raw)
	if edit.text("mediaType") == "" {
		// Optional in an image, but lists of referrers copy it.
		edit.set(m.desc.MediaType, "mediaType")
	}
	edit.set(v1.Descriptor{MediaType: subject.MediaType, Size: subject.Size, Digest: subject.Digest}, "subject")
	if edit.err != nil {
		return nil, edit.err
	}
	return newRawImage(m.desc.MediaType, edit.doc, config, layers)
}
