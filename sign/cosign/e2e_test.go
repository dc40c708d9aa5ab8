//go:build e2e

package cosign_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/nanopatch/nanopatch/sign/attest"
	"github.com/nanopatch/nanopatch/sign/cosign"
	"github.com/nanopatch/nanopatch/sign/signtest"
)

// emptyRoot is a trusted root that trusts no service: with a key there is none to trust, but the stock tool
// fetches sigstore's own unless it is given one.
const emptyRoot = `{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`

const e2ePassword = "correct horse"

// stockTool is the cosign command line tool with a key pair, in a directory of its own.
type stockTool struct {
	path, dir string
	env       []string // beside the usual
}

// newStockTool finds the tool in $NANOPATCH_COSIGN, else in PATH.
func newStockTool(t *testing.T) *stockTool {
	t.Helper()
	path := os.Getenv("NANOPATCH_COSIGN")
	if path == "" {
		var err error
		if path, err = exec.LookPath("cosign"); err != nil {
			t.Skipf("no stock cosign to test against: neither NANOPATCH_COSIGN nor PATH has one: %v", err)
		}
	}
	s := &stockTool{path: path, dir: t.TempDir()}
	if err := os.WriteFile(s.file("root.json"), []byte(emptyRoot), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *stockTool) file(name string) string { return filepath.Join(s.dir, name) }

// run runs the tool and returns its standard output.
func (s *stockTool) run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), s.path, args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "COSIGN_PASSWORD="+e2ePassword, "HOME="+s.dir)
	cmd.Env = append(cmd.Env, s.env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	t.Logf("cosign %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	return stdout.String(), err
}

func (s *stockTool) must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := s.run(t, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// trust are the flags to verify with a key, offline, over plain HTTP on the loopback interface.
func (s *stockTool) trust() []string {
	return []string{
		"--key", s.file("cosign.pub"), "--insecure-ignore-tlog=true", "--new-bundle-format",
		"--trusted-root", s.file("root.json"), "--allow-http-registry",
	}
}

func (s *stockTool) load(t *testing.T) (*cosign.KeySigner, *cosign.Verifier) {
	t.Helper()
	signer, err := cosign.LoadSigner(s.file("cosign.key"), password(e2ePassword))
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := cosign.LoadVerifier(s.file("cosign.pub"))
	if err != nil {
		t.Fatal(err)
	}
	return signer, verifier
}

// eachRegistry runs a test on a registry with and one without the referrers API, with an image pushed.
func eachRegistry(t *testing.T, test func(t *testing.T, repo *signtest.Remote, image v1.Image, d v1.Descriptor)) {
	for name, referrers := range map[string]bool{"referrers": true, "fallback tag": false} {
		t.Run(name, func(t *testing.T) {
			image, d := signtest.Image(t, "rebuilt")
			test(t, push(t, image, d, referrers), image, d)
		})
	}
}

func TestStockToolVerifiesOurs(t *testing.T) {
	eachRegistry(t, func(t *testing.T, repo *signtest.Remote, image v1.Image, d v1.Descriptor) {
		tool := newStockTool(t)
		pair, err := cosign.Generate([]byte(e2ePassword))
		if err != nil {
			t.Fatal(err)
		}
		if err := pair.WriteFiles(tool.file("cosign")); err != nil {
			t.Fatal(err)
		}
		signer, _ := tool.load(t)
		cyclonedx := statement(t, d.Digest, attest.PredicateCycloneDX, `{"bomFormat":"CycloneDX","specVersion":"1.6"}`)
		diff := statement(t, d.Digest, attest.PredicateDiff, `{"kind":"Diff"}`)
		_, err = cosign.Attest(t.Context(), repo, d, cosign.SignOptions{Signer: signer},
			attest.Signature(d.Digest), sbom(t, d.Digest), cyclonedx, provenance(t, d.Digest), diff)
		if err != nil {
			t.Fatal(err)
		}

		ref := repo.Repo.Digest(d.Digest.String()).String()
		out := tool.must(t, append([]string{"verify", ref}, tool.trust()...)...)
		if !strings.Contains(out, attest.PredicateSign) {
			t.Errorf("the tool does not print the sign predicate: %.500s", out)
		}
		for _, kind := range []string{"spdxjson", "cyclonedx", "slsaprovenance1", attest.PredicateDiff} {
			tool.must(t, append([]string{"verify-attestation", ref, "--type", kind}, tool.trust()...)...)
		}
		_, err = tool.run(t, append([]string{"verify-attestation", ref, "--type", "openvex"}, tool.trust()...)...)
		if err == nil {
			t.Error("the tool found an attestation that is not there")
		}
		stockToolRefusesChanged(t, tool, repo, image)
	})
}

// stockToolRefusesChanged changes one byte of the image's manifest.
func stockToolRefusesChanged(t *testing.T, tool *stockTool, repo *signtest.Remote, image v1.Image) {
	t.Helper()
	raw, err := image.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	changed := forged{Image: image, manifest: bytes.Replace(raw, []byte(`{`), []byte("{ "), 1)}
	tag := repo.Repo.Tag("changed")
	if err := remote.Put(tag, changed); err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{
		{"verify", tag.String()},
		{"verify-attestation", tag.String(), "--type", "spdxjson"},
	} {
		if _, err := tool.run(t, append(command, tool.trust()...)...); err == nil {
			t.Errorf("the tool verified a changed image: %s", command)
		}
	}
}

func TestWeVerifyTheStockTools(t *testing.T) {
	eachRegistry(t, func(t *testing.T, repo *signtest.Remote, _ v1.Image, d v1.Descriptor) {
		tool := newStockTool(t)
		tool.must(t, "generate-key-pair")
		signer, verifier := tool.load(t)
		ref := repo.Repo.Digest(d.Digest.String()).String()
		tool.attest(t, ref)

		// What the package documentation says of the stock tool: it takes an SBOM for a signature.
		tool.must(t, append([]string{"verify", ref}, tool.trust()...)...)
		opts := cosign.VerifyOptions{Verifier: verifier, Require: []string{attest.PredicateSPDX}}
		if _, err := cosign.Verify(t.Context(), repo, d.Digest, opts); !errors.Is(err, cosign.ErrVerification) {
			t.Errorf("an image with an SBOM and no signature: %v", err)
		}

		tool.sign(t, ref)
		report, err := cosign.Verify(t.Context(), repo, d.Digest, opts)
		if err != nil {
			t.Fatalf("%v\n%+v", err, report)
		}
		if len(report.Signatures) != 1 || len(report.Attestations) != 1 {
			t.Errorf("report %+v", report)
		}
		if got := string(report.Statements(attest.PredicateSPDX)[0].Predicate); !strings.Contains(got, "SPDX-2.3") {
			t.Errorf("predicate %s", got)
		}
		record, err := cosign.Sign(t.Context(), repo, d, cosign.SignOptions{Signer: signer})
		if err != nil || !record.Reused {
			t.Errorf("the tool's signature is not reused: %+v, %v", record, err)
		}

		_, other := signtest.Image(t, "changed")
		if _, err := cosign.Verify(t.Context(), repo, other.Digest, opts); !errors.Is(err, cosign.ErrVerification) {
			t.Errorf("another image: %v", err)
		}
	})
}

func (s *stockTool) sign(t *testing.T, ref string) {
	t.Helper()
	s.must(t, "sign", "--key", s.file("cosign.key"), "--new-bundle-format", "--tlog-upload=false", "--yes",
		"--allow-http-registry", ref)
}

func (s *stockTool) attest(t *testing.T, ref string) {
	t.Helper()
	if err := os.WriteFile(s.file("sbom.json"), []byte(`{"spdxVersion":"SPDX-2.3"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s.must(t, "attest", "--key", s.file("cosign.key"), "--new-bundle-format", "--tlog-upload=false", "--yes",
		"--allow-http-registry", "--type", "spdxjson", "--predicate", s.file("sbom.json"), ref)
}

// Keys that are imported into cosign's format rather than generated there.
func TestStockToolImportedKeys(t *testing.T) {
	for name, key := range importable(t) {
		t.Run(name, func(t *testing.T) {
			tool := newStockTool(t)
			der, err := x509.MarshalPKCS8PrivateKey(key)
			if err != nil {
				t.Fatal(err)
			}
			plain := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
			if err := os.WriteFile(tool.file("plain.pem"), plain, 0o600); err != nil {
				t.Fatal(err)
			}
			tool.must(t, "import-key-pair", "--key", tool.file("plain.pem"), "--output-key-prefix", tool.file("cosign"))
			signer, verifier := tool.load(t)

			image, d := signtest.Image(t, "rebuilt")
			theirs := push(t, image, d, true)
			tool.sign(t, theirs.Repo.Digest(d.Digest.String()).String())
			_, err = cosign.Verify(t.Context(), theirs, d.Digest, cosign.VerifyOptions{Verifier: verifier})
			if err != nil {
				t.Errorf("we cannot verify what the tool signed: %v", err)
			}

			ours := push(t, image, d, true)
			if _, err := cosign.Sign(t.Context(), ours, d, cosign.SignOptions{Signer: signer}); err != nil {
				t.Fatal(err)
			}
			ref := ours.Repo.Digest(d.Digest.String()).String()
			tool.must(t, append([]string{"verify", ref}, tool.trust()...)...)
		})
	}
}

func importable(t *testing.T) map[string]crypto.Signer {
	t.Helper()
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsa3072, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]crypto.Signer{"ECDSA P-384": p384, "RSA 3072": rsa3072, "Ed25519": ed}
}
