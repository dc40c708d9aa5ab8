package cosign

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"strings"

	"github.com/sigstore/sigstore/pkg/signature/kms"
	// Each service that kms.Get knows registers itself.
	_ "github.com/sigstore/sigstore/pkg/signature/kms/aws"
	_ "github.com/sigstore/sigstore/pkg/signature/kms/azure"
	_ "github.com/sigstore/sigstore/pkg/signature/kms/gcp"
	_ "github.com/sigstore/sigstore/pkg/signature/kms/hashivault"
	"github.com/sigstore/sigstore/pkg/signature/options"
)

// ErrKMS says that a key management service could not be used.
var ErrKMS = errors.New("key management service")

// IsKMS tells whether a key's name is a reference to a key management service: "awskms://…", "azurekms://…", "gcpkms://…",
// "hashivault://…" (sigstore's names, as with cosign).
func IsKMS(ref string) bool {
	scheme, _, ok := strings.Cut(ref, "://")
	return ok && (strings.HasSuffix(scheme, "kms") || scheme == "hashivault")
}

// KMSSigner is a Signer whose private key never leaves a key management service. Credentials are those that the service's
// own tools use: environment, instance role, login.
type KMSSigner struct {
	key    kms.SignerVerifier
	public crypto.PublicKey
	ref    string
}

// LoadKMS reaches a key by its reference. Errors: ErrKMS, and ErrKey for a kind of key that cannot be used.
func LoadKMS(ctx context.Context, ref string) (*KMSSigner, error) {
	key, err := kms.Get(ctx, ref, crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrKMS, ref, err)
	}
	public, err := key.PublicKey(options.WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("%w: %s: reading the public key: %w", ErrKMS, ref, err)
	}
	if _, err := fingerprintOf(public); err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	return &KMSSigner{key: key, public: public, ref: ref}, nil
}

// Public implements Signer.
func (k *KMSSigner) Public() crypto.PublicKey { return k.public }

// Sign implements Signer. The service may put randomness into its signatures.
func (k *KMSSigner) Sign(ctx context.Context, message []byte) ([]byte, error) {
	sig, err := k.key.SignMessage(bytes.NewReader(message), options.WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrKMS, k.ref, err)
	}
	return sig, nil
}
