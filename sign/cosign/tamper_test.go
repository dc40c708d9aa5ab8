package cosign_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"net/http"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"github.com/nanopatch/nanopatch/sign/attest"
	"github.com/nanopatch/nanopatch/sign/signtest"
)

// spoiled are the ways to tamper with what is attached to an image, and the checks that must fail.
var spoiled = []struct {
	name string
	// spoil attaches what the case is about to the image.
	spoil func(t *testing.T, s *scene)
	want  string // the checks that fail
}{
	{"nothing attached", func(*testing.T, *scene) {}, "signed,attested"},
	{"an SBOM but no signature", func(_ *testing.T, s *scene) { s.put(s.sbom) }, "signed"},
	{"a signature but no SBOM", func(_ *testing.T, s *scene) { s.put(s.signature) }, "attested"},
	{"another key's signature", func(t *testing.T, s *scene) {
		s.put(s.sbom, s.by(t, "theirs", s.image, attest.Signature(s.image.Digest)))
	}, "signed"},
	{"another key's signature under our hint", func(t *testing.T, s *scene) {
		theirs := s.by(t, "theirs", s.image, attest.Signature(s.image.Digest))
		s.put(s.sbom, tampered(t, s.image, theirs, func(e *envelope) { setHint(e, hint(t, "ours")) }))
	}, "signed,signature"},
	{"another key's SBOM", func(t *testing.T, s *scene) {
		s.put(s.signature, s.by(t, "theirs", s.image, sbom(t, s.image.Digest)))
	}, "attested"},
	{"payload byte of the signature", func(t *testing.T, s *scene) {
		s.put(s.sbom, tampered(t, s.image, s.signature, func(e *envelope) { e.DSSE.Payload[100] ^= 1 }))
	}, "signed,signature"},
	{"signature byte of the signature", func(t *testing.T, s *scene) {
		s.put(s.sbom, tampered(t, s.image, s.signature, func(e *envelope) { e.DSSE.Signatures[0].Sig[20] ^= 1 }))
	}, "signed,signature"},
	{"payload byte of the SBOM", func(t *testing.T, s *scene) {
		s.put(s.signature, tampered(t, s.image, s.sbom, func(e *envelope) {
			e.DSSE.Payload = bytes.Replace(e.DSSE.Payload, []byte("3.0.17"), []byte("3.0.18"), 1)
		}))
	}, "signature,attested"},
	{"payload type", func(t *testing.T, s *scene) {
		s.put(s.sbom, tampered(t, s.image, s.signature, func(e *envelope) { e.DSSE.PayloadType = "text/plain" }))
	}, "signed,signature"},
	{"statement swapped for the SBOM's", func(t *testing.T, s *scene) {
		payload := payloadOf(t, s.sbom)
		s.put(tampered(t, s.image, s.signature, func(e *envelope) { e.DSSE.Payload = payload }))
	}, "signed,signature,attested"},
	{"no signature in the envelope", func(t *testing.T, s *scene) {
		s.put(s.sbom, tampered(t, s.image, s.signature, func(e *envelope) { e.DSSE.Signatures = nil }))
	}, "signed,signature"},
	{"empty signature", func(t *testing.T, s *scene) {
		s.put(s.sbom, tampered(t, s.image, s.signature, func(e *envelope) { e.DSSE.Signatures[0].Sig = nil }))
	}, "signed,signature"},
	{"two signatures in the envelope", func(t *testing.T, s *scene) {
		s.put(s.sbom, tampered(t, s.image, s.signature, func(e *envelope) {
			e.DSSE.Signatures = append(e.DSSE.Signatures, e.DSSE.Signatures[0])
		}))
	}, "signed,signature"},
	{"signature of another image", func(t *testing.T, s *scene) {
		s.put(s.sbom, s.by(t, "ours", s.other, attest.Signature(s.other.Digest)))
	}, "signed,subject"},
	{"signature of another image beside ours", func(t *testing.T, s *scene) {
		s.put(s.signature, s.sbom, s.by(t, "ours", s.other, attest.Signature(s.other.Digest)))
	}, "subject"},
	{"SBOM of another image", func(t *testing.T, s *scene) {
		s.put(s.signature, s.by(t, "ours", s.other, sbom(t, s.other.Digest)))
	}, "subject,attested"},
	{"truncated bundle", func(t *testing.T, s *scene) {
		raw := bundleOf(t, s.signature)
		s.put(s.sbom, signtest.Artifact(t, s.image, raw[:len(raw)/2], bundleType))
	}, "signed,bundle"},
	{"empty bundle", func(t *testing.T, s *scene) {
		s.put(s.signature, s.sbom, signtest.Artifact(t, s.image, nil, bundleType))
	}, "bundle"},
	{"not JSON", func(t *testing.T, s *scene) {
		s.put(s.signature, s.sbom, signtest.Artifact(t, s.image, []byte("\x1b[2Jpwned\n"), bundleType))
	}, "bundle"},
	{"no verification material", func(t *testing.T, s *scene) {
		s.put(s.sbom, tampered(t, s.image, s.signature, func(e *envelope) { e.VerificationMaterial = nil }))
	}, "signed,bundle"},
	{"bundle of version 0.1", func(t *testing.T, s *scene) {
		s.put(s.sbom, tampered(t, s.image, s.signature, func(e *envelope) {
			e.MediaType = "application/vnd.dev.sigstore.bundle+json;version=0.1"
		}))
	}, "signed,bundle"},
	{"says bundle, holds two layers", func(t *testing.T, s *scene) {
		raw := bundleOf(t, s.signature)
		s.put(s.sbom, twoLayers(t, s.image, raw))
	}, "signed,bundle"},
	{"blob other than the manifest says", func(_ *testing.T, s *scene) {
		s.put(s.sbom, swapped{Image: s.signature, blob: s.sbom})
	}, "signed,bundle"},
	{"larger than allowed", func(t *testing.T, s *scene) {
		s.put(s.signature, s.sbom, rewritten(t, s.signature, func(m *v1.Manifest) { m.Layers[0].Size = 1 << 40 }))
	}, "bundle"},
	{"negative size", func(t *testing.T, s *scene) {
		s.put(s.signature, s.sbom, rewritten(t, s.signature, func(m *v1.Manifest) { m.Layers[0].Size = -1 }))
	}, "bundle"},
	{"smaller than it is", func(t *testing.T, s *scene) {
		s.put(s.sbom, rewritten(t, s.signature, func(m *v1.Manifest) { m.Layers[0].Size-- }))
	}, "signed,bundle"},
	{"blob that is gone", func(_ *testing.T, s *scene) {
		s.put(s.signature, swapped{Image: s.sbom, err: &transport.Error{StatusCode: http.StatusNotFound}})
	}, "bundle,attested"},
	{"our signature over another payload type", func(t *testing.T, s *scene) {
		s.put(s.sbom, forge(t, s.image, "text/plain", payloadOf(t, s.signature)))
	}, "signed,bundle"},
	{"our signature over what is no statement", func(t *testing.T, s *scene) {
		s.put(s.signature, s.sbom, forge(t, s.image, attest.PayloadType, []byte(`{"_type":"x"}`)))
	}, "bundle"},
	{"our signature over two readings of one statement", func(t *testing.T, s *scene) {
		payload := bytes.Replace(payloadOf(t, s.signature), []byte(`"predicate":{}`),
			[]byte(`"predicateType":"https://spdx.dev/Document"`), 1)
		s.put(s.signature, s.sbom, forge(t, s.image, attest.PayloadType, payload))
	}, "bundle"},
	{"too much altogether", func(t *testing.T, s *scene) {
		s.put(s.signature, s.sbom)
		for range 2 {
			s.put(rewritten(t, s.signature, func(m *v1.Manifest) { m.Layers[0].Size = 64 << 20 }))
		}
		s.put(rewritten(t, s.signature, func(m *v1.Manifest) { m.Layers[0].Size = 63 << 20 }))
	}, "bundle,bundle,bundle"},
	{"too many referrers", func(_ *testing.T, s *scene) {
		for range 600 {
			s.put(s.signature)
		}
	}, "signed,bundle,attested"},
}

func payloadOf(t testing.TB, artifact v1.Image) []byte {
	t.Helper()
	var e envelope
	if err := json.Unmarshal(bundleOf(t, artifact), &e); err != nil {
		t.Fatal(err)
	}
	return e.DSSE.Payload
}

func setHint(e *envelope, hint string) {
	e.VerificationMaterial = map[string]any{"publicKey": map[string]any{"hint": hint}}
}

// hint is what cosign writes to name a key.
func hint(t testing.TB, key string) string {
	t.Helper()
	digest, err := v1.NewHash(signtest.Key(t, key).KeyID())
	if err != nil {
		t.Fatal(err)
	}
	raw, err := hex.DecodeString(digest.Hex)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(raw)
}

// setCertificate makes the bundle one of keyless signing.
func setCertificate(t *testing.T, e *envelope) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	e.VerificationMaterial = map[string]any{"certificate": map[string]any{"rawBytes": der}}
}

// forge is an artifact with what key "ours" signed: any payload of any type.
func forge(t *testing.T, image v1.Descriptor, payloadType string, payload []byte) v1.Image {
	t.Helper()
	sig, err := signtest.Key(t, "ours").Sign(t.Context(), dsse.PAE(payloadType, payload))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(map[string]any{
		"mediaType":            bundleType,
		"verificationMaterial": map[string]any{"publicKey": map[string]any{"hint": hint(t, "ours")}},
		"dsseEnvelope": map[string]any{
			"payload": payload, "payloadType": payloadType, "signatures": []any{map[string]any{"sig": sig}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return signtest.Artifact(t, image, raw, bundleType)
}

// swapped serves another artifact's blob, or an error, for every digest.
type swapped struct {
	v1.Image
	blob v1.Image
	err  error
}

func (s swapped) LayerByDigest(v1.Hash) (v1.Layer, error) {
	if s.err != nil {
		return nil, s.err
	}
	layers, err := s.blob.Layers()
	if err != nil {
		return nil, err
	}
	return layers[0], nil
}

// forged has a manifest of its own and another image's blobs.
type forged struct {
	v1.Image
	manifest []byte
}

func (f forged) RawManifest() ([]byte, error)        { return f.manifest, nil }
func (f forged) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

func rewritten(t *testing.T, artifact v1.Image, change func(*v1.Manifest)) v1.Image {
	t.Helper()
	m, err := artifact.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	m = m.DeepCopy()
	change(m)
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return forged{Image: artifact, manifest: raw}
}

func twoLayers(t *testing.T, subject v1.Descriptor, content []byte) v1.Image {
	t.Helper()
	return rewritten(t, signtest.Artifact(t, subject, content, bundleType), func(m *v1.Manifest) {
		m.ArtifactType = bundleType
		m.Layers = append(m.Layers, m.Layers[0])
	})
}
