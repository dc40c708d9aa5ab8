package generate

import (
	"fmt"
	"strings"

	"github.com/anchore/syft/syft/artifact"
	"github.com/anchore/syft/syft/file"
	"github.com/anchore/syft/syft/source"
	"github.com/distribution/reference"
)

// imageSource is an image as the catalogers' driver sees it. It describes itself as an image, which selects the
// catalogers that the stock CLI runs on images.
type imageSource struct {
	description source.Description
	scope       source.Scope
	view        view
}

var _ source.Source = (*imageSource)(nil)

func newImageSource(img *Image, scope source.Scope, v view) *imageSource {
	return &imageSource{description: describeSource(img), scope: scope, view: v}
}

// ID is the manifest's digest, as in the stock source.
func (s *imageSource) ID() artifact.ID { return artifact.ID(s.description.ID) }

// Describe names the image.
func (s *imageSource) Describe() source.Description { return s.description }

// FileResolver gives the view of the scope that the source was made for.
func (s *imageSource) FileResolver(scope source.Scope) (file.Resolver, error) {
	if scope != s.scope {
		return nil, fmt.Errorf("scope %q of a view of scope %q", scope, s.scope)
	}
	return s.view, nil
}

// Close does nothing: the tree belongs to the caller.
func (s *imageSource) Close() error { return nil }

// describeSource fills what the stock image source would. Layers are named by diffID, for these are the file system ids
// of locations, and the encoders sort locations by the layers' order.
func describeSource(img *Image) source.Description {
	metadata := source.ImageMetadata{
		UserInput:      img.Ref,
		ID:             digest(img.ConfigDigest),
		ManifestDigest: digest(img.Digest),
		MediaType:      img.MediaType,
		Tags:           []string{},
		Size:           img.Size,
		Layers:         make([]source.LayerMetadata, len(img.Layers)),
		RawManifest:    img.Manifest,
		RawConfig:      img.Config,
		RepoDigests:    []string{},
		Architecture:   img.Platform.Architecture,
		Variant:        img.Platform.Variant,
		OS:             img.Platform.OS,
		Labels:         img.Labels,
	}
	for i := range img.Layers {
		l := &img.Layers[i]
		metadata.Layers[i] = source.LayerMetadata{MediaType: l.MediaType, Digest: l.DiffID, Size: l.Size}
	}
	repository, version := img.Ref, metadata.ManifestDigest
	if ref, err := reference.Parse(img.Ref); err == nil {
		if named, ok := ref.(reference.Named); ok {
			repository = named.Name()
		}
		if tagged, ok := ref.(reference.Tagged); ok {
			version = tagged.Tag()
		}
	}
	return source.Description{
		ID:       strings.TrimPrefix(metadata.ManifestDigest, "sha256:"),
		Name:     repository,
		Version:  version,
		Metadata: metadata,
	}
}
