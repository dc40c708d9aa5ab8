//go:build e2e

package cosign_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/nanopatch/nanopatch/sign/attest"
	"github.com/nanopatch/nanopatch/sign/cosign"
	"github.com/nanopatch/nanopatch/sign/signtest"
)

// interopKinds are what is signed, in the words of cosign's --type; the signature itself has none.
var interopKinds = []struct{ name, predicate, stock string }{
	{"signature", attest.PredicateSign, ""},
	{"SBOM", attest.PredicateSPDX, "spdxjson"},
	{"provenance", attest.PredicateProvenance, "slsaprovenance1"},
	{"VEX", attest.PredicateVEX, "openvex"},
}

// predicates are small documents that stock cosign accepts as its types.
var predicates = map[string]string{
	"spdxjson":        `{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT"}`,
	"slsaprovenance1": `{"buildDefinition":{"buildType":"https://example.test/b","externalParameters":{"a":1}},"runDetails":{"builder":{"id":"https://example.test/ci"}}}`,
	"openvex":         `{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://example.test/v","author":"a","timestamp":"2026-01-01T00:00:00Z","version":1,"statements":[]}`,
}

// interopTools are the stock tools by the version that they print: cosign in PATH and, if set, $NANOPATCH_COSIGN3.
func interopTools(t *testing.T) map[string]*stockTool {
	t.Helper()
	tools := map[string]*stockTool{}
	for _, path := range []string{"cosign", os.Getenv("NANOPATCH_COSIGN3")} {
		if path == "" {
			t.Log("cosign 3 is not tested: NANOPATCH_COSIGN3 is not set (make interop builds and sets it)")
			continue
		}
		found, err := exec.LookPath(path)
		if err != nil {
			t.Fatal(err)
		}
		tool := &stockTool{path: found, dir: t.TempDir()}
		if err := os.WriteFile(tool.file("root.json"), []byte(emptyRoot), 0o600); err != nil {
			t.Fatal(err)
		}
		module, err := exec.CommandContext(t.Context(), "go", "version", "-m", found).Output()
		if err != nil {
			t.Fatal(err)
		}
		name := "unknown"
		for line := range strings.Lines(string(module)) {
			if f := strings.Fields(line); len(f) >= 2 && f[0] == "path" {
				name = f[1]
			}
		}
		tools[versionOf(name, string(module))] = tool
	}
	return tools
}

// versionOf finds the version of cosign's module in what `go version -m` prints.
func versionOf(path, module string) string {
	for line := range strings.Lines(module) {
		f := strings.Fields(line)
		if len(f) >= 3 && (f[0] == "mod" || f[0] == "dep") && strings.Contains(f[1], "sigstore/cosign/") && strings.HasPrefix(path, f[1]) {
			return "cosign " + f[2]
		}
	}
	return path
}

// TestInterop signs with each tool and verifies with the others, and prints the matrix.
func TestInterop(t *testing.T) {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 4, 2, ' ', 0)
	fmt.Fprint(w, "tool\tsigner\tformat\tdirection")
	for _, k := range interopKinds {
		fmt.Fprintf(w, "\t%s", k.name)
	}
	fmt.Fprintln(w)
	for name, tool := range interopTools(t) {
		t.Run(name, func(t *testing.T) {
			row := func(signer, direction string, cells []string) {
				fmt.Fprintf(w, "%s\t%s\tbundle\t%s\t%s\n", name, signer, direction, strings.Join(cells, "\t"))
			}
			tool.must(t, "generate-key-pair")
			row("key", "ours → theirs", tool.verifiesOurKey(t))
			row("key", "theirs → ours", tool.signsForUs(t))
			row("keyless", "ours → theirs", tool.verifiesOurIdentity(t))
		})
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", b.String())
}

// ours is an image in a registry that our signer signs and attests.
func ours(t *testing.T, signer cosign.Signer) string {
	t.Helper()
	image, d := signtest.Image(t, "rebuilt")
	repo := push(t, image, d, true)
	statements := []attest.Statement{attest.Signature(d.Digest), provenance(t, d.Digest)}
	for _, kind := range []string{"spdxjson", "openvex"} {
		for _, k := range interopKinds {
			if k.stock == kind {
				statements = append(statements, statement(t, d.Digest, k.predicate, predicates[kind]))
			}
		}
	}
	if _, err := cosign.Attest(t.Context(), repo, d, cosign.SignOptions{Signer: signer}, statements...); err != nil {
		t.Fatal(err)
	}
	return repo.Repo.Digest(d.Digest.String()).String()
}

// verifies lets the tool verify each kind; whoever is trusted wrongly must be refused.
func (s *stockTool) verifies(t *testing.T, ref string, trust, distrust []string) []string {
	t.Helper()
	var cells []string
	for _, k := range interopKinds {
		command := []string{"verify", ref}
		if k.stock != "" {
			command = []string{"verify-attestation", ref, "--type", k.stock}
		}
		out, err := s.run(t, append(command, trust...)...)
		cell := "pass"
		switch {
		case err != nil:
			cell = "FAIL"
			t.Errorf("%s: the tool does not verify ours", k.name)
		case k.stock == "" && !strings.Contains(out, attest.PredicateSign):
			cell = "FAIL"
			t.Errorf("the tool verified something else than the signature: %.300s", out)
		}
		if _, err := s.run(t, append(command, distrust...)...); err == nil {
			cell = "FAIL"
			t.Errorf("%s: the tool verifies for whom did not sign", k.name)
		}
		cells = append(cells, cell)
	}
	return cells
}

func (s *stockTool) verifiesOurKey(t *testing.T) []string {
	t.Helper()
	signer, _ := s.load(t)
	other, err := cosign.Generate([]byte(e2ePassword))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.file("other.pub"), other.Public, 0o600); err != nil {
		t.Fatal(err)
	}
	distrust := append([]string{"--key", s.file("other.pub")}, s.trust()[2:]...)
	return s.verifies(t, ours(t, signer), s.trust(), distrust)
}

func (s *stockTool) verifiesOurIdentity(t *testing.T) []string {
	t.Helper()
	instance := newSigstore(t)
	raw, err := json.Marshal(instance.root)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.file("instance.json"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	flags := func(who string) []string {
		return []string{
			"--certificate-identity", who, "--certificate-oidc-issuer", issuer, "--new-bundle-format", "--insecure-ignore-sct",
			"--trusted-root", s.file("instance.json"), "--allow-http-registry",
		}
	}
	return s.verifies(t, ours(t, instance.signer(t)), flags(workflow), flags("https://github.com/attacker/x"))
}

// signsForUs lets the tool sign and attest, and verifies that with our verifier.
func (s *stockTool) signsForUs(t *testing.T) []string {
	t.Helper()
	image, d := signtest.Image(t, "rebuilt")
	repo := push(t, image, d, true)
	ref := repo.Repo.Digest(d.Digest.String()).String()
	how := []string{
		"--key", s.file("cosign.key"), "--new-bundle-format", "--tlog-upload=false", "--use-signing-config=false", "--yes", "--allow-http-registry",
	}
	var require []string
	for _, k := range interopKinds {
		if k.stock == "" {
			s.must(t, append([]string{"sign", ref}, how...)...)
			continue
		}
		file := s.file(k.stock + ".json")
		if err := os.WriteFile(file, []byte(predicates[k.stock]), 0o600); err != nil {
			t.Fatal(err)
		}
		s.must(t, append([]string{"attest", ref, "--type", k.stock, "--predicate", file}, how...)...)
		require = append(require, k.predicate)
	}
	_, verifier := s.load(t)
	report, err := cosign.Verify(t.Context(), repo, d.Digest, cosign.VerifyOptions{Verifier: verifier, Require: require})
	if err != nil {
		t.Errorf("we do not verify the tool's: %v", err)
	}
	var cells []string
	for _, k := range interopKinds {
		cell := "pass"
		if k.stock == "" && len(report.Signatures) == 0 || k.stock != "" && len(report.Statements(k.predicate)) == 0 {
			cell = "FAIL"
			t.Errorf("%s: not found", k.name)
		}
		cells = append(cells, cell)
	}
	return cells
}
