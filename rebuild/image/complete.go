package image

import (
	"context"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"golang.org/x/sync/errgroup"
)

// Complete makes sure that a registry holds every layer of an opened source: what it does not say that it has is
// [ErrNotFound]. Nothing is read, and layers that may not be distributed need not be there. What another transport holds
// was checked as it was written.
func (c *Client) Complete(ctx context.Context, src *Source) error {
	if src.Ref.Transport != Registry {
		return nil
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(c.opts.Jobs)
	asked := make(map[v1.Hash]bool)
	for _, pi := range src.Images {
		blobs, err := pushable(pi.Image)
		if err != nil {
			return c.sourceError(ctx, src.Ref, err)
		}
		for _, blob := range blobs {
			digest, err := blob.Digest()
			if err != nil {
				return c.sourceError(ctx, src.Ref, err)
			}
			if !asked[digest] {
				asked[digest] = true
				g.Go(func() error { return c.holds(gctx, src.Ref, digest, blob) })
			}
		}
	}
	return g.Wait()
}

// holds asks for one blob, past what this client believes to be there.
func (c *Client) holds(ctx context.Context, ref Ref, digest v1.Hash, blob v1.Layer) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	there, err := partial.Exists(blob)
	if err != nil {
		return c.sourceError(ctx, ref, err)
	}
	if !there {
		return &Error{
			Kind: ErrNotFound, Ref: ref.String(), What: "the manifest names " + digest.String() + ", which is not there",
			Hint: "the registry has lost it or never had it; delete the manifest there and push it again",
		}
	}
	return nil
}
