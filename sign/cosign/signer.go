package cosign

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"

	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
)

// Signer holds, or reaches, a private key.
type Signer interface {
	// Public is the key that verifies what Sign makes: ECDSA, RSA or Ed25519.
	Public() crypto.PublicKey
	// Sign signs a message: ECDSA (ASN.1) and RSA (PKCS #1 v1.5) the message's SHA-256, Ed25519 the
	// message itself. This is what `cosign verify --key` checks unless it is told otherwise.
	Sign(ctx context.Context, message []byte) ([]byte, error)
}

// KeySigner is a Signer whose private key is in memory. Its signatures are deterministic.
type KeySigner struct {
	key         crypto.Signer
	fingerprint fingerprint
}

// NewSigner returns the signer of an *ecdsa.PrivateKey, an *rsa.PrivateKey or an ed25519.PrivateKey. It
// returns ErrKey for another kind, and for sizes and curves that sigstore refuses.
func NewSigner(key crypto.Signer) (*KeySigner, error) {
	switch key.(type) {
	case *ecdsa.PrivateKey, *rsa.PrivateKey, ed25519.PrivateKey:
	default:
		return nil, fmt.Errorf("%w: a %T cannot sign here", ErrKey, key)
	}
	f, err := fingerprintOf(key.Public())
	if err != nil {
		return nil, err
	}
	return &KeySigner{key: key, fingerprint: f}, nil
}

// LoadSigner reads a private key file of cosign (`cosign generate-key-pair`, `cosign import-key-pair`, or
// Generate). The password function is called once, after the file turned out to be a key file. Errors:
// ErrPassword, ErrKey, those of reading the file and those of the password function.
func LoadSigner(path string, password func() ([]byte, error)) (*KeySigner, error) {
	file, err := readKeyFile(path)
	if err != nil {
		return nil, err
	}
	key, err := decrypt(file, password)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", path, err)
	}
	s, err := NewSigner(key)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", path, err)
	}
	return s, nil
}

// Public implements Signer.
func (s *KeySigner) Public() crypto.PublicKey { return s.key.Public() }

// KeyID is the public key's SHA-256: "sha256:" and 64 hexadecimal digits.
func (s *KeySigner) KeyID() string { return s.fingerprint.id() }

// String names the key by its ID. Without it, a log line with a signer in it would print the private key.
func (s *KeySigner) String() string { return "key " + s.KeyID() }

// GoString is String.
func (s *KeySigner) GoString() string { return s.String() }

// Sign implements Signer. No randomness goes into the signature: RSA PKCS #1 v1.5 and Ed25519 have none, and
// crypto/ecdsa without a source of it makes the deterministic signatures of RFC 6979.
func (s *KeySigner) Sign(_ context.Context, message []byte) ([]byte, error) {
	if _, ok := s.key.(ed25519.PrivateKey); ok {
		return s.key.Sign(nil, message, crypto.Hash(0))
	}
	digest := sha256.Sum256(message)
	return s.key.Sign(nil, digest[:], crypto.SHA256)
}

// keypair is a Signer as sigstore-go wants it.
type keypair struct {
	signer      Signer
	fingerprint fingerprint
	algorithm   signature.AlgorithmDetails
}

func newKeypair(s Signer) (*keypair, error) {
	f, err := fingerprintOf(s.Public())
	if err != nil {
		return nil, err
	}
	algorithm, err := signature.GetDefaultAlgorithmDetails(s.Public())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return &keypair{signer: s, fingerprint: f, algorithm: algorithm}, nil
}

// SignData returns the signature and what was signed; the latter is used for bundles without an envelope only.
func (k *keypair) SignData(ctx context.Context, data []byte) (sig, signed []byte, err error) {
	sig, err = k.signer.Sign(ctx, data)
	if err != nil {
		return nil, nil, fmt.Errorf("signing with key %s: %w", k.fingerprint.id(), err)
	}
	digest := sha256.Sum256(data)
	return sig, digest[:], nil
}

func (k *keypair) GetHashAlgorithm() protocommon.HashAlgorithm {
	return protocommon.HashAlgorithm_SHA2_256
}

func (k *keypair) GetSigningAlgorithm() protocommon.PublicKeyDetails {
	return k.algorithm.GetSignatureAlgorithm()
}

func (k *keypair) GetHint() []byte { return []byte(k.fingerprint.hint()) }

func (k *keypair) GetKeyAlgorithm() string {
	switch k.signer.Public().(type) {
	case *rsa.PublicKey:
		return "RSA"
	case ed25519.PublicKey:
		return "ED25519"
	default:
		return "ECDSA"
	}
}

func (k *keypair) GetPublicKey() crypto.PublicKey { return k.signer.Public() }

func (k *keypair) GetPublicKeyPem() (string, error) {
	pem, err := cryptoutils.MarshalPublicKeyToPEM(k.signer.Public())
	return string(pem), err
}
