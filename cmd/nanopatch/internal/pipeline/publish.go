package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/sign/cosign"
)

// ErrTagMoved says that somebody else moved the source's tag while it was being rebuilt.
var ErrTagMoved = errors.New("the tag was moved meanwhile")

// publication is everything that is to be written, and how it is signed.
type publication struct {
	// image or index is the thing itself.
	image v1.Image
	index v1.ImageIndex
	// source is what it was made from: a tag of its own may only move away from that.
	source *image.Source
	// signer is nil where nothing is signed.
	signer cosign.Signer
	format cosign.Format
	// claims are what is attested, by the digest of the image or index that it is about.
	claims map[v1.Hash]claims
	// artifacts make what is put beside an image; nil is nothing.
	artifacts func(ctx context.Context, image v1.Descriptor) ([]attachable, error)
}

// published is what became of a publication.
type published struct {
	digest     v1.Hash
	descriptor v1.Descriptor
	// signatures and attestations are those of all subjects at all destinations.
	signatures, attestations []Statement
	attached                 []Attachment
}

// publish writes to every destination by digest, signs, attests and reads back; when all of that has worked
// everywhere, it moves the tags.
func (s *Session) publish(ctx context.Context, destinations []image.Destination, p *publication) (*published, error) {
	out := &published{}
	for _, d := range destinations {
		repo, err := s.place(d.Ref)
		if err != nil {
			return nil, err
		}
		if err := s.publishTo(ctx, d.Ref, repo, p, out); err != nil {
			return nil, fmt.Errorf("%w; %s", err, tagged(nil))
		}
	}
	done := s.stage("tag")
	var moved []string
	for _, d := range destinations {
		for _, tag := range d.Tags {
			ref := d.Ref.WithTag(tag)
			if err := s.tag(ctx, ref, p.source, out.digest); err != nil {
				return nil, fmt.Errorf("%w; %s", err, tagged(moved))
			}
			moved = append(moved, ref.String())
		}
	}
	done(count(len(moved), "tag"))
	return out, nil
}

// tagged says how far the tags came.
func tagged(moved []string) string {
	if len(moved) == 0 {
		return "no tag was moved"
	}
	return "moved by then: " + strings.Join(moved, ", ")
}

func (s *Session) tag(ctx context.Context, ref image.Ref, source *image.Source, digest v1.Hash) error {
	repo, err := s.place(ref)
	if err != nil {
		return err
	}
	if err := s.unmoved(ctx, ref, source, digest); err != nil {
		return err
	}
	return repo.Tag(ctx, digest, ref.Tag)
}

// unmoved makes sure, where a tag is the source's own, that it still names what was rebuilt: another's push in the
// meantime must not be lost. No registry compares and sets in one step; this leaves a moment instead of the whole run.
func (s *Session) unmoved(ctx context.Context, ref image.Ref, source *image.Source, digest v1.Hash) error {
	if source.Ref.ByDigest() || source.Ref.WithTag(source.Ref.Tag).String() != ref.String() {
		return nil
	}
	now, err := s.images.Digest(ctx, ref)
	if err != nil {
		return err
	}
	if now != source.Descriptor.Digest && now != digest {
		return fmt.Errorf("%w: %s named %s and names %s now; rebuild it again", ErrTagMoved, ref, source.Descriptor.Digest, now)
	}
	return nil
}

func (s *Session) publishTo(ctx context.Context, ref image.Ref, repo *place, p *publication, out *published) error {
	done := s.stage("push")
	var descriptor v1.Descriptor
	var err error
	if p.index != nil {
		descriptor, err = repo.PushIndex(ctx, p.index)
	} else {
		descriptor, err = repo.Push(ctx, p.image)
	}
	if err != nil {
		return err
	}
	out.digest, out.descriptor = descriptor.Digest, descriptor
	subjects, err := s.written(ctx, ref.WithDigest(out.digest), p)
	if err != nil {
		return err
	}
	done(repo.String() + "@" + out.digest.String())
	if err := s.attach(ctx, repo, p, subjects, out); err != nil {
		return err
	}
	if p.signer == nil {
		return nil
	}
	if err := s.seal(ctx, repo, p, subjects, out); err != nil {
		return err
	}
	return s.readBack(ctx, repo, p, subjects)
}

// written opens what was pushed, as a stranger would, and lists what there is to sign: every image that a reader of it
// may run, whether this run made it or not, and the index over them.
func (s *Session) written(ctx context.Context, ref image.Ref, p *publication) ([]subject, error) {
	src, err := s.images.OpenWritten(ctx, ref)
	switch {
	case errors.Is(err, image.ErrNotFound), errors.Is(err, image.ErrInvalid):
		return nil, fmt.Errorf("%w: reading back what was written: %w", ErrNotVerified, err)
	case err != nil:
		return nil, fmt.Errorf("reading back what was written: %w", err)
	case src.Descriptor.Digest != ref.Digest:
		return nil, fmt.Errorf("%w: wrote %s, read %s", ErrNotVerified, ref.Digest, src.Descriptor.Digest)
	}
	switch err := s.images.Complete(ctx, src); {
	case errors.Is(err, image.ErrNotFound):
		return nil, fmt.Errorf("%w: reading back what was written: %w", ErrNotVerified, err)
	case err != nil:
		return nil, fmt.Errorf("reading back what was written: %w", err)
	}
	var subjects []subject
	seen := make(map[v1.Hash]bool)
	over := subject{descriptor: src.Descriptor, claims: p.claims[src.Descriptor.Digest]}
	for _, pi := range src.Images {
		config, err := pi.Image.ConfigFile()
		if err != nil {
			return nil, fmt.Errorf("reading back what was written: %w", err)
		}
		if config.Created.After(over.created) {
			over.created = config.Created.Time
		}
		if digest := pi.Descriptor.Digest; !seen[digest] {
			seen[digest] = true
			subjects = append(subjects, subject{
				platform: pi.Platform.String(), created: config.Created.Time, claims: p.claims[digest],
				descriptor: v1.Descriptor{MediaType: pi.Descriptor.MediaType, Digest: digest, Size: pi.Descriptor.Size},
			})
		}
	}
	if src.Index != nil {
		subjects = append(subjects, over)
	}
	return subjects, nil
}
