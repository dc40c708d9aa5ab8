//go:build e2e

package soak

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// checkTags looks at every tag of the result's repository as a stranger would, at the registry itself, past the faults:
// all that it names, down to each blob, must be there and be what it is called; and an image must verify.
func (s *soak) checkTags(t *testing.T, f *faulty, what string) {
	t.Helper()
	for _, repository := range []string{"/out/base", "/base"} {
		repo, err := name.NewRepository(f.direct + repository)
		if err != nil {
			t.Fatal(err)
		}
		tags, err := remote.List(repo)
		if isNotFound(err) {
			continue // nothing was pushed yet
		}
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		for _, tag := range tags {
			if err := whole(repo.Tag(tag)); err != nil {
				t.Errorf("%s: tag %s:%s names what is not whole: %v", what, repo, tag, err)
			}
			if tag == "new" {
				s.mustVerify(t, repo.Tag(tag).String(), what)
			}
		}
	}
}

func (s *soak) mustVerify(t *testing.T, image, what string) {
	t.Helper()
	out := s.program(t, t.TempDir(), nil, "verify", image, "--key", s.key+".pub",
		"--require", "https://spdx.dev/Document", "--require", "https://slsa.dev/provenance/v1")
	if out.code != 0 {
		t.Errorf("%s: %s does not verify: %s", what, image, out.stderr)
	}
}

func isNotFound(err error) bool {
	var answer *transport.Error
	return errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound
}

// whole reads everything that a reference names; go-containerregistry holds each manifest and blob against its digest.
func whole(ref name.Reference) error {
	desc, err := remote.Get(ref)
	if err != nil {
		return err
	}
	if !desc.MediaType.IsIndex() {
		img, err := desc.Image()
		if err != nil {
			return err
		}
		return wholeImage(ref.Context(), img)
	}
	idx, err := desc.ImageIndex()
	if err != nil {
		return err
	}
	m, err := idx.IndexManifest()
	if err != nil {
		return err
	}
	for _, child := range m.Manifests {
		if err := whole(ref.Context().Digest(child.Digest.String())); err != nil {
			return err
		}
	}
	return nil
}

func wholeImage(repo name.Repository, img v1.Image) error {
	m, err := img.Manifest()
	if err != nil {
		return err
	}
	for _, blob := range append(m.Layers[:len(m.Layers):len(m.Layers)], m.Config) {
		layer, err := remote.Layer(repo.Digest(blob.Digest.String()))
		if err != nil {
			return err
		}
		rc, err := layer.Compressed()
		if err != nil {
			return err
		}
		n, err := io.Copy(io.Discard, rc)
		if err := errors.Join(err, rc.Close()); err != nil {
			return err
		}
		if n != blob.Size {
			return fmt.Errorf("blob %s has %d bytes, not %d", blob.Digest, n, blob.Size)
		}
	}
	return nil
}

// headDigest is what a tag names.
func headDigest(image string) (string, error) {
	ref, err := name.ParseReference(image)
	if err != nil {
		return "", err
	}
	desc, err := remote.Head(ref)
	if err != nil {
		return "", err
	}
	return desc.Digest.String(), nil
}
