package cosign_test

import (
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/sign/attest"
	"github.com/nanopatch/nanopatch/sign/cosign"
	"github.com/nanopatch/nanopatch/sign/signtest"
)

const bundleType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// sbom is a statement of about the size of a small SBOM.
func sbom(t testing.TB, image v1.Hash) attest.Statement {
	t.Helper()
	packages := strings.Repeat(`{"name":"openssl","versionInfo":"3.0.17-1~deb12u2"},`, 500)
	return statement(t, image, attest.PredicateSPDX, `{"spdxVersion":"SPDX-2.3","packages":[`+packages+`{}]}`)
}

func provenance(t testing.TB, image v1.Hash) attest.Statement {
	t.Helper()
	_, source := signtest.Image(t, "source")
	st, err := attest.NewProvenance(image, attest.Provenance{
		BuilderID:          "https://ci.example",
		BuildType:          attest.BuildTypeRebuild,
		ExternalParameters: json.RawMessage(`{"level":"patch"}`),
		ResolvedDependencies: []attest.Resource{
			{Name: attest.NameSource, URI: "registry.example/base:1", Digest: attest.Digest(source.Digest)},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func statement(t testing.TB, image v1.Hash, predicateType, predicate string) attest.Statement {
	t.Helper()
	st, err := attest.New(image, predicateType, json.RawMessage(predicate))
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// mustSign signs and attests; the records are those of the signature and the statements.
func mustSign(
	t testing.TB, repo cosign.Repository, image v1.Descriptor, key string, statements ...attest.Statement,
) []cosign.Record {
	t.Helper()
	statements = slices.Insert(statements, 0, attest.Signature(image.Digest))
	records, err := cosign.Attest(t.Context(), repo, image, cosign.SignOptions{Signer: signtest.Key(t, key)}, statements...)
	if err != nil {
		t.Fatal(err)
	}
	return records
}

// bundleOf returns the one bundle in an artifact.
func bundleOf(t testing.TB, artifact v1.Image) []byte {
	t.Helper()
	layers, err := artifact.Layers()
	if err != nil {
		t.Fatal(err)
	}
	rc, err := layers[0].Compressed()
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	raw, err := io.ReadAll(rc)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// envelope is the part of a bundle that tests tamper with.
type envelope struct {
	MediaType            string         `json:"mediaType"`
	VerificationMaterial map[string]any `json:"verificationMaterial"`
	DSSE                 struct {
		Payload     []byte `json:"payload"`
		PayloadType string `json:"payloadType"`
		Signatures  []struct {
			Sig []byte `json:"sig"`
		} `json:"signatures"`
	} `json:"dsseEnvelope"`
}

// tampered returns the artifact with its bundle changed and all digests of it right again.
func tampered(t testing.TB, image v1.Descriptor, artifact v1.Image, change func(*envelope)) v1.Image {
	t.Helper()
	var e envelope
	if err := json.Unmarshal(bundleOf(t, artifact), &e); err != nil {
		t.Fatal(err)
	}
	change(&e)
	raw, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return signtest.Artifact(t, image, raw, bundleType)
}

// failures verifies with the key and returns the names of the checks that failed, comma-separated; "" is a pass.
func failures(t testing.TB, repo cosign.Repository, image v1.Hash, key string, require ...string) (string, *cosign.Report) {
	t.Helper()
	report, err := cosign.Verify(t.Context(), repo, image,
		cosign.VerifyOptions{Verifier: signtest.Verifier(t, key), Require: require})
	if err == nil {
		return "", report
	}
	var failed *cosign.VerificationError
	if !errors.As(err, &failed) || !errors.Is(err, cosign.ErrVerification) {
		t.Fatalf("error %v is no VerificationError", err)
	}
	if strings.ContainsAny(err.Error(), "\n\x1b") || len(err.Error()) > 3000 {
		t.Errorf("the error is not one printable line: %q", err)
	}
	var names []string
	for _, c := range failed.Failed {
		names = append(names, c.Name)
	}
	return strings.Join(names, ","), report
}
