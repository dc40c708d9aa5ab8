package cosign_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	stock "github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"github.com/nanopatch/nanopatch/sign/cosign"
	"github.com/nanopatch/nanopatch/sign/signtest"
)

func password(p string) func() ([]byte, error) {
	return func() ([]byte, error) { return []byte(p), nil }
}

// writeFile puts a key file into a temporary directory and returns its path.
func writeFile(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestGenerateIsReadByCosign(t *testing.T) {
	pair, err := cosign.Generate([]byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	sv, err := stock.LoadPrivateKey(pair.Private, []byte("secret"), nil)
	if err != nil {
		t.Fatalf("cosign cannot read our key: %v", err)
	}
	want, err := sv.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	got, err := stock.PemToECDSAKey(pair.Public)
	if err != nil {
		t.Fatalf("cosign cannot read our public key: %v", err)
	}
	if !got.Equal(want) {
		t.Error("the two halves do not belong together")
	}
}

func TestCosignsKeyIsReadByUs(t *testing.T) {
	pair, err := stock.GenerateKeyPair(func(bool) ([]byte, error) { return []byte("secret"), nil })
	if err != nil {
		t.Fatal(err)
	}
	private := writeFile(t, "cosign.key", pair.PrivateBytes)
	signer, err := cosign.LoadSigner(private, password("secret"))
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := cosign.LoadVerifier(writeFile(t, "cosign.pub", pair.PublicBytes))
	if err != nil {
		t.Fatal(err)
	}
	if signer.KeyID() != verifier.KeyID() || !strings.HasPrefix(signer.KeyID(), "sha256:") {
		t.Errorf("key IDs %s and %s", signer.KeyID(), verifier.KeyID())
	}
	if _, err := cosign.LoadSigner(private, password("Secret")); !errors.Is(err, cosign.ErrPassword) {
		t.Errorf("wrong password: %v", err)
	}
	noTerminal := errors.New("no terminal")
	_, err = cosign.LoadSigner(private, func() ([]byte, error) { return nil, noTerminal })
	if !errors.Is(err, noTerminal) {
		t.Errorf("failing password function: %v", err)
	}
}

func TestWriteFiles(t *testing.T) {
	pair := cosign.KeyPair{Private: []byte("private"), Public: []byte("public")}
	prefix := filepath.Join(t.TempDir(), "cosign")
	if err := pair.WriteFiles(prefix); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(prefix + ".key")
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("private key: %v, %v", info, err)
	}
	if err := pair.WriteFiles(prefix); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second time: %v", err)
	}
	if err := os.Remove(prefix + ".key"); err != nil {
		t.Fatal(err)
	}
	if err := pair.WriteFiles(prefix); !errors.Is(err, fs.ErrExist) {
		t.Errorf("with a public key there: %v", err)
	}
	if _, err := os.Stat(prefix + ".key"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half a key pair was left behind: %v", err)
	}
}

func TestUnusableKeyFiles(t *testing.T) {
	pair, err := cosign.Generate(nil)
	if err != nil {
		t.Fatal(err)
	}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	weakPublic, err := cryptoutils.MarshalPublicKeyToPEM(weak.Public())
	if err != nil {
		t.Fatal(err)
	}
	plain := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(weak)})
	tests := []struct {
		name          string
		path          string
		asPriv, asPub string // part of the error; "" is not tried
		wantNotErrKey bool
	}{
		{"empty", writeFile(t, "k", nil), "not a PEM file", "PEM", false},
		{"private", writeFile(t, "k", pair.Private), "", "is a private key", false},
		{"public", writeFile(t, "k", pair.Public), "PUBLIC KEY", "", false},
		{"unencrypted", writeFile(t, "k", plain), "RSA PRIVATE KEY", "", false},
		{"weak", writeFile(t, "k", weakPublic), "", "1024 is not supported", false},
		{"huge", writeFile(t, "k", make([]byte, 1<<20)), "larger than", "larger than", false},
		{"key service", "awskms:///alias/x", "not supported", "not supported", false},
		{"missing", filepath.Join(t.TempDir(), "none"), "no such file", "no such file", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			check := func(err error, want string) {
				t.Helper()
				if want == "" {
					return
				}
				if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, cosign.ErrKey) == tt.wantNotErrKey {
					t.Errorf("error %v, want one with %q", err, want)
				}
			}
			asked := false
			_, err := cosign.LoadSigner(tt.path, func() ([]byte, error) { asked = true; return nil, nil })
			check(err, tt.asPriv)
			if tt.asPriv != "" && asked {
				t.Error("asked for the password of what is no key")
			}
			_, err = cosign.LoadVerifier(tt.path)
			check(err, tt.asPub)
		})
	}
}

// Every kind of key that `cosign import-key-pair` takes signs deterministically and verifies.
func TestKindsOfKeys(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsa2048, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{"ECDSA P-384": p384, "RSA 2048": rsa2048, "Ed25519": ed} {
		t.Run(name, func(t *testing.T) {
			signer, err := cosign.NewSigner(key)
			if err != nil {
				t.Fatal(err)
			}
			verifier, err := cosign.NewVerifier(key.Public())
			if err != nil {
				t.Fatal(err)
			}
			_, d := signtest.Image(t, "rebuilt")
			var artifacts []string
			for range 2 {
				repo := &signtest.Memory{}
				record, err := cosign.Sign(t.Context(), repo, d, cosign.SignOptions{Signer: signer})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := cosign.Verify(t.Context(), repo, d.Digest, cosign.VerifyOptions{Verifier: verifier}); err != nil {
					t.Error(err)
				}
				artifacts = append(artifacts, record.Digest.String())
			}
			if artifacts[0] != artifacts[1] {
				t.Errorf("two artifacts: %s", artifacts)
			}
		})
	}
}

func TestStrangeKeys(t *testing.T) {
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cosign.NewSigner(p224); !errors.Is(err, cosign.ErrKey) {
		t.Errorf("P-224: %v", err)
	}
	if _, err := cosign.NewSigner(opaque{p224}); !errors.Is(err, cosign.ErrKey) {
		t.Errorf("an unknown signer: %v", err)
	}
	if _, err := cosign.NewVerifier(nil); !errors.Is(err, cosign.ErrKey) {
		t.Errorf("no key: %v", err)
	}
}

// A signer may end up in a log line or an error.
func TestSignerDoesNotPrintItsKey(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := cosign.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, signer); got != "key "+signer.KeyID() {
			t.Errorf("%s prints %s", verb, got)
		}
	}
}

type opaque struct{ crypto.Signer }
