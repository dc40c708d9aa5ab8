package cosign

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
	"github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/sigstore/pkg/cryptoutils/goodkey" //nolint:staticcheck // deprecated without a successor; it is what sigstore accepts
)

// The PEM types of cosign's private key files: what it writes today, and what it wrote before 2.0.
const (
	pemPrivate    = "ENCRYPTED SIGSTORE PRIVATE KEY"
	pemPrivateOld = "ENCRYPTED COSIGN PRIVATE KEY"
)

const maxKeyFile = 64 << 10 // bytes

var (
	// ErrKey says that a key file or key is not one that can be used.
	ErrKey = errors.New("unusable key")
	// ErrPassword says that a private key file could not be decrypted with the password given.
	ErrPassword = errors.New("wrong password, or a damaged key file")
)

// KeyPair is a new key pair as cosign's files hold it.
type KeyPair struct {
	// Private is PEM: a PKCS #8 key, encrypted with a key that scrypt derives from the password.
	Private []byte
	// Public is PEM: a PKIX public key.
	Public []byte
}

// Generate makes an ECDSA P-256 key pair, as `cosign generate-key-pair` does. An empty password is allowed,
// as it is there.
func Generate(password []byte) (KeyPair, error) {
	keys, err := cosign.GenerateKeyPair(func(bool) ([]byte, error) { return password, nil })
	if err != nil {
		return KeyPair{}, fmt.Errorf("generating a key: %w", err)
	}
	return KeyPair{Private: keys.PrivateBytes, Public: keys.PublicBytes}, nil
}

// WriteFiles writes prefix.key, readable by its owner only, and prefix.pub. It overwrites neither: where one
// of them exists, the error is fs.ErrExist and nothing is left behind.
func (k KeyPair) WriteFiles(prefix string) error {
	if err := writeNew(prefix+".key", k.Private, 0o600); err != nil {
		return err
	}
	if err := writeNew(prefix+".pub", k.Public, 0o644); err != nil {
		return errors.Join(err, os.Remove(prefix+".key"))
	}
	return nil
}

func writeNew(path string, content []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("writing a key: %w", err)
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", path, err), os.Remove(path))
	}
	return nil
}

// decrypt reads the private key out of a cosign key file. The password is asked for only if it is needed.
func decrypt(file []byte, password func() ([]byte, error)) (crypto.Signer, error) {
	block, _ := pem.Decode(file)
	if block == nil {
		return nil, fmt.Errorf("%w: not a PEM file", ErrKey)
	}
	if block.Type != pemPrivate && block.Type != pemPrivateOld {
		return nil, fmt.Errorf("%w: a PEM file with %.60q, not an encrypted private key of cosign", ErrKey, block.Type)
	}
	pass, err := password()
	if err != nil {
		return nil, fmt.Errorf("asking for the password: %w", err)
	}
	der, err := encrypted.Decrypt(block.Bytes, pass)
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrPassword, err)
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%w: a %T cannot sign", ErrKey, key)
	}
	return signer, nil
}

// readKeyFile reads a small file. References to key services have their own schemes, and a path that looks
// like one is a mistake that deserves a better message than "no such file".
func readKeyFile(path string) ([]byte, error) {
	if scheme, _, ok := strings.Cut(path, "://"); ok {
		return nil, fmt.Errorf("%w: %s: keys of %q are not supported, only key files", ErrKey, path, scheme)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading a key: %w", err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if len(content) > maxKeyFile {
		return nil, fmt.Errorf("%w: %s is larger than %d bytes", ErrKey, path, maxKeyFile)
	}
	return content, nil
}

// fingerprint is the SHA-256 of a public key's PKIX form.
type fingerprint [sha256.Size]byte

// fingerprintOf also checks that the key is of a kind and size that sigstore accepts.
func fingerprintOf(public crypto.PublicKey) (fingerprint, error) {
	if err := goodkey.ValidatePubKey(public); err != nil {
		return fingerprint{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return fingerprint{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return sha256.Sum256(der), nil
}

// id is how we print a key: what `openssl pkey -pubin -in cosign.pub -outform der | sha256sum` prints.
func (f fingerprint) id() string { return "sha256:" + hex.EncodeToString(f[:]) }

// hint is how a bundle of cosign names the key that signed it.
func (f fingerprint) hint() string { return base64.StdEncoding.EncodeToString(f[:]) }
