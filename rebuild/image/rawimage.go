package image

import (
	"bytes"
	"encoding/json"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// rawImage is a v1.Image that is given by its bytes: manifest, config and layers. It is immutable.
type rawImage struct {
	mediaType   types.MediaType
	rawManifest []byte
	rawConfig   []byte
	digest      v1.Hash
	manifest    *v1.Manifest
	layers      []v1.Layer
}

func newRawImage(mediaType types.MediaType, rawManifest, rawConfig []byte, layers []v1.Layer) (*rawImage, error) {
	digest, _, err := v1.SHA256(bytes.NewReader(rawManifest))
	if err != nil {
		return nil, err
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(rawManifest))
	if err != nil {
		return nil, fmt.Errorf("decoding the manifest: %w", err)
	}
	return &rawImage{
		mediaType: mediaType, rawManifest: rawManifest, rawConfig: rawConfig,
		digest: digest, manifest: manifest, layers: layers,
	}, nil
}

func (i *rawImage) Layers() ([]v1.Layer, error)         { return i.layers, nil }
func (i *rawImage) MediaType() (types.MediaType, error) { return i.mediaType, nil }
func (i *rawImage) Size() (int64, error)                { return int64(len(i.rawManifest)), nil }
func (i *rawImage) ConfigName() (v1.Hash, error)        { return i.manifest.Config.Digest, nil }
func (i *rawImage) RawConfigFile() ([]byte, error)      { return i.rawConfig, nil }
func (i *rawImage) Digest() (v1.Hash, error)            { return i.digest, nil }
func (i *rawImage) Manifest() (*v1.Manifest, error)     { return i.manifest.DeepCopy(), nil }
func (i *rawImage) RawManifest() ([]byte, error)        { return i.rawManifest, nil }
func (i *rawImage) ConfigFile() (*v1.ConfigFile, error) { return partial.ConfigFile(i) }
func (i *rawImage) LayerByDigest(h v1.Hash) (v1.Layer, error) {
	if h == i.manifest.Config.Digest {
		return configLayer(i)
	}
	return i.layerBy(h, v1.Layer.Digest)
}

func (i *rawImage) LayerByDiffID(h v1.Hash) (v1.Layer, error) { return i.layerBy(h, v1.Layer.DiffID) }

func (i *rawImage) layerBy(want v1.Hash, hash func(v1.Layer) (v1.Hash, error)) (v1.Layer, error) {
	for _, l := range i.layers {
		got, err := hash(l)
		if err != nil {
			return nil, err
		}
		if got == want {
			return l, nil
		}
	}
	return nil, &Error{Kind: ErrNotFound, Ref: i.digest.String(), What: "the image has no layer " + want.String()}
}

// configLayer is an image's config as a blob to write.
func configLayer(img v1.Image) (v1.Layer, error) {
	manifest, err := img.Manifest()
	if err != nil {
		return nil, err
	}
	raw, err := img.RawConfigFile()
	if err != nil {
		return nil, err
	}
	if err := checkBytes("config", raw, manifest.Config.Digest); err != nil {
		return nil, err
	}
	return static.NewLayer(raw, manifest.Config.MediaType), nil
}

// describe is the descriptor of an image or index under which it is written.
func describe(d partial.Describable) (v1.Descriptor, error) {
	var out v1.Descriptor
	var err error
	if out.MediaType, err = d.MediaType(); err != nil {
		return out, err
	}
	if out.Digest, err = d.Digest(); err != nil {
		return out, err
	}
	out.Size, err = d.Size()
	return out, err
}

// manifestShape is as much of a manifest or index as tells them apart.
type manifestShape struct {
	SchemaVersion int             `json:"schemaVersion"`
	MediaType     types.MediaType `json:"mediaType"`
	FSLayers      json.RawMessage `json:"fsLayers"`
	Config        json.RawMessage `json:"config"`
	Layers        json.RawMessage `json:"layers"`
	Manifests     json.RawMessage `json:"manifests"`
}

// mediaTypeOf finds out what a manifest is, from its bytes and from what was said of it (a Content-Type or descriptor;
// it may be empty or too general). Bytes that could pass for two things are refused, as is a claim that the bytes
// contradict: two readers would see two images (CVE-2021-41190).
func mediaTypeOf(ref string, raw []byte, claimed types.MediaType) (types.MediaType, error) {
	var shape manifestShape
	if err := json.Unmarshal(raw, &shape); err != nil {
		return "", &Error{Kind: ErrInvalid, Ref: ref, What: "the manifest is not JSON: " + err.Error(), Cause: err}
	}
	if shape.SchemaVersion == 1 || shape.FSLayers != nil || claimed.IsSchema1() {
		return "", &Error{
			Kind: ErrUnsupported, Ref: ref, What: "the image is in Docker's schema 1, which is out of use since 2017",
			Hint: "push it again with a current docker, podman or skopeo",
		}
	}
	isImage, isIndex := shape.Config != nil || shape.Layers != nil, shape.Manifests != nil
	if isImage == isIndex {
		return "", invalidError(ref, "the manifest is neither an image nor an index, or both")
	}
	found := shape.MediaType
	switch {
	case found == "" && (claimed.IsImage() || claimed.IsIndex()):
		found = claimed
	case found == "" && isIndex:
		found = types.OCIImageIndex
	case found == "":
		found = types.OCIManifestSchema1
	case (claimed.IsImage() || claimed.IsIndex()) && claimed != found:
		return "", invalidError(ref, "the manifest says it is %s, but is served as %s", found, claimed)
	}
	if found.IsImage() != isImage || found.IsIndex() != isIndex {
		return "", invalidError(ref, "the manifest has media type %s, but not its form", found)
	}
	return found, nil
}
