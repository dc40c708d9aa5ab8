//go:build e2e

package cosign_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"github.com/nanopatch/nanopatch/sign/attest"
	"github.com/nanopatch/nanopatch/sign/cosign"
	"github.com/nanopatch/nanopatch/sign/signtest"
)

// TestPolicyController lets the admission controller's own tester judge images by the policies in testdata/admission.
func TestPolicyController(t *testing.T) {
	tester := os.Getenv("NANOPATCH_POLICY_TESTER")
	if tester == "" {
		t.Skip("sigstore's policy tester is not at hand: NANOPATCH_POLICY_TESTER is not set (make admission builds and sets it)")
	}
	instance := newSigstore(t)
	public, err := cryptoutils.MarshalPublicKeyToPEM(signtest.Key(t, "ours").Public())
	if err != nil {
		t.Fatal(err)
	}
	byKey := admissionPolicy(t, "policy-controller-key.yaml", "PUBLIC KEY", strings.ReplaceAll(strings.TrimSpace(string(public)), "\n", "\n          "))
	keyless := admissionPolicy(t, "policy-controller-keyless.yaml", "ISSUER", instance.Issuer, "SUBJECT", instance.Subject)
	trust := trustRoot(t, instance)
	full := []string{attest.PredicateSign, attest.PredicateSPDX, attest.PredicateProvenance}
	for name, c := range map[string]struct {
		policy string
		signer cosign.Signer
		format cosign.Format
		kinds  []string
		ok     bool
	}{
		"key, classic":                     {byKey, signtest.Key(t, "ours"), cosign.FormatClassic, full, true},
		"key, classic, another's":          {byKey, signtest.Key(t, "theirs"), cosign.FormatClassic, full, false},
		"key, classic, without provenance": {byKey, signtest.Key(t, "ours"), cosign.FormatClassic, full[:2], false},
		"key, classic, without signature":  {byKey, signtest.Key(t, "ours"), cosign.FormatClassic, full[1:], false},
		"key, bundle, which it reads not":  {byKey, signtest.Key(t, "ours"), cosign.FormatBundle, full, false},
		"keyless, bundle":                  {keyless, stamped(t, instance), cosign.FormatBundle, full, true},
		"keyless, bundle, another job":     {keyless, anotherJob(t, instance), cosign.FormatBundle, full, false},
		"keyless, bundle, without SBOM":    {keyless, stamped(t, instance), cosign.FormatBundle, []string{full[0], full[2]}, false},
	} {
		t.Run(name, func(t *testing.T) {
			image, d := signtest.Image(t, "rebuilt")
			repo := push(t, image, d, true)
			var statements []attest.Statement
			for _, kind := range c.kinds {
				switch kind {
				case attest.PredicateSign:
					statements = append(statements, attest.Signature(d.Digest))
				case attest.PredicateSPDX:
					statements = append(statements, sbom(t, d.Digest))
				default:
					statements = append(statements, provenance(t, d.Digest))
				}
			}
			opts := cosign.SignOptions{Signer: c.signer, Format: c.format, Repository: repo.Repo.Name()}
			if _, err := cosign.Attest(t.Context(), repo, d, opts, statements...); err != nil {
				t.Fatal(err)
			}
			out, err := exec.CommandContext(t.Context(), tester, "--policy", c.policy, "--trustroot", trust,
				"--image", repo.Repo.Digest(d.Digest.String()).String()).CombinedOutput()
			if (err == nil) != c.ok {
				t.Errorf("admitted %t, want %t: %v\n%s", err == nil, c.ok, err, out)
			}
			t.Logf("admitted: %t", err == nil)
		})
	}
}

// stamped signs keyless with a log and a timestamp authority.
func stamped(t *testing.T, s sigstore) cosign.Signer {
	t.Helper()
	return s.signerBy(t, s.services(t, true, true))
}

// anotherJob signs as somebody else, vouched for by the same issuer.
func anotherJob(t *testing.T, s sigstore) cosign.Signer {
	t.Helper()
	was := s.Subject
	s.Subject = "https://github.com/attacker/x"
	token := s.Token(t)
	s.Subject = was
	return s.keyless(t, s.services(t, true, true), token)
}

// admissionPolicy writes one of the policies with its placeholders filled in.
func admissionPolicy(t *testing.T, name string, fill ...string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "admission", name))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(strings.NewReplacer(fill...).Replace(string(raw))), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// trustRoot is the instance as the controller's TrustRoot resource.
func trustRoot(t *testing.T, s sigstore) string {
	t.Helper()
	files := s.Files(t, t.TempDir())
	encoded := func(name string) string {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(raw)
	}
	resource, err := json.Marshal(map[string]any{
		"apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "TrustRoot", "metadata": map[string]string{"name": "ours"},
		"spec": map[string]any{"sigstoreKeys": map[string]any{
			"certificateAuthorities": []any{map[string]any{
				"subject": map[string]string{"organization": "test", "commonName": "test"}, "uri": s.URL, "certChain": encoded(files.Authorities),
			}},
			// Its bundles' log entries are not found here: version 0.13.1 keeps the digits of a log's ID instead of the ID.
			"timestampAuthorities": []any{map[string]any{
				"subject": map[string]string{"organization": "test", "commonName": "test"}, "uri": s.URL, "certChain": encoded(files.Stamps),
			}},
			"tLogs": []any{map[string]any{"baseURL": s.URL, "hashAlgorithm": "sha-256", "publicKey": encoded(files.LogKey)}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "trustroot.yaml")
	if err := os.WriteFile(file, resource, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
