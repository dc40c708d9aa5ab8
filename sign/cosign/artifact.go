package cosign

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// What cosign writes: pkg/oci/remote/write.go, WriteAttestationNewBundleFormat.
const (
	bundleMediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"
	emptyMediaType  = "application/vnd.oci.empty.v1+json"

	annotationCreated   = "org.opencontainers.image.created"
	annotationContent   = "dev.sigstore.bundle.content"
	annotationPredicate = "dev.sigstore.bundle.predicateType"
)

// artifact is the referrer that carries one bundle. Its methods are those of partial.CompressedImageCore.
type artifact struct {
	manifest []byte
	bundle   v1.Layer
}

// newArtifact lays a bundle out as cosign does: an empty config and the bundle as the only layer. A zero
// time leaves the annotation out.
func newArtifact(subject v1.Descriptor, bundle []byte, predicateType string, created time.Time) (v1.Image, error) {
	layer := static.NewLayer(bundle, bundleMediaType)
	digest, err := layer.Digest()
	if err != nil {
		return nil, fmt.Errorf("hashing a bundle: %w", err)
	}
	config, configSize, err := v1.SHA256(strings.NewReader(emptyConfig))
	if err != nil {
		return nil, fmt.Errorf("hashing a config: %w", err)
	}
	annotations := map[string]string{annotationContent: "dsse-envelope", annotationPredicate: predicateType}
	if !created.IsZero() {
		annotations[annotationCreated] = created.UTC().Format(time.RFC3339)
	}
	manifest, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		ArtifactType:  bundleMediaType,
		Config: v1.Descriptor{
			MediaType:    emptyMediaType,
			ArtifactType: bundleMediaType,
			Digest:       config,
			Size:         configSize,
		},
		Layers:      []v1.Descriptor{{MediaType: bundleMediaType, Digest: digest, Size: int64(len(bundle))}},
		Subject:     &v1.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size},
		Annotations: annotations,
	})
	if err != nil {
		return nil, fmt.Errorf("encoding a manifest: %w", err)
	}
	return partial.CompressedToImage(&artifact{manifest: manifest, bundle: layer})
}

// emptyConfig is the content of application/vnd.oci.empty.v1+json (OCI image specification 1.1, manifest.md).
const emptyConfig = "{}"

func (a *artifact) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }
func (a *artifact) RawManifest() ([]byte, error)        { return a.manifest, nil }
func (a *artifact) RawConfigFile() ([]byte, error)      { return []byte(emptyConfig), nil }

func (a *artifact) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	digest, err := a.bundle.Digest()
	if err != nil {
		return nil, err
	}
	if h != digest {
		return nil, fmt.Errorf("no blob %s in this artifact", h)
	}
	return a.bundle, nil
}
