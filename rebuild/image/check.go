package image

import (
	"bytes"
	"context"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// load reads an image's manifest and config and refuses what nothing sensible can be done with.
func (c *Client) load(ctx context.Context, ref Ref, img v1.Image, desc v1.Descriptor) (*v1.ConfigFile, error) {
	where := ref.String()
	raw, err := img.RawManifest()
	if err != nil {
		return nil, c.sourceError(ctx, ref, err)
	}
	if _, err := mediaTypeOf(where, raw, desc.MediaType); err != nil {
		return nil, err
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, &Error{Kind: ErrInvalid, Ref: where, What: "the manifest cannot be read: " + err.Error(), Cause: err}
	}
	if err := checkManifest(where, manifest); err != nil {
		return nil, err
	}
	config, err := c.loadConfig(ctx, ref, img, manifest)
	if err != nil {
		return nil, err
	}
	return config, checkConfig(where, manifest, config)
}

func checkManifest(where string, manifest *v1.Manifest) error {
	if kind := manifest.Config.MediaType; !kind.IsConfig() {
		if manifest.ArtifactType != "" {
			return &Error{Kind: ErrUnsupported, Ref: where, What: "this is no image but an artifact, " + manifest.ArtifactType}
		}
		return &Error{Kind: ErrUnsupported, Ref: where, What: "this is no image: its config is " + string(kind)}
	}
	if size := manifest.Config.Size; size < 0 || size > maxConfig {
		return invalidError(where, "the config claims %d bytes", size)
	}
	if n := len(manifest.Layers); n > maxLayers {
		return invalidError(where, "%d layers are more than any runtime takes", n)
	}
	for i, l := range manifest.Layers {
		switch {
		case strings.HasSuffix(string(l.MediaType), "+encrypted"):
			return &Error{
				Kind: ErrUnsupported, Ref: where, What: "layer " + l.Digest.String() + " is encrypted",
				Hint: "decrypt the image first: skopeo copy --decryption-key",
			}
		case l.Size < 0:
			return invalidError(where, "layer %d claims %d bytes", i, l.Size)
		}
	}
	return nil
}

// loadConfig reads an image's config. Content that is not what the manifest names is ErrVerification.
func (c *Client) loadConfig(ctx context.Context, ref Ref, img v1.Image, manifest *v1.Manifest) (*v1.ConfigFile, error) {
	where := ref.String()
	if size := manifest.Config.Size; size < 0 || size > maxConfig {
		return nil, invalidError(where, "the config claims %d bytes", size)
	}
	raw, err := img.RawConfigFile()
	if err != nil {
		return nil, c.blobError(ctx, ref, manifest.Config.Digest, err)
	}
	config, err := v1.ParseConfigFile(bytes.NewReader(raw))
	if err != nil {
		return nil, &Error{Kind: ErrInvalid, Ref: where, What: "the config cannot be read: " + err.Error(), Cause: err}
	}
	return config, nil
}

// checkConfig compares what manifest and config say of the layers. Images without any history are in use; a history
// that has another count cannot be told apart by layer.
func checkConfig(where string, manifest *v1.Manifest, config *v1.ConfigFile) error {
	layers, diffIDs := len(manifest.Layers), len(config.RootFS.DiffIDs)
	if layers != diffIDs {
		return invalidError(where, "the manifest has %d layers, the config %d", layers, diffIDs)
	}
	filled := 0
	for _, h := range config.History {
		if !h.EmptyLayer {
			filled++
		}
	}
	if len(config.History) > 0 && filled != layers {
		return invalidError(where, "the image has %d layers, its history tells of %d", layers, filled)
	}
	return nil
}
