package cosign_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/nanopatch/nanopatch/sign/attest"
	"github.com/nanopatch/nanopatch/sign/cosign"
	"github.com/nanopatch/nanopatch/sign/signtest"
)

// Make a key pair, sign an image, attest its SBOM, verify both.
func Example() {
	if err := signAndVerify(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// not signed yet: true
	// ✓ signed
	// ✓ attested https://spdx.dev/Document
}

func signAndVerify(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	pair, err := cosign.Generate([]byte("password"))
	if err != nil {
		return err
	}
	prefix := filepath.Join(dir, "cosign")
	if err := pair.WriteFiles(prefix); err != nil {
		return err
	}
	signer, err := cosign.LoadSigner(prefix+".key", func() ([]byte, error) { return []byte("password"), nil })
	if err != nil {
		return err
	}
	verifier, err := cosign.LoadVerifier(prefix + ".pub")
	if err != nil {
		return err
	}

	// The repository is an in-memory one here; the image was pushed by digest and has no tag yet.
	repo := &signtest.Memory{}
	image := v1.Descriptor{
		MediaType: types.OCIManifestSchema1,
		Digest:    v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("c", 64)},
		Size:      1234,
	}
	trust := cosign.VerifyOptions{Verifier: verifier, Require: []string{attest.PredicateSPDX}}
	_, err = cosign.Verify(ctx, repo, image.Digest, trust)
	fmt.Println("not signed yet:", errors.Is(err, cosign.ErrVerification))

	sbom, err := attest.New(image.Digest, attest.PredicateSPDX, []byte(`{"spdxVersion":"SPDX-2.3"}`))
	if err != nil {
		return err
	}
	// The signature comes last: without it nothing verifies.
	options := cosign.SignOptions{Signer: signer}
	if _, err := cosign.Attest(ctx, repo, image, options, sbom, attest.Signature(image.Digest)); err != nil {
		return err
	}

	report, err := cosign.Verify(ctx, repo, image.Digest, trust)
	if err != nil {
		return err
	}
	for _, check := range report.Checks {
		if check.Name == cosign.CheckSigned {
			fmt.Println("✓", check.Name)
			continue
		}
		fmt.Println("✓", check.Name, check.Detail)
	}
	return nil
}
