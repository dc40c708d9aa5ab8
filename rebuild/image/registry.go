package image

import (
	"context"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// openRegistry fetches the one manifest that a reference names.
func (c *Client) openRegistry(ctx context.Context, ref Ref) (opened, error) {
	repo, err := c.repositoryName(ref)
	if err != nil {
		return opened{}, err
	}
	var named name.Reference = repo.Tag(ref.Tag)
	if ref.ByDigest() {
		named = repo.Digest(ref.Digest.String())
	}
	desc, err := c.puller.Get(ctx, named)
	if err != nil {
		return opened{}, c.sourceError(ctx, ref, err)
	}
	// Some registries serve manifests as text/plain; what follows goes by the descriptor.
	if desc.MediaType, err = mediaTypeOf(ref.String(), desc.Manifest, desc.MediaType); err != nil {
		return opened{}, err
	}
	out := opened{desc: v1.Descriptor{MediaType: desc.MediaType, Size: desc.Size, Digest: desc.Digest}}
	if desc.MediaType.IsIndex() {
		out.index, err = desc.ImageIndex()
	} else {
		out.image, err = desc.Image()
	}
	if err != nil {
		return opened{}, c.sourceError(ctx, ref, err)
	}
	return out, nil
}

// sourceError gives an error from below a source its kind.
func (c *Client) sourceError(ctx context.Context, ref Ref, err error) error {
	if ref.Transport != Registry {
		return err
	}
	host := ref.Repository
	if repo, nameErr := c.repositoryName(ref); nameErr == nil {
		host = repo.RegistryStr()
	}
	return registryError(ctx, ref.String(), host, err)
}

// blobError is sourceError for a blob. go-containerregistry checks length and digest of what it reads and has no
// exported type for what it finds, but with network, answers and cancelling told apart nothing else is left.
func (c *Client) blobError(ctx context.Context, ref Ref, digest v1.Hash, err error) error {
	if ctx.Err() == nil && isContent(err) {
		return &Error{
			Kind: ErrVerification, Ref: ref.String(), What: fmt.Sprintf("blob %s is not what it should be: %v", digest, err),
			Hint: "it was damaged or exchanged; push the image again", Cause: err,
		}
	}
	return c.sourceError(ctx, ref, err)
}
