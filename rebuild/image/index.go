package image

import (
	"bytes"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Annotations of BuildKit's attestation manifests (BuildKit, docs/attestations/attestation-storage.md): entries of an
// index that describe another entry, named by digest.
const (
	attestationType   = "vnd.docker.reference.type"
	attestationDigest = "vnd.docker.reference.digest"
)

// sharedIndex hands out each of its images and indexes once, so that a manifest that was read is not fetched again to
// push it.
type sharedIndex struct {
	base v1.ImageIndex

	mu      sync.Mutex
	images  map[v1.Hash]v1.Image
	indexes map[v1.Hash]v1.ImageIndex
}

func share(base v1.ImageIndex) *sharedIndex {
	return &sharedIndex{base: base, images: make(map[v1.Hash]v1.Image), indexes: make(map[v1.Hash]v1.ImageIndex)}
}

func (s *sharedIndex) MediaType() (types.MediaType, error)       { return s.base.MediaType() }
func (s *sharedIndex) Digest() (v1.Hash, error)                  { return s.base.Digest() }
func (s *sharedIndex) Size() (int64, error)                      { return s.base.Size() }
func (s *sharedIndex) RawManifest() ([]byte, error)              { return s.base.RawManifest() }
func (s *sharedIndex) IndexManifest() (*v1.IndexManifest, error) { return s.base.IndexManifest() }

func (s *sharedIndex) Image(h v1.Hash) (v1.Image, error) {
	return once(&s.mu, s.images, h, s.base.Image)
}

func (s *sharedIndex) ImageIndex(h v1.Hash) (v1.ImageIndex, error) {
	return once(&s.mu, s.indexes, h, func(h v1.Hash) (v1.ImageIndex, error) {
		child, err := s.base.ImageIndex(h)
		if err != nil {
			return nil, err
		}
		return share(child), nil
	})
}

// once looks up what was made before. Two at the same time may both make it; one is kept.
func once[T any](mu *sync.Mutex, made map[v1.Hash]T, h v1.Hash, f func(v1.Hash) (T, error)) (T, error) {
	mu.Lock()
	old, ok := made[h]
	mu.Unlock()
	if ok {
		return old, nil
	}
	fresh, err := f(h)
	if err != nil {
		return fresh, err
	}
	mu.Lock()
	defer mu.Unlock()
	if old, ok := made[h]; ok {
		return old, nil
	}
	made[h] = fresh
	return fresh, nil
}

// rawIndex is a v1.ImageIndex that is given by its bytes. It is immutable.
type rawIndex struct {
	mediaType types.MediaType
	raw       []byte
	digest    v1.Hash
	image     func(v1.Hash) (v1.Image, error)
	index     func(v1.Hash) (v1.ImageIndex, error)
}

func newRawIndex(
	mediaType types.MediaType, raw []byte,
	image func(v1.Hash) (v1.Image, error), index func(v1.Hash) (v1.ImageIndex, error),
) (*rawIndex, error) {
	digest, _, err := v1.SHA256(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	return &rawIndex{mediaType: mediaType, raw: raw, digest: digest, image: image, index: index}, nil
}

func (i *rawIndex) MediaType() (types.MediaType, error)         { return i.mediaType, nil }
func (i *rawIndex) Digest() (v1.Hash, error)                    { return i.digest, nil }
func (i *rawIndex) Size() (int64, error)                        { return int64(len(i.raw)), nil }
func (i *rawIndex) RawManifest() ([]byte, error)                { return i.raw, nil }
func (i *rawIndex) Image(h v1.Hash) (v1.Image, error)           { return i.image(h) }
func (i *rawIndex) ImageIndex(h v1.Hash) (v1.ImageIndex, error) { return i.index(h) }
func (i *rawIndex) IndexManifest() (*v1.IndexManifest, error) {
	return v1.ParseIndexManifest(bytes.NewReader(i.raw))
}
