//go:build e2e

package e2e

import (
	"encoding/json"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// rawManifest is a manifest that is pushed as it is.
type rawManifest []byte

func (m rawManifest) RawManifest() ([]byte, error)        { return m, nil }
func (m rawManifest) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

func putManifest(t *testing.T, ref string, raw []byte) {
	t.Helper()
	tag, err := name.NewTag(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Put(tag, rawManifest(raw), remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
}

// copyReferrers attaches everything that is attached to one image to another, as an attacker with push rights would.
func copyReferrers(t *testing.T, from, to string) {
	t.Helper()
	source, subject := headOf(t, from)
	target, descriptor := headOf(t, to)
	index, err := remote.Referrers(source.Context().Digest(subject.Digest.String()), remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Manifests) == 0 {
		t.Fatal("nothing is attached")
	}
	for _, d := range m.Manifests {
		img, err := remote.Image(source.Context().Digest(d.Digest.String()), remote.WithContext(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		moved := mutate.Subject(img, descriptor).(v1.Image)
		digest, err := partial.Digest(moved)
		if err == nil {
			err = remote.Write(target.Context().Digest(digest.String()), moved, remote.WithContext(t.Context()))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func headOf(t *testing.T, ref string) (name.Reference, v1.Descriptor) {
	t.Helper()
	r, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	d, err := remote.Head(r, remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	return r, *d
}

// asJSON renders a value for a failure's message.
func asJSON(v any) string {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(b)
}
