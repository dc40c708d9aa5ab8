package cosign

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
)

// Verifier verifies bundles against one public key, or one identity. It is safe for concurrent use.
type Verifier struct {
	// fingerprint is that of the key; zero where an identity is trusted.
	fingerprint fingerprint
	// identity and matcher are set where an identity is trusted.
	identity *Identity
	matcher  verify.CertificateIdentity
	trusted  root.TrustedMaterial
	sigstore *verify.Verifier
}

// LoadVerifier reads a public key file: PEM, as in cosign.pub. Errors: ErrKey and those of reading the file.
func LoadVerifier(path string) (*Verifier, error) {
	file, err := readKeyFile(path)
	if err != nil {
		return nil, err
	}
	if block, _ := pem.Decode(file); block != nil && (block.Type == pemPrivate || block.Type == pemPrivateOld) {
		return nil, fmt.Errorf("%w: %s is a private key; verifying takes the public one", ErrKey, path)
	}
	public, err := cryptoutils.UnmarshalPEMToPublicKey(file)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrKey, path, err)
	}
	v, err := NewVerifier(public)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", path, err)
	}
	return v, nil
}

// NewVerifier returns the verifier of an *ecdsa.PublicKey, an *rsa.PublicKey or an ed25519.PublicKey. It
// returns ErrKey for another kind, and for sizes and curves that sigstore refuses.
func NewVerifier(public crypto.PublicKey) (*Verifier, error) {
	f, err := fingerprintOf(public)
	if err != nil {
		return nil, err
	}
	key, err := newAnyHash(public)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	// The hint in a bundle is not signed, and tools disagree about its form: it never selects the key.
	trusted := root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) {
		return root.NewExpiringKey(key, time.Time{}, time.Time{}), nil
	})
	// A key has no validity period, so there is no time to establish: neither log nor timestamps.
	sigstore, err := verify.NewVerifier(trusted, verify.WithNoObserverTimestamps())
	if err != nil {
		return nil, fmt.Errorf("preparing to verify with key %s: %w", f.id(), err)
	}
	return &Verifier{fingerprint: f, trusted: trusted, sigstore: sigstore}, nil
}

// KeyID is the public key's SHA-256: "sha256:" and 64 hexadecimal digits, what
// `openssl pkey -pubin -in cosign.pub -outform der | sha256sum` prints.
// It is empty where an identity is trusted.
func (v *Verifier) KeyID() string {
	if v.identity != nil {
		return ""
	}
	return v.fingerprint.id()
}

// Identity is the identity that is trusted, nil where a key is.
func (v *Verifier) Identity() *Identity { return v.identity }

// String names whom the verifier trusts: "key sha256:…" or the identity.
func (v *Verifier) String() string {
	if v.identity != nil {
		return v.identity.String()
	}
	return "key " + v.KeyID()
}

// anyHash accepts a key's signature over each of the hashes that tools sign with: SHA-256 and, for large
// curves, the curve's own (cosign signs with that one and verifies with the other unless told); Ed25519 with
// and without its pre-hash.
type anyHash []signature.Verifier

func newAnyHash(public crypto.PublicKey) (anyHash, error) {
	first, err := signature.LoadVerifier(public, crypto.SHA256)
	if err != nil {
		return nil, err
	}
	var second signature.Verifier
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		second, err = signature.LoadDefaultVerifier(key)
	case ed25519.PublicKey:
		second, err = signature.LoadED25519phVerifier(key)
	default:
		return anyHash{first}, nil
	}
	if err != nil {
		return nil, err
	}
	return anyHash{first, second}, nil
}

func (a anyHash) PublicKey(opts ...signature.PublicKeyOption) (crypto.PublicKey, error) {
	return a[0].PublicKey(opts...)
}

func (a anyHash) VerifySignature(sig, message io.Reader, opts ...signature.VerifyOption) error {
	s, err := io.ReadAll(sig)
	if err != nil {
		return err
	}
	m, err := io.ReadAll(message)
	if err != nil {
		return err
	}
	var refusals []error
	for _, v := range a {
		err := v.VerifySignature(bytes.NewReader(s), bytes.NewReader(m), opts...)
		if err == nil {
			return nil
		}
		refusals = append(refusals, err)
	}
	return errors.Join(refusals...)
}
