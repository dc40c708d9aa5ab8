package cosign_test

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/sign/attest"
	"github.com/nanopatch/nanopatch/sign/cosign"
	"github.com/nanopatch/nanopatch/sign/signtest"
)

const (
	noteSignature   = "dev.cosignproject.cosign/signature"
	noteCertificate = "dev.sigstore.cosign/certificate"
	noteLog         = "dev.sigstore.cosign/bundle"
	noteStamp       = "dev.sigstore.cosign/rfc3161timestamp"
)

// malformations make an entry of a classic list one that nobody can verify, by the list's suffix.
var malformations = []struct {
	name, suffix string
	spoil        func(*entry)
}{
	{"signature is no base64", ".sig", func(e *entry) { e.annotations[noteSignature] = "!" }},
	{"certificate is none", ".sig", func(e *entry) { e.annotations[noteCertificate] = "x" }},
	{"certificate of nothing", ".sig", func(e *entry) {
		e.annotations[noteCertificate] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
	}},
	{"log entry is none", ".sig", func(e *entry) { e.annotations[noteLog] = "[" }},
	{"timestamp is none", ".sig", func(e *entry) { e.annotations[noteStamp] = "[" }},
	{"payload is too large", ".sig", func(e *entry) { e.blob = bytes.Repeat([]byte(" "), 1<<20) }},
	{"envelope is none", ".att", func(e *entry) { e.blob = []byte("{") }},
}

// withMalformed signs and attests an image with ours and with theirs, and makes the latter's entry in one list malformed.
func withMalformed(t *testing.T, repo classicRepository, d v1.Descriptor, m int, theirs cosign.Signer, ours ...cosign.Signer) {
	t.Helper()
	for _, signer := range append(ours, theirs) {
		if _, err := cosign.Attest(t.Context(), repo, d, classicOpts(signer), attest.Signature(d.Digest), sbom(t, d.Digest)); err != nil {
			t.Fatal(err)
		}
	}
	tag := "sha256-" + d.Digest.Hex + malformations[m].suffix
	entries := entriesOf(t, repo, tag)
	if len(entries) != 1+len(ours) {
		t.Fatalf("%d entries", len(entries))
	}
	last := &entries[len(entries)-1]
	last.annotations = maps.Clone(last.annotations)
	malformations[m].spoil(last)
	putEntries(t, repo, tag, entries)
}

type classicRepository interface {
	cosign.Repository
	cosign.Tagger
}

// TestClassicMalformedBeside: another signer's malformed entry takes nothing away from ours, is reported, and is never a signature.
func TestClassicMalformedBeside(t *testing.T) {
	ours, theirs := signtest.Key(t, "ours"), signtest.Key(t, "theirs")
	for n, m := range malformations {
		t.Run(m.name, func(t *testing.T) {
			_, d := signtest.Image(t, "rebuilt")
			repo := &signtest.Memory{}
			withMalformed(t, repo, d, n, theirs, ours)
			failed, report := failures(t, repo, d.Digest, "ours", attest.PredicateSPDX)
			if failed != "" || len(report.Signatures) != 1 || len(report.Attestations) != 1 {
				t.Errorf("failed %q: %+v", failed, report)
			}
			entries := entriesOf(t, repo, "sha256-"+d.Digest.Hex+m.suffix)
			spoiled, _, err := v1.SHA256(bytes.NewReader(entries[1].blob))
			if err != nil {
				t.Fatal(err)
			}
			reported := slices.ContainsFunc(report.Ignored, func(i cosign.Ignored) bool {
				return i.Digest == spoiled && !strings.Contains(i.Reason, "not signed by")
			})
			if !reported || len(report.Ignored) != 2 {
				t.Errorf("ignored: %+v", report.Ignored)
			}
			// Nothing else there suffices: the malformed one is named.
			alone := &signtest.Memory{}
			withMalformed(t, alone, d, n, ours)
			failed, report = failures(t, alone, d.Digest, "ours", attest.PredicateSPDX)
			if !strings.Contains(failed, cosign.CheckBundle) || len(report.Signatures)+len(report.Attestations) != 1 {
				t.Errorf("alone failed %q: %+v", failed, report)
			}
		})
	}
}

// TestClassicMalformedKeyless: what has the certificate of our identity is no other signer's.
func TestClassicMalformedKeyless(t *testing.T) {
	s := newSigstore(t)
	trusted, ours := s.verifier(t, s.identity()), s.signer(t)
	for n, m := range malformations {
		if strings.HasPrefix(m.name, "certificate") {
			continue // so it has none
		}
		_, d := signtest.Image(t, "rebuilt")
		repo := &signtest.Memory{}
		withMalformed(t, repo, d, n, s.signer(t), signtest.Key(t, "ours"))
		if _, err := cosign.Sign(t.Context(), repo, d, classicOpts(ours)); err != nil {
			t.Fatal(err)
		}
		if report, err := cosign.Verify(t.Context(), repo, d.Digest, cosign.VerifyOptions{Verifier: trusted}); err == nil || !strings.Contains(failedNames(report), cosign.CheckBundle) {
			t.Errorf("%s, of our identity: %v", m.name, err)
		}
		repo = &signtest.Memory{}
		withMalformed(t, repo, d, n, signtest.Key(t, "theirs"), ours)
		if report, err := cosign.Verify(t.Context(), repo, d.Digest, cosign.VerifyOptions{Verifier: trusted}); err != nil || len(report.Signatures) != 1 {
			t.Errorf("%s, of another: %v", m.name, err)
		}
	}
}
