package apttest

import (
	"bytes"
	"crypto"
	_ "embed"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// Key is an OpenPGP key that signs test repositories.
type Key struct {
	entity *openpgp.Entity
}

// testKey was made by NewKey("nanopatch test repository", …) on a fixed date. It signs nothing but tests.
//
//go:embed test-key.asc
var testKey []byte

// TestKey returns the key that is the same in every run: Ed25519, made on 2020-01-01, without expiry.
func TestKey() *Key {
	keys, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(testKey))
	if err != nil {
		panic(fmt.Sprintf("the embedded test key: %v", err)) // cannot happen in a built package
	}
	return &Key{keys[0]}
}

// NewKey makes a key that becomes valid at created and, unless lifetime is 0, expires after it.
func NewKey(name string, created time.Time, lifetime time.Duration) (*Key, error) {
	cfg := config(created)
	cfg.Algorithm, cfg.Curve = packet.PubKeyAlgoEdDSA, packet.Curve25519
	cfg.KeyLifetimeSecs = uint32(lifetime / time.Second)
	e, err := openpgp.NewEntity(name, "", "test@example.org", cfg)
	if err != nil {
		return nil, fmt.Errorf("making a test key: %w", err)
	}
	e.Subkeys = nil // the one for encryption is of no use
	return &Key{e}, nil
}

// Revoke marks the key as revoked at the given time.
func (k *Key) Revoke(at time.Time) error {
	return k.entity.Revoke(packet.KeyCompromised, "test", config(at))
}

// Fingerprint of the key, upper-case hexadecimal.
func (k *Key) Fingerprint() string {
	return strings.ToUpper(hex.EncodeToString(k.entity.PrimaryKey.Fingerprint))
}

// Public is the public key as a binary keyring, as in trusted.gpg.d/NAME.gpg.
func (k *Key) Public() ([]byte, error) {
	var b bytes.Buffer
	if err := k.entity.Serialize(&b); err != nil {
		return nil, fmt.Errorf("writing a test key: %w", err)
	}
	return b.Bytes(), nil
}

// Armored is the public key as text, as in trusted.gpg.d/NAME.asc.
func (k *Key) Armored() ([]byte, error) {
	return armored(openpgp.PublicKeyType, k.entity.Serialize)
}

// SignInline makes a clear-signed message of text, as InRelease is, with the signatures of all keys.
func SignInline(text []byte, at time.Time, keys ...*Key) ([]byte, error) {
	var private []*packet.PrivateKey
	for _, k := range keys {
		private = append(private, k.entity.PrivateKey)
	}
	var b bytes.Buffer
	w, err := clearsign.EncodeMulti(&b, private, config(at))
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	// The line end before the signature block is not part of the message.
	if _, err := w.Write(bytes.TrimSuffix(text, []byte("\n"))); err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// SignDetached makes an armored detached signature of text, as Release.gpg is.
func (k *Key) SignDetached(text []byte, at time.Time) ([]byte, error) {
	return k.signDetached(text, at, crypto.SHA256)
}

// SignWeakly is SignDetached over SHA-1, which nobody must accept.
func (k *Key) SignWeakly(text []byte, at time.Time) ([]byte, error) {
	return k.signDetached(text, at, crypto.SHA1)
}

func (k *Key) signDetached(text []byte, at time.Time, hash crypto.Hash) ([]byte, error) {
	sig := &packet.Signature{
		Version:           k.entity.PrimaryKey.Version,
		SigType:           packet.SigTypeBinary,
		PubKeyAlgo:        k.entity.PrimaryKey.PubKeyAlgo,
		Hash:              hash,
		CreationTime:      at,
		IssuerKeyId:       &k.entity.PrimaryKey.KeyId,
		IssuerFingerprint: k.entity.PrimaryKey.Fingerprint,
	}
	h := hash.New()
	h.Write(text)
	if err := sig.Sign(h, k.entity.PrivateKey, config(at)); err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	return armored(openpgp.SignatureType, sig.Serialize)
}

func armored(kind string, write func(io.Writer) error) ([]byte, error) {
	var b bytes.Buffer
	w, err := armor.Encode(&b, kind, nil)
	if err != nil {
		return nil, fmt.Errorf("writing %s: %w", kind, err)
	}
	if err := write(w); err != nil {
		return nil, fmt.Errorf("writing %s: %w", kind, err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("writing %s: %w", kind, err)
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// config makes signatures a function of what is signed: no clock, no salt.
func config(at time.Time) *packet.Config {
	salted := false
	return &packet.Config{
		Time:                                  func() time.Time { return at },
		NonDeterministicSignaturesViaNotation: &salted,
	}
}
