package cosign

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	intoto "github.com/in-toto/attestation/go/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/nanopatch/nanopatch/sign/attest"
)

// seal signs an encoded statement and returns the bundle's JSON.
func seal(ctx context.Context, signer Signer, payload []byte) ([]byte, error) {
	pair, options, err := prepared(ctx, signer)
	if err != nil {
		return nil, err
	}
	return bundleBytes(pair, options, payload)
}

func bundleBytes(pair sign.Keypair, options sign.BundleOptions, payload []byte) ([]byte, error) {
	b, err := sign.Bundle(inEnvelope(payload), pair, options)
	if err != nil {
		return nil, err
	}
	loose, err := protojson.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("encoding a bundle: %w", err)
	}
	// protojson puts spaces where a hash of the running program tells it to, so that nobody relies on its
	// bytes; we do.
	var out bytes.Buffer
	if err := json.Compact(&out, loose); err != nil {
		return nil, fmt.Errorf("encoding a bundle: %w", err)
	}
	return out.Bytes(), nil
}

// inEnvelope is an encoded statement as what is to be signed.
func inEnvelope(payload []byte) sign.Content {
	return &sign.DSSEData{Data: payload, PayloadType: attest.PayloadType}
}

// verdict is what a referrer means for a verification.
type verdict int

const (
	failed verdict = iota
	// malformed is nobody's statement: failed where what else there is does not suffice, and ignored where it does.
	malformed
	ignored
	valid
)

// finding is what one referrer of an image turned out to be.
type finding struct {
	verdict verdict
	digest  v1.Hash // of the referrer's manifest
	// check is the name of the check that a failed one failed, detail why it failed or is ignored.
	check, detail string
	// statement is set in valid ones.
	statement attest.Statement
	// time is when a log or timestamp authority first saw it; nil where none vouches for one.
	time *time.Time
}

func fail(check, format string, args ...any) finding {
	return finding{verdict: failed, check: check, detail: printable(fmt.Sprintf(format, args...))}
}

func ignore(format string, args ...any) finding {
	return finding{verdict: ignored, detail: printable(fmt.Sprintf(format, args...))}
}

// String is the detail, with the referrer if it is about one and not about all of them.
func (f finding) String() string {
	if f.digest == (v1.Hash{}) {
		return f.detail
	}
	return fmt.Sprintf("referrer %s: %s", f.digest, f.detail)
}

// open verifies one bundle: valid if the key signed a statement about the subject.
func (v *Verifier) open(raw []byte, subject v1.Hash) finding {
	var b bundle.Bundle
	if err := b.UnmarshalJSON(raw); err != nil {
		return fail(CheckBundle, "not a sigstore bundle: %v", err)
	}
	if !b.MinVersion("v0.3") {
		return fail(CheckBundle, "bundle of an old version: %.80q", b.GetMediaType())
	}
	if b.GetDsseEnvelope() == nil {
		return ignore("signs bytes and makes no statement")
	}
	e, err := newEnveloped(&b)
	if err != nil {
		return fail(CheckBundle, "%v", err)
	}
	return v.judge(e, subject)
}

// content is what a signature is over, with all that is known of it.
type content interface {
	verify.SignedEntity
	// over is how sigstore is to compare the content with the subject.
	over(subject verify.ArtifactPolicyOption) verify.ArtifactPolicyOption
	// signed tells whether the signature alone is good.
	signed(by verify.VerificationContent, trusted root.TrustedMaterial) error
	// read is what is said; nobody knows yet whether the signer said it.
	read() (attest.Statement, error)
}

// judge verifies what is signed: valid if the trusted signer said it of the subject.
func (v *Verifier) judge(c content, subject v1.Hash) finding {
	by, err := c.VerificationContent()
	if err != nil {
		return fail(CheckBundle, "no usable key hint or certificate: %v", err)
	}
	if why, ok := v.others(by); ok {
		return ignore("%s", why)
	}
	digest, err := hex.DecodeString(subject.Hex)
	if err != nil {
		return fail(CheckSubject, "subject %s: %v", subject, err)
	}
	policy := verify.NewPolicy(c.over(verify.WithArtifactDigest(subject.Algorithm, digest)), v.policy())
	result, err := v.sigstore.Verify(c, policy)
	if err != nil {
		return v.diagnose(c, by, subject, err)
	}
	st, err := c.read()
	if err != nil {
		return fail(CheckBundle, "%v", err)
	}
	if !st.About(subject) {
		return aboutAnother(st)
	}
	f := finding{verdict: valid, statement: st}
	for _, t := range result.VerifiedTimestamps {
		if f.time == nil || t.Timestamp.Before(*f.time) {
			f.time = &t.Timestamp
		}
	}
	return f
}

func aboutAnother(st attest.Statement) finding {
	return fail(CheckSubject, "a statement (%.80q) about another image: %v", st.PredicateType, st.Subject[0].Digest)
}

// diagnose tells why something was refused: the signature is another key's, or bad, or the statement is.
func (v *Verifier) diagnose(c content, by verify.VerificationContent, subject v1.Hash, refusal error) finding {
	if err := c.signed(by, v.trusted); err != nil {
		if key := by.PublicKey(); key != nil && key.Hint() == noHint {
			return ignore("not signed by %s", v)
		} else if key != nil && key.Hint() != "" && key.Hint() != v.fingerprint.hint() {
			return ignore("signed by another key, with hint %.100q", key.Hint())
		}
		return fail(CheckSignature, "the signature is not one of %s over this statement", v)
	}
	st, err := c.read()
	if err != nil {
		return fail(CheckBundle, "%v", err)
	}
	if !st.About(subject) {
		return aboutAnother(st)
	}
	return fail(CheckSignature, "%v", refusal)
}

// enveloped is a bundle whose statement is read by package attest: see the package documentation.
type enveloped struct {
	*bundle.Bundle
	envelope  *bundle.Envelope
	statement *attest.Statement
}

func newEnveloped(b *bundle.Bundle) (*enveloped, error) {
	envelope, err := b.Envelope()
	if err != nil {
		return nil, fmt.Errorf("malformed envelope: %w", err)
	}
	return &enveloped{Bundle: b, envelope: envelope}, nil
}

var errPayloadType = errors.New("the envelope's payload is not an in-toto statement")

func (e *enveloped) over(subject verify.ArtifactPolicyOption) verify.ArtifactPolicyOption {
	return subject
}

func (e *enveloped) signed(by verify.VerificationContent, trusted root.TrustedMaterial) error {
	return verify.VerifySignature(&envelopeContent{Envelope: e.envelope, entity: e}, by, trusted)
}

func (e *enveloped) read() (attest.Statement, error) {
	if e.statement != nil {
		return *e.statement, nil
	}
	if e.envelope.PayloadType != attest.PayloadType {
		return attest.Statement{}, fmt.Errorf("%w: %.80q", errPayloadType, e.envelope.PayloadType)
	}
	st, err := attest.Parse(e.GetDsseEnvelope().GetPayload())
	if err != nil {
		return st, err
	}
	e.statement = &st
	return st, nil
}

// SignatureContent replaces that of bundle.Bundle.
func (e *enveloped) SignatureContent() (verify.SignatureContent, error) {
	return &envelopeContent{Envelope: e.envelope, entity: e}, nil
}

type envelopeContent struct {
	*bundle.Envelope
	entity *enveloped
}

// EnvelopeContent replaces that of bundle.Envelope, so that sigstore-go asks us for the statement.
func (c *envelopeContent) EnvelopeContent() verify.EnvelopeContent { return c }

// Statement returns the subject and types; sigstore-go does not look at the predicate.
func (c *envelopeContent) Statement() (*intoto.Statement, error) {
	st, err := c.entity.read()
	if err != nil {
		return nil, err
	}
	out := &intoto.Statement{Type: st.Type, PredicateType: st.PredicateType}
	for _, s := range st.Subject {
		out.Subject = append(out.Subject, &intoto.ResourceDescriptor{Name: s.Name, Digest: s.Digest})
	}
	return out, nil
}
