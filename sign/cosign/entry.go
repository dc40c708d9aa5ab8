package cosign

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	ggcr "github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	classic "github.com/sigstore/cosign/v2/pkg/cosign/bundle"
	"github.com/sigstore/cosign/v2/pkg/oci/static"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature/payload"

	"github.com/nanopatch/nanopatch/sign/attest"
)

// An entry of a classic list is a blob with annotations; what they hold is also what a bundle holds, in another shape. So
// entries are made from bundles, and verified as bundles.
const (
	annotationSignature = static.SignatureAnnotationKey
	// bundleOfEntry is the version of bundles that need no proof of inclusion in a log: its promise, which is all that
	// entries have, is enough.
	bundleOfEntry = "application/vnd.dev.sigstore.bundle+json;version=0.1"
	// noHint stands where a bundle has a hint at the key: entries have none, so nobody can tell whose a bad one is.
	noHint = "(an entry without a hint)"
)

// newEntry makes an entry of a blob and the bundle that it was signed in. An attestation has its signature in the blob.
func newEntry(
	blob []byte, kind types.MediaType, signature []byte, b *protobundle.Bundle, annotations map[string]string,
) (mutate.Addendum, error) {
	all := map[string]string{annotationSignature: base64.StdEncoding.EncodeToString(signature)}
	for k, v := range annotations {
		all[k] = v
	}
	material := b.GetVerificationMaterial()
	if c := material.GetCertificate(); c != nil {
		all[static.CertificateAnnotationKey] = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.GetRawBytes()}))
		all[static.ChainAnnotationKey] = "" // whoever verifies has the authority's certificates
	}
	notes := map[string]any{}
	if logs := material.GetTlogEntries(); len(logs) > 0 {
		l := logs[0]
		if l.GetInclusionPromise() == nil {
			return mutate.Addendum{}, fmt.Errorf("%w %s: the transparency log gives no signed promise, as version 1 of its interface does", ErrFormat, FormatClassic)
		}
		notes[static.BundleAnnotationKey] = classic.RekorBundle{
			SignedEntryTimestamp: l.GetInclusionPromise().GetSignedEntryTimestamp(),
			Payload: classic.RekorPayload{
				Body:           base64.StdEncoding.EncodeToString(l.GetCanonicalizedBody()),
				IntegratedTime: l.GetIntegratedTime(), LogIndex: l.GetLogIndex(), LogID: hex.EncodeToString(l.GetLogId().GetKeyId()),
			},
		}
	}
	if stamps := material.GetTimestampVerificationData().GetRfc3161Timestamps(); len(stamps) > 0 {
		notes[static.RFC3161TimestampAnnotationKey] = classic.RFC3161Timestamp{SignedRFC3161Timestamp: stamps[0].GetSignedTimestamp()}
	}
	for key, note := range notes {
		raw, err := json.Marshal(note)
		if err != nil {
			return mutate.Addendum{}, fmt.Errorf("encoding an entry: %w", err)
		}
		all[key] = string(raw)
	}
	return mutate.Addendum{Layer: ggcr.NewLayer(blob, kind), MediaType: kind, Annotations: all}, nil
}

// materialOf is what an entry's annotations say of who signed and who saw it.
func materialOf(annotations map[string]string) (*protobundle.VerificationMaterial, error) {
	m := &protobundle.VerificationMaterial{
		Content: &protobundle.VerificationMaterial_PublicKey{PublicKey: &protocommon.PublicKeyIdentifier{Hint: noHint}},
	}
	if text := annotations[static.CertificateAnnotationKey]; text != "" {
		block, _ := pem.Decode([]byte(text))
		if block == nil || block.Type != "CERTIFICATE" {
			return nil, errors.New("the certificate is no PEM")
		}
		m.Content = &protobundle.VerificationMaterial_Certificate{Certificate: &protocommon.X509Certificate{RawBytes: block.Bytes}}
	}
	if text := annotations[static.BundleAnnotationKey]; text != "" {
		entry, err := logEntryOf([]byte(text))
		if err != nil {
			return nil, fmt.Errorf("the log entry: %w", err)
		}
		m.TlogEntries = []*protorekor.TransparencyLogEntry{entry}
	}
	if text := annotations[static.RFC3161TimestampAnnotationKey]; text != "" {
		var stamp classic.RFC3161Timestamp
		if err := json.Unmarshal([]byte(text), &stamp); err != nil {
			return nil, fmt.Errorf("the timestamp: %w", err)
		}
		m.TimestampVerificationData = &protobundle.TimestampVerificationData{
			Rfc3161Timestamps: []*protocommon.RFC3161SignedTimestamp{{SignedTimestamp: stamp.SignedRFC3161Timestamp}},
		}
	}
	return m, nil
}

func logEntryOf(raw []byte) (*protorekor.TransparencyLogEntry, error) {
	var noted struct {
		SignedEntryTimestamp []byte
		Payload              struct {
			Body           []byte `json:"body"` // base64, as JSON has bytes
			IntegratedTime int64  `json:"integratedTime"`
			LogIndex       int64  `json:"logIndex"`
			LogID          string `json:"logID"`
		}
	}
	if err := json.Unmarshal(raw, &noted); err != nil {
		return nil, err
	}
	var kind struct {
		Kind    string `json:"kind"`
		Version string `json:"apiVersion"`
	}
	if err := json.Unmarshal(noted.Payload.Body, &kind); err != nil {
		return nil, err
	}
	id, err := hex.DecodeString(noted.Payload.LogID)
	if err != nil {
		return nil, err
	}
	return &protorekor.TransparencyLogEntry{
		LogIndex: noted.Payload.LogIndex, LogId: &protocommon.LogId{KeyId: id}, IntegratedTime: noted.Payload.IntegratedTime,
		KindVersion:       &protorekor.KindVersion{Kind: kind.Kind, Version: kind.Version},
		InclusionPromise:  &protorekor.InclusionPromise{SignedEntryTimestamp: noted.SignedEntryTimestamp},
		CanonicalizedBody: noted.Payload.Body,
	}, nil
}

// openAttestation verifies an entry of the list of attestations.
func (v *Verifier) openAttestation(raw []byte, annotations map[string]string, subject v1.Hash) finding {
	envelope, err := decodeEnvelope(raw)
	if err != nil {
		return v.unusable(annotations, "not an attestation: %v", err)
	}
	b, err := bundleOf(annotations, &protobundle.Bundle{Content: &protobundle.Bundle_DsseEnvelope{DsseEnvelope: envelope}})
	if err != nil {
		return v.unusable(annotations, "not an attestation: %v", err)
	}
	e, err := newEnveloped(b)
	if err != nil {
		return v.unusable(annotations, "%v", err)
	}
	return v.judge(e, subject)
}

// openSignature verifies an entry of the list of signatures: valid is the statement of the sign predicate.
func (v *Verifier) openSignature(raw []byte, annotations map[string]string, subject v1.Hash) finding {
	sig, err := base64.StdEncoding.DecodeString(annotations[annotationSignature])
	if err != nil {
		return v.unusable(annotations, "not a signature: %v", err)
	}
	digest := sha256.Sum256(raw)
	b, err := bundleOf(annotations, &protobundle.Bundle{Content: &protobundle.Bundle_MessageSignature{
		MessageSignature: &protocommon.MessageSignature{
			MessageDigest: &protocommon.HashOutput{Algorithm: protocommon.HashAlgorithm_SHA2_256, Digest: digest[:]},
			Signature:     sig,
		},
	}})
	if err != nil {
		return v.unusable(annotations, "not a signature: %v", err)
	}
	return v.judge(&simple{Bundle: b, payload: raw}, subject)
}

// bundleOf completes a bundle with what an entry's annotations say.
func bundleOf(annotations map[string]string, b *protobundle.Bundle) (*bundle.Bundle, error) {
	var err error
	if b.VerificationMaterial, err = materialOf(annotations); err != nil {
		return nil, err
	}
	b.MediaType = bundleOfEntry
	whole, err := bundle.NewBundle(b)
	if err != nil {
		return nil, err
	}
	if _, err := whole.VerificationContent(); err != nil {
		return nil, fmt.Errorf("no usable certificate: %w", err)
	}
	return whole, nil
}

// unusable is a finding about an entry in which there is nothing to verify. Whoever may add entries can add such a one, and
// it names no key: it is no sign that ours was tampered with, unless it has the certificate of our identity.
func (v *Verifier) unusable(annotations map[string]string, format string, args ...any) finding {
	f := fail(CheckBundle, format, args...)
	if v.identity == nil || !v.certified(annotations[static.CertificateAnnotationKey]) {
		f.verdict = malformed
	}
	return f
}

// certified tells whether a certificate is that of the identity.
func (v *Verifier) certified(certificate string) bool {
	block, _ := pem.Decode([]byte(certificate))
	if block == nil {
		return false
	}
	c, err := x509.ParseCertificate(block.Bytes)
	return err == nil && v.matcher.Verify(identityOf(c).summary) == nil
}

// simple is a signature over a payload of the "simple signing" kind, which names an image.
type simple struct {
	*bundle.Bundle
	payload []byte
}

// over is the payload, whatever it names: read tells that afterwards.
func (s *simple) over(verify.ArtifactPolicyOption) verify.ArtifactPolicyOption {
	return verify.WithArtifact(bytes.NewReader(s.payload))
}

func (s *simple) signed(by verify.VerificationContent, trusted root.TrustedMaterial) error {
	content, err := s.SignatureContent()
	if err != nil {
		return err
	}
	return verify.VerifySignatureWithArtifacts(content, by, trusted, []io.Reader{bytes.NewReader(s.payload)})
}

// read is the payload as the statement that a bundle would hold.
func (s *simple) read() (attest.Statement, error) {
	var said payload.SimpleContainerImage
	if err := json.Unmarshal(s.payload, &said); err != nil {
		return attest.Statement{}, fmt.Errorf("malformed payload: %w", err)
	}
	if said.Critical.Type != payload.CosignSignatureType {
		return attest.Statement{}, fmt.Errorf("the payload is no %s: %.80q", payload.CosignSignatureType, said.Critical.Type)
	}
	digest, err := v1.NewHash(said.Critical.Image.DockerManifestDigest)
	if err != nil {
		return attest.Statement{}, fmt.Errorf("the payload names no image: %w", err)
	}
	return attest.Signature(digest), nil
}

// encodeEnvelope is an envelope in the DSSE specification's JSON (github.com/secure-systems-lab/dsse, envelope.md), byte for
// byte as sigstore-go shows it to a transparency log: cosign compares the entry with the hash in the log.
func encodeEnvelope(e *protodsse.Envelope) ([]byte, error) {
	raw, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encoding an envelope: %w", err)
	}
	return raw, nil
}

func decodeEnvelope(raw []byte) (*protodsse.Envelope, error) {
	var in dsse.Envelope
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, err
	}
	said, err := in.DecodeB64Payload()
	if err != nil {
		return nil, err
	}
	out := &protodsse.Envelope{PayloadType: in.PayloadType, Payload: said}
	for _, s := range in.Signatures {
		sig, err := base64.StdEncoding.DecodeString(s.Sig)
		if err != nil {
			return nil, err
		}
		out.Signatures = append(out.Signatures, &protodsse.Signature{Keyid: s.KeyID, Sig: sig})
	}
	return out, nil
}
