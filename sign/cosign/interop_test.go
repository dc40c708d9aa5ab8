//go:build e2e

package cosign_test

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
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

// interopTool is a stock tool of one version, with a key pair and a Sigstore instance.
type interopTool struct {
	*stockTool
	name     string
	instance sigstore
	files    signtest.Files
}

// interopTools are the stock tools: cosign in PATH and, if set, $NANOPATCH_COSIGN3.
func interopTools(t *testing.T) []*interopTool {
	t.Helper()
	var tools []*interopTool
	for _, path := range []string{"cosign", os.Getenv("NANOPATCH_COSIGN3")} {
		if path == "" {
			t.Log("cosign 3 is not tested: NANOPATCH_COSIGN3 is not set (make interop builds and sets it)")
			continue
		}
		found, err := exec.LookPath(path)
		if err != nil {
			t.Fatal(err)
		}
		module, err := exec.CommandContext(t.Context(), "go", "version", "-m", found).Output()
		if err != nil {
			t.Fatal(err)
		}
		tool := &interopTool{stockTool: &stockTool{path: found, dir: t.TempDir()}, name: versionOf(string(module)), instance: newSigstore(t)}
		tool.files = tool.instance.Files(t, t.TempDir())
		if err := os.WriteFile(tool.file("root.json"), []byte(emptyRoot), 0o600); err != nil {
			t.Fatal(err)
		}
		// What cosign 2 has no flag for.
		tool.env = []string{"SIGSTORE_REKOR_PUBLIC_KEY=" + tool.files.LogKey, "SIGSTORE_ROOT_FILE=" + tool.files.Authorities}
		tool.must(t, "generate-key-pair")
		other, err := cosign.Generate([]byte(e2ePassword))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(tool.file("other.pub"), other.Public, 0o600); err != nil {
			t.Fatal(err)
		}
		tools = append(tools, tool)
	}
	return tools
}

// versionOf finds the version of cosign in what `go version -m` prints of it.
func versionOf(module string) string {
	path := ""
	for line := range strings.Lines(module) {
		f := strings.Fields(line)
		switch {
		case len(f) == 2 && f[0] == "path":
			path = f[1]
		case len(f) >= 3 && (f[0] == "mod" || f[0] == "dep") && strings.HasPrefix(path, f[1]+"/"):
			return "cosign " + f[2]
		}
	}
	return "unknown: " + path
}

// bundles tells whether bundles are what the tool makes unless told otherwise: so it is since version 3.
func (s *interopTool) bundles() bool { return !strings.HasPrefix(s.name, "cosign v2.") }

// TestInterop signs with each tool and verifies with the others, and prints the matrix.
func TestInterop(t *testing.T) {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 4, 2, ' ', 0)
	fmt.Fprint(w, "tool\tsigner\tformat\tdirection")
	for _, k := range interopKinds {
		fmt.Fprintf(w, "\t%s", k.name)
	}
	fmt.Fprintln(w)
	for _, tool := range interopTools(t) {
		for _, signer := range []string{"key", "key, logged", "keyless"} {
			for _, format := range []cosign.Format{cosign.FormatBundle, cosign.FormatClassic} {
				t.Run(strings.Join([]string{tool.name, signer, string(format)}, "/"), func(t *testing.T) {
					way := interopWay{interopTool: tool, keyless: signer == "keyless", logged: signer == "key, logged", format: format}
					for direction, cells := range map[string][]string{"ours → theirs": way.verifiesOurs(t), "theirs → ours": way.signsForUs(t)} {
						fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", tool.name, signer, format, direction, strings.Join(cells, "\t"))
					}
				})
			}
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(b.String(), "\n")
	slices.Sort(lines[1:])
	t.Logf("\n%s", strings.Join(lines, ""))
}

// interopWay is one way of signing with a tool.
type interopWay struct {
	*interopTool
	keyless bool
	// logged is a key whose signatures a transparency log sees, and whoever verifies asks for that.
	logged bool
	format cosign.Format
}

// trust are the flags of verifying; wrong ones name somebody who did not sign.
func (s interopWay) trust(t *testing.T, wrong bool) []string {
	t.Helper()
	flags := []string{"--allow-http-registry"}
	classic := s.format == cosign.FormatClassic
	switch {
	case !s.keyless:
		key := s.file("cosign.pub")
		if wrong {
			key = s.file("other.pub")
		}
		flags = append(flags, "--key", key)
		root := s.files.TrustedRoot
		if !s.logged {
			flags, root = append(flags, "--insecure-ignore-tlog=true"), s.file("root.json")
		}
		if !classic || s.logged && s.bundles() {
			flags = append(flags, "--trusted-root", root)
		}
	default:
		who := s.instance.Subject
		if wrong {
			who = "https://github.com/attacker/x"
		}
		flags = append(flags, "--certificate-identity", who, "--certificate-oidc-issuer", s.instance.Issuer, "--insecure-ignore-sct")
		if !classic || s.bundles() {
			flags = append(flags, "--trusted-root", s.files.TrustedRoot)
		}
	}
	if !classic && !s.bundles() {
		flags = append(flags, "--new-bundle-format")
	}
	return flags
}

// how are the flags of signing.
func (s interopWay) how(t *testing.T) []string {
	t.Helper()
	flags := []string{"--yes", "--allow-http-registry"}
	classic := s.format == cosign.FormatClassic
	switch {
	case classic && s.bundles():
		flags = append(flags, "--new-bundle-format=false", "--use-signing-config=false")
	case !classic && !s.bundles():
		flags = append(flags, "--new-bundle-format")
	}
	switch {
	case s.logged:
		flags = append(flags, "--key", s.file("cosign.key"))
		if classic || !s.bundles() {
			flags = append(flags, "--rekor-url", s.instance.URL)
		} else {
			flags = append(flags, "--signing-config", s.files.SigningConfig, "--trusted-root", s.files.TrustedRoot)
		}
	case !s.keyless:
		flags = append(flags, "--key", s.file("cosign.key"), "--tlog-upload=false")
		if s.bundles() && !classic {
			flags = append(flags, "--use-signing-config=false")
		}
	case classic:
		flags = append(flags, "--identity-token", s.instance.Token(t), "--fulcio-url", s.instance.URL, "--rekor-url", s.instance.URL, "--insecure-skip-verify")
	default:
		flags = append(flags, "--identity-token", s.instance.Token(t), "--signing-config", s.files.SigningConfig, "--trusted-root", s.files.TrustedRoot)
	}
	return flags
}

func (s interopWay) signer(t *testing.T) cosign.Signer {
	t.Helper()
	if s.keyless {
		return s.instance.signer(t)
	}
	signer, _ := s.load(t)
	if s.logged {
		return cosign.WithServices(signer, s.instance.services(t, true, false))
	}
	return signer
}

func (s interopWay) verifier(t *testing.T) *cosign.Verifier {
	t.Helper()
	if s.keyless {
		return s.instance.verifier(t, s.instance.identity())
	}
	_, verifier := s.load(t)
	return verifier
}

// verifiesOurs lets the tool verify each kind of what we sign; whoever is trusted wrongly must be refused.
func (s interopWay) verifiesOurs(t *testing.T) []string {
	t.Helper()
	image, d := signtest.Image(t, "rebuilt")
	repo := push(t, image, d, true)
	statements := []attest.Statement{attest.Signature(d.Digest), provenance(t, d.Digest)}
	for _, k := range interopKinds {
		if k.stock == "spdxjson" || k.stock == "openvex" {
			statements = append(statements, statement(t, d.Digest, k.predicate, predicates[k.stock]))
		}
	}
	opts := cosign.SignOptions{Signer: s.signer(t), Format: s.format, Repository: repo.Repo.Name()}
	if _, err := cosign.Attest(t.Context(), repo, d, opts, statements...); err != nil {
		t.Fatal(err)
	}
	ref := repo.Repo.Digest(d.Digest.String()).String()
	// In a bundle the signature is a statement of this type; the classic one is a payload of this.
	shows := attest.PredicateSign
	if s.format == cosign.FormatClassic {
		shows = "cosign container image signature"
	}
	var cells []string
	for _, k := range interopKinds {
		command := []string{"verify", ref}
		if k.stock != "" {
			command = []string{"verify-attestation", ref, "--type", k.stock}
		}
		cell := "pass"
		switch out, err := s.run(t, append(command, s.trust(t, false)...)...); {
		case err != nil:
			cell = "FAIL"
			t.Errorf("%s: the tool does not verify ours", k.name)
		case k.stock == "" && !strings.Contains(out, shows):
			cell = "FAIL"
			t.Errorf("the tool verified something else than the signature: %.300s", out)
		}
		if _, err := s.run(t, append(command, s.trust(t, true)...)...); err == nil {
			cell = "FAIL"
			t.Errorf("%s: the tool verifies for whom did not sign", k.name)
		}
		cells = append(cells, cell)
	}
	return cells
}

// signsForUs lets the tool sign and attest, and verifies that with our verifier, in this format and no other.
func (s interopWay) signsForUs(t *testing.T) []string {
	t.Helper()
	image, d := signtest.Image(t, "rebuilt")
	repo := push(t, image, d, true)
	ref := repo.Repo.Digest(d.Digest.String()).String()
	how := s.how(t)
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
	verifier := s.verifier(t)
	report, err := cosign.Verify(t.Context(), repo, d.Digest, cosign.VerifyOptions{Verifier: verifier, Require: require, Format: s.format})
	if err != nil {
		t.Errorf("we do not verify the tool's: %v", err)
	}
	other := cosign.FormatClassic
	if s.format == other {
		other = cosign.FormatBundle
	}
	if _, err := cosign.Verify(t.Context(), repo, d.Digest, cosign.VerifyOptions{Verifier: verifier, Format: other}); err == nil {
		t.Errorf("the tool signed in the format %s, too", other)
	}
	if _, err := cosign.Verify(t.Context(), repo, d.Digest, cosign.VerifyOptions{Verifier: signtest.Verifier(t, "stranger")}); err == nil {
		t.Error("a key that did not sign is verified")
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

// TestInteropMalformed compares what the tools and we make of a malformed entry, alone and beside a good one.
func TestInteropMalformed(t *testing.T) {
	for _, tool := range interopTools(t) {
		signer, verifier := tool.load(t)
		trust := interopWay{interopTool: tool, format: cosign.FormatClassic}.trust(t, false)
		for n, m := range malformations {
			for name, beside := range map[string][]cosign.Signer{"alone": nil, "beside a good one": {signer}} {
				t.Run(strings.Join([]string{tool.name, m.name, name}, "/"), func(t *testing.T) {
					image, d := signtest.Image(t, "rebuilt")
					repo := push(t, image, d, true)
					theirs := cosign.Signer(signtest.Key(t, "theirs"))
					if beside == nil {
						theirs = signer
					}
					withMalformed(t, repo, d, n, theirs, beside...)
					command := []string{"verify", repo.Repo.Digest(d.Digest.String()).String()}
					if m.suffix == ".att" {
						command = append(command, "--type", "spdxjson")
						command[0] = "verify-attestation"
					}
					_, stock := tool.run(t, append(command, trust...)...)
					_, err := cosign.Verify(t.Context(), repo, d.Digest, cosign.VerifyOptions{Verifier: verifier, Require: []string{attest.PredicateSPDX}})
					if passes := beside != nil; (stock == nil) != passes || (err == nil) != passes {
						t.Errorf("the tool says %v, we say %v", stock, err)
					}
				})
			}
		}
	}
}
