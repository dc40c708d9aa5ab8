package image

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Blob is one piece of content in an artifact.
type Blob struct {
	MediaType types.MediaType
	Content   []byte
	// File, where set, holds the content instead. It must not change while the artifact is in use.
	File        string
	Annotations map[string]string
}

// layer is the blob as a manifest's layer.
func (b Blob) layer() (v1.Layer, error) {
	if b.File == "" {
		return static.NewLayer(b.Content, b.MediaType), nil
	}
	f, err := os.Open(b.File)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	digest, size, err := v1.SHA256(f)
	if err != nil {
		return nil, err
	}
	return &fileBlob{desc: v1.Descriptor{MediaType: b.MediaType, Digest: digest, Size: size}, path: b.File}, nil
}

// fileBlob is a blob whose content is a file. As a blob it is no compressed form of anything.
type fileBlob struct {
	desc v1.Descriptor
	path string
}

func (b *fileBlob) Digest() (v1.Hash, error)             { return b.desc.Digest, nil }
func (b *fileBlob) DiffID() (v1.Hash, error)             { return b.desc.Digest, nil }
func (b *fileBlob) Size() (int64, error)                 { return b.desc.Size, nil }
func (b *fileBlob) MediaType() (types.MediaType, error)  { return b.desc.MediaType, nil }
func (b *fileBlob) Compressed() (io.ReadCloser, error)   { return os.Open(b.path) }
func (b *fileBlob) Uncompressed() (io.ReadCloser, error) { return os.Open(b.path) }

// The config of an artifact that has none (OCI image specification 1.1, manifest.md, "Guidance for an Empty Descriptor").
const (
	emptyMediaType = "application/vnd.oci.empty.v1+json"
	emptyConfig    = "{}"
)

// NewArtifact makes a manifest that carries blobs and refers to subject, for [Repository.Attach]: whoever asks what refers to
// the subject finds it by its artifact type (OCI image specification 1.1, manifest.md, "Guidelines for Artifact Usage"). The same
// arguments give the same bytes.
func NewArtifact(artifactType string, subject v1.Descriptor, annotations map[string]string, blobs ...Blob) (v1.Image, error) {
	return blobImage(v1.Manifest{
		ArtifactType: artifactType,
		Config:       v1.Descriptor{MediaType: emptyMediaType},
		Subject:      &v1.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size},
		Annotations:  annotations,
	}, []byte(emptyConfig), blobs)
}

// blobImage completes an OCI manifest with its config and its blobs.
func blobImage(manifest v1.Manifest, config []byte, blobs []Blob) (v1.Image, error) {
	var err error
	manifest.SchemaVersion, manifest.MediaType = 2, types.OCIManifestSchema1
	if manifest.Config.Digest, manifest.Config.Size, err = v1.SHA256(bytes.NewReader(config)); err != nil {
		return nil, fmt.Errorf("hashing a config: %w", err)
	}
	var layers []v1.Layer
	manifest.Layers = []v1.Descriptor{}
	for _, b := range blobs {
		layer, err := b.layer()
		if err != nil {
			return nil, fmt.Errorf("reading a blob: %w", err)
		}
		desc, err := describe(layer)
		if err != nil {
			return nil, fmt.Errorf("hashing a blob: %w", err)
		}
		desc.Annotations = b.Annotations
		layers, manifest.Layers = append(layers, layer), append(manifest.Layers, desc)
	}
	raw, err := json.Marshal(manifest)
	if err != nil {
		return nil, fmt.Errorf("encoding a manifest: %w", err)
	}
	return newRawImage(manifest.MediaType, raw, config, layers)
}
