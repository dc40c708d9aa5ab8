package pipeline

import (
	"context"
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/sign/cosign"
)

// place is a repository together with its tags, which cosign's classic signatures lie under.
type place struct {
	image.Repository

	images *image.Client
	ref    image.Ref
}

var (
	_ cosign.Repository = (*place)(nil)
	_ cosign.Tagger     = (*place)(nil)
)

// place is where a reference points, its tag and digest aside.
func (s *Session) place(ref image.Ref) (*place, error) {
	repo, err := s.images.Repository(ref)
	if err != nil {
		return nil, err
	}
	return &place{Repository: repo, images: s.images, ref: ref.WithTag("")}, nil
}

// name is the repository as signatures name it; empty outside registries: a directory's name is nobody else's business.
func (p *place) name() string {
	if p.ref.Transport != image.Registry {
		return ""
	}
	return p.ref.Repository
}

// Tagged implements cosign.Tagger. An index under such a tag is no list of signatures, so it is none.
func (p *place) Tagged(ctx context.Context, tag string) (v1.Image, error) {
	if !p.ref.Transport.KeepsReferrers() {
		return nil, nil //nolint:nilnil // as the interface says
	}
	img, err := p.images.Artifact(ctx, p.ref.WithTag(tag))
	if errors.Is(err, image.ErrNotFound) || errors.Is(err, image.ErrUnsupported) {
		return nil, nil //nolint:nilnil // as the interface says
	}
	if errors.Is(err, image.ErrInvalid) {
		return nil, fmt.Errorf("%w: %w", cosign.ErrMalformed, err)
	}
	return img, err
}

// PutTagged implements cosign.Tagger.
func (p *place) PutTagged(ctx context.Context, tag string, img v1.Image) error {
	desc, err := p.Push(ctx, img)
	if err != nil {
		return err
	}
	return p.Tag(ctx, desc.Digest, tag)
}
