package image

import (
	"context"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"
)

// Source is an opened image or index. Its layers are read while the context of [Client.Open] lives.
type Source struct {
	// Ref is what was opened.
	Ref Ref
	// Descriptor is media type, size and digest of what Ref names.
	Descriptor v1.Descriptor
	// Index is the index that Ref names, all of it whatever the platforms asked for; nil where Ref names an image.
	Index v1.ImageIndex
	// Images are the chosen platforms' images, in the index's order; at least one.
	Images []PlatformImage
}

// PlatformImage is the image of one platform.
type PlatformImage struct {
	// Platform comes from the index, or from the image's config where the index says nothing.
	Platform v1.Platform
	// Descriptor is the index's entry, or that of the image itself.
	Descriptor v1.Descriptor
	Image      v1.Image

	// index holds the image where Image is still nil: an index may hold many more than are asked for.
	index v1.ImageIndex
}

// opened is what either transport found under a reference: an image or an index.
type opened struct {
	desc  v1.Descriptor
	image v1.Image
	index v1.ImageIndex
}

// Open opens the image that ref names or, of an index, the images of the given platforms; without any, of all.
// Manifests and configs are fetched and checked, layers are not.
//
// Beside the transports' errors, a platform that the image is not for is [ErrUsage], contradictions are [ErrInvalid];
// schema 1, encrypted layers and what is not an image are [ErrUnsupported].
func (c *Client) Open(ctx context.Context, ref Ref, platforms ...v1.Platform) (*Source, error) {
	return c.open(ctx, ref, platforms, c.openMirrored)
}

// OpenWritten is Open for what was written a moment ago: no mirror is asked.
func (c *Client) OpenWritten(ctx context.Context, ref Ref) (*Source, error) {
	return c.open(ctx, ref, nil, c.openRegistry)
}

func (c *Client) open(
	ctx context.Context, ref Ref, platforms []v1.Platform, registry func(context.Context, Ref) (opened, error),
) (*Source, error) {
	root, err := c.openRoot(ctx, ref, registry)
	if err != nil {
		return nil, err
	}
	src := &Source{Ref: ref, Descriptor: root.desc}
	if root.image != nil {
		src.Images, err = c.single(ctx, ref, root, platforms)
	} else {
		src.Index = share(root.index)
		src.Images, err = c.several(ctx, ref, src.Index, platforms)
	}
	if err != nil {
		return nil, err
	}
	return src, nil
}

// Digest is what ref names at this moment, whatever its mirrors say. Nothing but its manifest or index is fetched.
func (c *Client) Digest(ctx context.Context, ref Ref) (v1.Hash, error) {
	root, err := c.openRoot(ctx, ref, c.openRegistry)
	return root.desc.Digest, err
}

// Artifact opens what is no image: the manifest under ref and the blobs that it names, whatever they are.
func (c *Client) Artifact(ctx context.Context, ref Ref) (v1.Image, error) {
	root, err := c.openRoot(ctx, ref, c.openRegistry)
	if err == nil && root.image == nil {
		err = &Error{Kind: ErrUnsupported, Ref: ref.String(), What: "this is an index, not an artifact"}
	}
	return root.image, err
}

// openRoot asks a registry in one of two ways: with its mirrors or without.
func (c *Client) openRoot(
	ctx context.Context, ref Ref, registry func(context.Context, Ref) (opened, error),
) (opened, error) {
	switch ref.Transport {
	case Registry:
		return registry(ctx, ref)
	case Layout:
		return directory(ref.Repository).open(ref)
	case LayoutArchive, DockerArchive, DockerDaemon:
		return c.openArchived(ctx, ref)
	default:
		return opened{}, usageError(ref.String(), fmt.Sprintf("unknown transport %q", ref.Transport), "")
	}
}

// single is the answer for a reference that names one image.
func (c *Client) single(ctx context.Context, ref Ref, root opened, platforms []v1.Platform) ([]PlatformImage, error) {
	config, err := c.load(ctx, ref, root.image, root.desc)
	if err != nil {
		return nil, err
	}
	found := []PlatformImage{{Platform: platformOf(config), Descriptor: root.desc, Image: root.image}}
	return choose(ref, found, platforms)
}

// several is the answer for a reference that names an index.
func (c *Client) several(ctx context.Context, ref Ref, idx v1.ImageIndex, platforms []v1.Platform) ([]PlatformImage, error) {
	list := listing{c: c, ref: ref, platforms: platforms, seen: make(map[v1.Hash]bool)}
	if err := list.add(ctx, idx, 0); err != nil {
		return nil, err
	}
	chosen, err := choose(ref, list.found, platforms)
	if err != nil {
		return nil, err
	}
	return chosen, c.loadAll(ctx, ref, chosen)
}

const (
	// maxNesting bounds indexes within indexes, maxIndexEntries what all of one tree hold, maxPlatforms the images opened
	// at once.
	maxNesting      = 4
	maxIndexEntries = 1000
	maxPlatforms    = 64
)

// listing collects the platform images of an index and of the indexes in it. An index may name another any number of
// times, and that one others: each is read once, and its images are listed where it comes first.
type listing struct {
	c         *Client
	ref       Ref
	platforms []v1.Platform
	seen      map[v1.Hash]bool
	// entries counts all that was listed, nameless the images opened for their platforms, chosen those asked for.
	entries, nameless, chosen int
	found                     []PlatformImage
}

// add lists an index. Entries that are no platform's image (attestations, artifacts) are passed over.
func (l *listing) add(ctx context.Context, idx v1.ImageIndex, depth int) error {
	manifest, err := idx.IndexManifest()
	if err != nil {
		return &Error{Kind: ErrInvalid, Ref: l.ref.String(), What: "the index cannot be read: " + err.Error(), Cause: err}
	}
	if l.entries += len(manifest.Manifests); depth > maxNesting || l.entries > maxIndexEntries {
		return invalidError(l.ref.String(), "the index is nested too deep or has too many entries")
	}
	for _, entry := range manifest.Manifests {
		switch {
		case entry.MediaType.IsIndex():
			if l.seen[entry.Digest] {
				continue
			}
			l.seen[entry.Digest] = true
			child, err := idx.ImageIndex(entry.Digest)
			if err != nil {
				return l.c.sourceError(ctx, l.ref, err)
			}
			if err := l.add(ctx, child, depth+1); err != nil {
				return err
			}
		case isPlatformEntry(entry):
			if err := l.addImage(ctx, PlatformImage{Descriptor: entry, index: idx}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *listing) addImage(ctx context.Context, p PlatformImage) error {
	if p.Descriptor.Platform == nil {
		if l.nameless++; l.nameless > maxPlatforms {
			return invalidError(l.ref.String(), "more than %d of the index's entries name no platform", maxPlatforms)
		}
	}
	ok, err := l.c.findPlatform(ctx, l.ref, &p)
	if err != nil || !ok {
		return err
	}
	l.found = append(l.found, p)
	if wanted(p, l.platforms) {
		if l.chosen++; l.chosen > maxPlatforms {
			return usageError(l.ref.String(), fmt.Sprintf("more than %d images at once are too many", maxPlatforms), "choose with --platform")
		}
	}
	return nil
}

// wanted tells whether an image is one of those asked for.
func wanted(p PlatformImage, platforms []v1.Platform) bool {
	return len(platforms) == 0 || slices.ContainsFunc(platforms, func(want v1.Platform) bool { return matches(want, p.Platform) })
}

// isPlatformEntry tells whether an index's entry may be a platform's image. BuildKit marks its attestations with an
// annotation and the platform unknown/unknown.
func isPlatformEntry(entry v1.Descriptor) bool {
	if !entry.MediaType.IsImage() || entry.Annotations[attestationType] != "" {
		return false
	}
	return entry.Platform == nil || entry.Platform.OS != "unknown"
}

// findPlatform fills in the platform; where the entry names none, from the image. It returns false for an artifact.
func (c *Client) findPlatform(ctx context.Context, ref Ref, p *PlatformImage) (bool, error) {
	if p.Descriptor.Platform != nil {
		p.Platform = *p.Descriptor.Platform
		return true, nil
	}
	img, err := p.index.Image(p.Descriptor.Digest)
	if err != nil {
		return false, c.sourceError(ctx, ref, err)
	}
	manifest, err := img.Manifest()
	if err != nil {
		return false, c.sourceError(ctx, ref, err)
	}
	if !manifest.Config.MediaType.IsConfig() {
		return false, nil
	}
	config, err := c.loadConfig(ctx, ref, img, manifest)
	if err != nil {
		return false, err
	}
	p.Platform = platformOf(config)
	return true, nil
}

// choose filters by the platforms asked for; each must be there.
func choose(ref Ref, found []PlatformImage, platforms []v1.Platform) ([]PlatformImage, error) {
	if len(found) == 0 {
		return nil, &Error{Kind: ErrUnsupported, Ref: ref.String(), What: "the index holds no image of a platform"}
	}
	var chosen []PlatformImage
	for _, p := range found {
		if wanted(p, platforms) {
			chosen = append(chosen, p)
		}
	}
	for _, want := range platforms {
		if !slices.ContainsFunc(chosen, func(p PlatformImage) bool { return matches(want, p.Platform) }) {
			var has []string
			for _, p := range found {
				has = append(has, p.Platform.String())
			}
			return nil, usageError(ref.String(), "no image for "+want.String(), "it has "+strings.Join(has, ", "))
		}
	}
	return chosen, nil
}

// loadAll fetches and checks the images of an index.
func (c *Client) loadAll(ctx context.Context, ref Ref, images []PlatformImage) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(c.opts.Jobs)
	for i := range images {
		g.Go(func() error {
			p := &images[i]
			var err error
			if p.Image, err = p.index.Image(p.Descriptor.Digest); err != nil {
				return c.sourceError(gctx, ref, err)
			}
			_, err = c.load(gctx, ref, p.Image, p.Descriptor)
			return err
		})
	}
	return g.Wait()
}
