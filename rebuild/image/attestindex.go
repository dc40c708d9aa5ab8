package image

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/nanopatch/nanopatch/rebuild/image/internal/rawjson"
)

// Statement is an in-toto statement as BuildKit keeps it: not signed.
type Statement struct {
	PredicateType string
	// Content is the encoded statement.
	Content []byte
}

const (
	inTotoMediaType     = "application/vnd.in-toto+json"
	annotationPredicate = "in-toto.io/predicate-type"
	attestationManifest = "attestation-manifest"
	// annotationAttested marks the entries that AttestIndex adds.
	annotationAttested = "dev.nanopatch.attested"
)

// IndexOf makes an index that holds one image.
func IndexOf(img v1.Image, platform v1.Platform, annotations map[string]string) (v1.ImageIndex, error) {
	desc, err := describe(img)
	if err != nil {
		return nil, fmt.Errorf("reading the image for an index: %w", err)
	}
	desc.Platform = &platform
	raw, err := json.Marshal(v1.IndexManifest{
		SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{desc}, Annotations: annotations,
	})
	if err != nil {
		return nil, fmt.Errorf("encoding an index: %w", err)
	}
	return newRawIndex(types.OCIImageIndex, raw,
		func(h v1.Hash) (v1.Image, error) {
			if h != desc.Digest {
				return nil, &Error{Kind: ErrNotFound, Ref: h.String(), What: "the index has no such image"}
			}
			return img, nil
		},
		func(h v1.Hash) (v1.ImageIndex, error) {
			return nil, &Error{Kind: ErrNotFound, Ref: h.String(), What: "the index has no such index"}
		})
}

// AttestIndex adds statements about images to the index that holds them, as BuildKit does and docker finds them: one manifest
// for each image, as an entry of the index that names the image by digest (BuildKit, docs/attestations/attestation-storage.md).
// Everything else stays byte for byte. An image that has such an entry keeps it and gets no other.
//
// Only OCI indexes have a place for them; Docker's manifest lists come back as they are, with a note.
func AttestIndex(base v1.ImageIndex, statements map[v1.Hash][]Statement) (v1.ImageIndex, []Note, error) {
	digest, err := base.Digest()
	if err != nil {
		return nil, nil, fmt.Errorf("reading the index: %w", err)
	}
	mediaType, err := base.MediaType()
	if err != nil {
		return nil, nil, fmt.Errorf("reading index %s: %w", digest, err)
	}
	if mediaType != types.OCIImageIndex {
		return base, []Note{{digest, "no attestation manifests added: a manifest list of Docker's has no place for them"}}, nil
	}
	raw, err := base.RawManifest()
	if err != nil {
		return nil, nil, fmt.Errorf("reading index %s: %w", digest, err)
	}
	manifest, err := v1.ParseIndexManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, nil, &Error{Kind: ErrInvalid, Ref: digest.String(), What: "the index cannot be read: " + err.Error(), Cause: err}
	}
	statements = maps.Clone(statements)
	for _, entry := range manifest.Manifests {
		if about, err := v1.NewHash(entry.Annotations[attestationDigest]); err == nil {
			delete(statements, about)
		}
	}
	added := make(map[v1.Hash]v1.Image)
	entries := len(manifest.Manifests)
	for _, about := range slices.SortedFunc(maps.Keys(statements), func(a, b v1.Hash) int { return cmp.Compare(a.Hex, b.Hex) }) {
		img, entry, err := attestationEntry(about, statements[about])
		if err != nil {
			return nil, nil, err
		}
		if raw, err = rawjson.Insert(raw, entry, entries, "manifests"); err != nil {
			return nil, nil, fmt.Errorf("adding to index %s: %w", digest, err)
		}
		entries++
		added[entry.Digest] = img
	}
	if len(added) == 0 {
		return base, nil, nil
	}
	out, err := newRawIndex(mediaType, raw, func(h v1.Hash) (v1.Image, error) {
		if img, ok := added[h]; ok {
			return img, nil
		}
		return base.Image(h)
	}, base.ImageIndex)
	return out, nil, err
}

// attestationEntry makes the attestation manifest of an image, and its entry in the index.
func attestationEntry(about v1.Hash, statements []Statement) (v1.Image, v1.Descriptor, error) {
	var blobs []Blob
	config := attestationConfig{Architecture: "unknown", OS: "unknown"}
	config.RootFS.Type, config.RootFS.DiffIDs = "layers", []string{}
	for _, st := range statements {
		sum, _, err := v1.SHA256(bytes.NewReader(st.Content))
		if err != nil {
			return nil, v1.Descriptor{}, err
		}
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, sum.String())
		blobs = append(blobs, Blob{
			MediaType: inTotoMediaType, Content: st.Content, Annotations: map[string]string{annotationPredicate: st.PredicateType},
		})
	}
	raw, err := json.Marshal(config)
	if err != nil {
		return nil, v1.Descriptor{}, fmt.Errorf("encoding a config: %w", err)
	}
	img, err := blobImage(v1.Manifest{Config: v1.Descriptor{MediaType: types.OCIConfigJSON}}, raw, blobs)
	if err != nil {
		return nil, v1.Descriptor{}, err
	}
	entry, err := describe(img)
	entry.Platform = &v1.Platform{OS: "unknown", Architecture: "unknown"}
	entry.Annotations = map[string]string{
		attestationType: attestationManifest, attestationDigest: about.String(), annotationAttested: "sbom",
	}
	return img, entry, err
}

// attestationConfig is the config that BuildKit gives an attestation manifest.
type attestationConfig struct {
	Architecture string   `json:"architecture"`
	OS           string   `json:"os"`
	Config       struct{} `json:"config"`
	RootFS       struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
}

// IsAttested tells whether AttestIndex added something to an index.
func IsAttested(idx v1.ImageIndex) (bool, error) {
	manifest, err := idx.IndexManifest()
	if err != nil {
		return false, fmt.Errorf("reading the index: %w", err)
	}
	return slices.ContainsFunc(manifest.Manifests, func(entry v1.Descriptor) bool {
		return entry.Annotations[attestationType] == attestationManifest && entry.Annotations[annotationAttested] != ""
	}), nil
}
