package cosign

import (
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
)

// Identity is who signed, and who vouches for that. Neither alone says anything: anybody may run an issuer that vouches for
// any name.
type Identity struct {
	// Subject is the certificate's subject alternative name: an e-mail address, or the URI of a CI job's workflow.
	// SubjectRegexp, anchored as it is written, may stand for it when verifying.
	Subject       string `json:"subject,omitempty"`
	SubjectRegexp string `json:"subjectRegexp,omitempty"`
	// Issuer is the URL of the OpenID Connect issuer.
	Issuer string `json:"issuer"`
}

// String is the identity in one line.
func (i Identity) String() string {
	subject := i.Subject
	if subject == "" {
		subject = "any subject that matches " + i.SubjectRegexp
	}
	return printable(subject + ", vouched for by " + i.Issuer)
}

// ErrIdentity says that an identity is incomplete.
var ErrIdentity = errors.New("an identity is an issuer and either a subject or a pattern of subjects")

// TrustedRoot is whose certificates, logs and time stamps count.
type TrustedRoot struct{ material root.TrustedMaterial }

// LoadTrustedRoot reads a file in sigstore's format (application/vnd.dev.sigstore.trustedroot+json).
func LoadTrustedRoot(path string) (*TrustedRoot, error) {
	material, err := root.NewTrustedRootFromPath(path)
	if err != nil {
		return nil, fmt.Errorf("trusted root %s: %w", path, err)
	}
	return &TrustedRoot{material}, nil
}

// PublicTrustedRoot is that of sigstore's public good instance, fetched and verified by its update framework (TUF).
func PublicTrustedRoot() (*TrustedRoot, error) {
	material, err := root.FetchTrustedRoot()
	if err != nil {
		return nil, fmt.Errorf("fetching sigstore's trusted root: %w", err)
	}
	return &TrustedRoot{material}, nil
}

// NewTrustedRoot takes material that a program has made itself.
func NewTrustedRoot(material root.TrustedMaterial) *TrustedRoot { return &TrustedRoot{material} }

// NewIdentityVerifier returns the verifier of what an identity signs with short-lived certificates. A certificate counts if
// it was valid when the signature was made, by the word of a log or a timestamp authority of the root. With log, an entry
// in a transparency log of the root is required; without, a time stamp is enough. It returns ErrIdentity for an incomplete
// identity.
func NewIdentityVerifier(id Identity, trusted *TrustedRoot, log bool) (*Verifier, error) {
	if id.Issuer == "" || (id.Subject == "") == (id.SubjectRegexp == "") {
		return nil, ErrIdentity
	}
	matcher, err := verify.NewShortCertificateIdentity(id.Issuer, "", id.Subject, id.SubjectRegexp)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIdentity, err)
	}
	options := []verify.VerifierOption{verify.WithObserverTimestamps(1)}
	if log {
		options = append(options, verify.WithTransparencyLog(1))
	}
	if len(trusted.material.CTLogs()) > 0 {
		options = append(options, verify.WithSignedCertificateTimestamps(1))
	}
	sigstore, err := verify.NewVerifier(trusted.material, options...)
	if err != nil {
		return nil, fmt.Errorf("preparing to verify %s: %w", id, err)
	}
	return &Verifier{identity: &id, matcher: matcher, trusted: trusted.material, sigstore: sigstore}, nil
}

// policy is how sigstore is to judge who signed.
func (v *Verifier) policy() verify.PolicyOption {
	if v.identity != nil {
		return verify.WithCertificateIdentity(v.matcher)
	}
	return verify.WithKey()
}

// others tells whether a bundle is not the trusted signer's kind, and why it is passed over then.
func (v *Verifier) others(by verify.VerificationContent) (string, bool) {
	switch signed := by.Certificate(); {
	case v.identity == nil && signed != nil:
		return "signed with a certificate, not with a key", true
	case v.identity != nil && signed == nil:
		return "signed with a key, not with a certificate", true
	case v.identity != nil:
		if who := identityOf(signed); v.matcher.Verify(who.summary) != nil {
			return "the certificate is that of " + who.String(), true
		}
	}
	return "", false
}

// named is the identity in a certificate, as far as it has one.
type named struct {
	Identity
	summary certificate.Summary
}

// identityOf reads a certificate. What cannot be read is nobody's.
func identityOf(c *x509.Certificate) named {
	summary, err := certificate.SummarizeCertificate(c)
	if err != nil {
		return named{Identity: Identity{Subject: "nobody", Issuer: "nobody"}}
	}
	return named{Identity{Subject: summary.SubjectAlternativeName, Issuer: summary.Issuer}, summary}
}
