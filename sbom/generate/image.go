package generate

import (
	"errors"
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/sbom"
)

// Image describes the image that a document is about. Describe fills it from a [v1.Image].
type Image struct {
	// Ref is the image as the user named it; its digest, not this, is what identifies it.
	Ref string
	// Digest is the manifest's digest, ConfigDigest the image's id.
	Digest, ConfigDigest v1.Hash
	MediaType            string
	// Size is the sum of the layers' compressed sizes in bytes.
	Size     int64
	Platform v1.Platform
	Labels   map[string]string
	// Manifest and Config are the raw documents.
	Manifest, Config []byte
	// Layers are lowest first.
	Layers []Layer
}

// Layer is one layer of an Image.
type Layer struct {
	sbom.Layer
	MediaType string
}

// Describe reads an image's manifest and configuration; no layer is read.
func Describe(ref string, img v1.Image) (Image, error) {
	manifest, err := img.Manifest()
	if err != nil {
		return Image{}, fmt.Errorf("reading the manifest of %s: %w", ref, err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		return Image{}, fmt.Errorf("reading the configuration of %s: %w", ref, err)
	}
	if len(manifest.Layers) != len(config.RootFS.DiffIDs) {
		return Image{}, fmt.Errorf("%s has %d layers and %d diffIDs", ref, len(manifest.Layers), len(config.RootFS.DiffIDs))
	}
	out := Image{
		Ref: ref, ConfigDigest: manifest.Config.Digest, MediaType: string(manifest.MediaType),
		Platform: v1.Platform{OS: config.OS, Architecture: config.Architecture, Variant: config.Variant},
		Labels:   config.Config.Labels,
	}
	if out.Digest, err = img.Digest(); err != nil {
		return Image{}, fmt.Errorf("reading the digest of %s: %w", ref, err)
	}
	if out.Manifest, err = img.RawManifest(); err != nil {
		return Image{}, fmt.Errorf("reading the manifest of %s: %w", ref, err)
	}
	if out.Config, err = img.RawConfigFile(); err != nil {
		return Image{}, fmt.Errorf("reading the configuration of %s: %w", ref, err)
	}
	instructions := layerHistory(config.History)
	for i, blob := range manifest.Layers {
		l := Layer{MediaType: string(blob.MediaType)}
		l.Layer = sbom.Layer{Index: i, Digest: blob.Digest.String(), DiffID: config.RootFS.DiffIDs[i].String(), Size: blob.Size}
		if len(instructions) == len(manifest.Layers) {
			l.CreatedBy = instructions[i]
		}
		out.Size += blob.Size
		out.Layers = append(out.Layers, l)
	}
	return out, nil
}

// layerHistory is the history's instructions, those that made no layer left out.
func layerHistory(history []v1.History) []string {
	var instructions []string
	for _, h := range history {
		if !h.EmptyLayer {
			instructions = append(instructions, strings.TrimSpace(h.CreatedBy))
		}
	}
	return instructions
}

func (m *Image) validate() error {
	if len(m.Layers) == 0 {
		return errors.New("an image without layers has no packages")
	}
	return nil
}

// diffIDs are the layers' names in the catalogers' locations.
func (m *Image) diffIDs() []string {
	ids := make([]string, len(m.Layers))
	for i := range m.Layers {
		ids[i] = m.Layers[i].DiffID
	}
	return ids
}

// summary is the image in the words of package sbom.
func (m *Image) summary() sbom.Image {
	return sbom.Image{Ref: m.Ref, Digest: digest(m.Digest), Platform: m.Platform.String()}
}

// digest is a hash as documents write it, empty where it is not known.
func digest(h v1.Hash) string {
	if h == (v1.Hash{}) {
		return ""
	}
	return h.String()
}

// layers are the image's layers in the words of package sbom.
func (m *Image) layers() []sbom.Layer {
	out := make([]sbom.Layer, len(m.Layers))
	for i := range m.Layers {
		out[i] = m.Layers[i].Layer
	}
	return out
}
