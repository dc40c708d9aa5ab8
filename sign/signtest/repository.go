package signtest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Memory is a cosign.Repository and a cosign.Tagger in memory. Its zero value is empty and ready.
type Memory struct {
	mu        sync.Mutex
	referrers map[v1.Hash][]v1.Image
	tags      map[string]v1.Image
	attached  int
}

// Attach implements cosign.Repository.
func (m *Memory) Attach(_ context.Context, subject v1.Descriptor, artifact v1.Image) error {
	m.Put(subject.Digest, artifact)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.attached++
	return nil
}

// Referrers implements cosign.Repository.
func (m *Memory) Referrers(_ context.Context, subject v1.Hash) ([]v1.Image, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.referrers[subject]), nil
}

// Put lists an artifact under a subject, whatever its manifest says.
func (m *Memory) Put(subject v1.Hash, artifact v1.Image) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.referrers == nil {
		m.referrers = map[v1.Hash][]v1.Image{}
	}
	m.referrers[subject] = append(m.referrers[subject], artifact)
}

// Remove takes everything off a subject and returns it.
func (m *Memory) Remove(subject v1.Hash) []v1.Image {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := m.referrers[subject]
	delete(m.referrers, subject)
	return list
}

// Tagged implements cosign.Tagger.
func (m *Memory) Tagged(_ context.Context, tag string) (v1.Image, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.tags[tag], nil
}

// PutTagged implements cosign.Tagger.
func (m *Memory) PutTagged(_ context.Context, tag string, image v1.Image) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tags == nil {
		m.tags = map[string]v1.Image{}
	}
	m.tags[tag] = image
	m.attached++
	return nil
}

// Attached counts the calls of Attach and PutTagged.
func (m *Memory) Attached() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.attached
}

// Remote is a cosign.Repository and a cosign.Tagger on a repository of a registry.
type Remote struct {
	Repo name.Repository

	mu sync.Mutex
}

// Attach implements cosign.Repository. Updates of the fallback tag are serialised.
func (r *Remote) Attach(ctx context.Context, _ v1.Descriptor, artifact v1.Image) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	digest, err := artifact.Digest()
	if err != nil {
		return err
	}
	return remote.Write(r.Repo.Digest(digest.String()), artifact, remote.WithContext(ctx))
}

// Referrers implements cosign.Repository.
func (r *Remote) Referrers(ctx context.Context, subject v1.Hash) ([]v1.Image, error) {
	index, err := remote.Referrers(r.Repo.Digest(subject.String()), remote.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	var images []v1.Image
	for _, d := range manifest.Manifests {
		image, err := remote.Image(r.Repo.Digest(d.Digest.String()), remote.WithContext(ctx))
		if err != nil {
			return nil, fmt.Errorf("referrer %s: %w", d.Digest, err)
		}
		images = append(images, image)
	}
	return images, nil
}

// Tagged implements cosign.Tagger.
func (r *Remote) Tagged(ctx context.Context, tag string) (v1.Image, error) {
	image, err := remote.Image(r.Repo.Tag(tag), remote.WithContext(ctx))
	var answer *transport.Error
	if errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound {
		return nil, nil //nolint:nilnil // as the interface says
	}
	return image, err
}

// PutTagged implements cosign.Tagger.
func (r *Remote) PutTagged(ctx context.Context, tag string, image v1.Image) error {
	return remote.Write(r.Repo.Tag(tag), image, remote.WithContext(ctx))
}

// Image returns a small image and its descriptor; the same name gives the same image.
func Image(tb testing.TB, name string) (v1.Image, v1.Descriptor) {
	tb.Helper()
	image := mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), types.OCIManifestSchema1)
	image, err := mutate.Config(image, v1.Config{Labels: map[string]string{"name": name}})
	if err != nil {
		tb.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		tb.Fatal(err)
	}
	size, err := image.Size()
	if err != nil {
		tb.Fatal(err)
	}
	return image, v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: digest, Size: size}
}

// Artifact returns an artifact with the given layer content and media type that refers to the subject: a
// bundle, if they are one's.
func Artifact(tb testing.TB, subject v1.Descriptor, content []byte, mediaType types.MediaType) v1.Image {
	tb.Helper()
	image := mutate.MediaType(mutate.ConfigMediaType(empty.Image, mediaType), types.OCIManifestSchema1)
	image, err := mutate.Append(image, mutate.Addendum{Layer: static.NewLayer(content, mediaType), MediaType: mediaType})
	if err != nil {
		tb.Fatal(err)
	}
	referring, ok := mutate.Subject(image, subject).(v1.Image)
	if !ok {
		tb.Fatal("mutate.Subject gave no image")
	}
	return referring
}
