package signtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"testing"

	"github.com/nanopatch/nanopatch/sign/cosign"
)

// Key returns the signer whose private key is derived from a name; the same name gives the same key.
func Key(tb testing.TB, name string) *cosign.KeySigner {
	tb.Helper()
	secret := sha256.Sum256([]byte(name))
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), secret[:])
	if err != nil {
		tb.Fatal(err)
	}
	signer, err := cosign.NewSigner(key)
	if err != nil {
		tb.Fatal(err)
	}
	return signer
}

// Verifier returns the verifier of what Key(name) signs.
func Verifier(tb testing.TB, name string) *cosign.Verifier {
	tb.Helper()
	v, err := cosign.NewVerifier(Key(tb, name).Public())
	if err != nil {
		tb.Fatal(err)
	}
	return v
}
