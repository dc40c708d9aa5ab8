package cosign_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	rekorpb "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"github.com/sigstore/sigstore/pkg/signature/kms/fake"

	"github.com/nanopatch/nanopatch/sign/attest"
	"github.com/nanopatch/nanopatch/sign/cosign"
	"github.com/nanopatch/nanopatch/sign/signtest"
)

const (
	workflow = "https://github.com/team/images/.github/workflows/nightly.yaml@refs/heads/main"
	issuer   = "https://token.actions.githubusercontent.com"
)

// sigstore is a Sigstore instance in this process: a certificate authority of our own, since the library's does not issue
// for keys that it has not made, and the library's transparency log.
type sigstore struct {
	log    *ca.VirtualSigstore
	issuer *x509.Certificate
	key    *ecdsa.PrivateKey
	root   *root.TrustedRoot
	// subject and from are what the authority puts into certificates; late moves the log's clock.
	subject, from string
	late          time.Duration
}

func newSigstore(t *testing.T) *sigstore {
	t.Helper()
	s := &sigstore{subject: workflow, from: issuer}
	var err error
	if s.log, err = ca.NewVirtualSigstore(); err != nil {
		t.Fatal(err)
	}
	top, key, err := ca.GenerateRootCa()
	if err != nil {
		t.Fatal(err)
	}
	if s.issuer, s.key, err = ca.GenerateFulcioIntermediate(top, key); err != nil {
		t.Fatal(err)
	}
	authority := &root.FulcioCertificateAuthority{
		Root: top, Intermediates: []*x509.Certificate{s.issuer}, URI: "https://fulcio.test",
		ValidityPeriodStart: time.Now().Add(-time.Hour), ValidityPeriodEnd: time.Now().Add(24 * time.Hour),
	}
	logs := s.log.RekorLogs()
	for id, l := range logs { // the library puts the digits here, and trusted root files then name another log
		if l.ID, err = hex.DecodeString(id); err != nil {
			t.Fatal(err)
		}
	}
	s.root, err = root.NewTrustedRoot(root.TrustedRootMediaType01, []root.CertificateAuthority{authority}, nil, nil, logs)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// GetCertificate implements sign.CertificateProvider.
func (s *sigstore) GetCertificate(_ context.Context, pair sign.Keypair, opts *sign.CertificateProviderOptions) ([]byte, error) {
	if opts.IDToken != "token" {
		return nil, cosign.ErrNoToken
	}
	uri, err := url.Parse(s.subject)
	if err != nil {
		return nil, err
	}
	text, err := asn1.MarshalWithParams(s.from, "utf8")
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(10 * time.Minute),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}, URIs: []*url.URL{uri},
		// Fulcio's OID for the issuer (https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md).
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 8}, Value: text}},
	}
	return x509.CreateCertificate(rand.Reader, template, s.issuer, pair.GetPublicKey(), s.key)
}

// GetTransparencyLogEntry implements sign.Transparency.
func (s *sigstore) GetTransparencyLogEntry(_ context.Context, _ []byte, b *protobundle.Bundle) error {
	leaf, err := x509.ParseCertificate(b.GetVerificationMaterial().GetCertificate().GetRawBytes())
	if err != nil {
		return err
	}
	sig := b.GetDsseEnvelope().GetSignatures()[0].GetSig()
	envelope := &dsse.Envelope{
		PayloadType: b.GetDsseEnvelope().GetPayloadType(), Payload: base64.StdEncoding.EncodeToString(b.GetDsseEnvelope().GetPayload()),
		Signatures: []dsse.Signature{{Sig: base64.StdEncoding.EncodeToString(sig)}},
	}
	at := time.Now().Add(s.late).Unix()
	entry, err := s.log.GenerateTlogEntry(leaf, envelope, sig, at, true)
	if err != nil {
		return err
	}
	id, err := s.log.RekorLogID()
	if err != nil {
		return err
	}
	made := entry.TransparencyLogEntry()
	promise, err := s.log.RekorSignPayload(tlog.RekorPayload{
		Body: base64.StdEncoding.EncodeToString(made.GetCanonicalizedBody()), IntegratedTime: at, LogIndex: made.GetLogIndex(), LogID: id,
	})
	if err != nil {
		return err
	}
	made.KindVersion = &rekorpb.KindVersion{Kind: "intoto", Version: "0.0.2"}
	made.InclusionPromise = &rekorpb.InclusionPromise{SignedEntryTimestamp: promise}
	b.VerificationMaterial.TlogEntries = append(b.VerificationMaterial.TlogEntries, made)
	return nil
}

func (s *sigstore) signer(t *testing.T) *cosign.Keyless {
	t.Helper()
	services := &cosign.Services{Certificates: s, Logs: []sign.Transparency{s}}
	token := func(context.Context) (string, error) { return "token", nil }
	k, err := cosign.NewKeyless(services, cosign.NewTrustedRoot(s.root), token, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (s *sigstore) verifier(t *testing.T, id cosign.Identity) *cosign.Verifier {
	t.Helper()
	v, err := cosign.NewIdentityVerifier(id, cosign.NewTrustedRoot(s.root), true)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestKeyless signs and verifies with a Sigstore in this process; what is there is not signed twice.
func TestKeyless(t *testing.T) {
	s, repo := newSigstore(t), &signtest.Memory{}
	_, d := signtest.Image(t, "rebuilt")
	opts := cosign.SignOptions{Signer: s.signer(t)}
	if _, err := cosign.Attest(t.Context(), repo, d, opts, attest.Signature(d.Digest), sbom(t, d.Digest), provenance(t, d.Digest)); err != nil {
		t.Fatal(err)
	}
	for _, id := range []cosign.Identity{
		{Subject: workflow, Issuer: issuer},
		{SubjectRegexp: "^https://github.com/team/", Issuer: issuer},
	} {
		report, err := cosign.Verify(t.Context(), repo, d.Digest, cosign.VerifyOptions{
			Verifier: s.verifier(t, id), Require: []string{attest.PredicateSPDX, attest.PredicateProvenance},
		})
		if err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		if age := time.Since(report.SignedAt()); age < 0 || age > time.Minute || report.Identity == nil || report.KeyID != "" {
			t.Errorf("signed %s ago, %+v", age, report)
		}
	}
	record, err := cosign.Sign(t.Context(), repo, d, cosign.SignOptions{Signer: s.signer(t)})
	if err != nil || !record.Reused || record.Identity.Subject != workflow {
		t.Errorf("%+v, %v", record, err)
	}
}

// TestKeylessRefusals: who else signed, or when, or in no log, does not count.
func TestKeylessRefusals(t *testing.T) {
	ours := cosign.Identity{Subject: workflow, Issuer: issuer}
	for _, c := range []struct {
		name   string
		change func(t *testing.T, s *sigstore) (trusted *cosign.Verifier)
		forge  func(*envelope)
		failed string
	}{
		{"wrong identity", func(t *testing.T, s *sigstore) *cosign.Verifier {
			t.Helper()
			s.subject = strings.Replace(workflow, "team", "attacker", 1)
			return s.verifier(t, ours)
		}, nil, "signed"},
		{"wrong issuer", func(t *testing.T, s *sigstore) *cosign.Verifier {
			t.Helper()
			s.from = "https://attacker.test"
			return s.verifier(t, ours)
		}, nil, "signed"},
		{"pattern that matches only in part", func(t *testing.T, s *sigstore) *cosign.Verifier {
			t.Helper()
			return s.verifier(t, cosign.Identity{SubjectRegexp: "^https://github.com/other/", Issuer: issuer})
		}, nil, "signed"},
		{"another instance's certificate authority", func(t *testing.T, _ *sigstore) *cosign.Verifier {
			t.Helper()
			return newSigstore(t).verifier(t, ours)
		}, nil, "signature"},
		{"a key is trusted, not an identity", func(t *testing.T, _ *sigstore) *cosign.Verifier {
			t.Helper()
			return signtest.Verifier(t, "ours")
		}, nil, "signed"},
		{"no log entry", nil, func(e *envelope) { delete(e.VerificationMaterial, "tlogEntries") }, "signature"},
		{"payload edited", nil, func(e *envelope) { e.DSSE.Payload = append(e.DSSE.Payload, ' ') }, "signature"},
		{"signature edited", nil, func(e *envelope) { e.DSSE.Signatures[0].Sig[10] ^= 1 }, "signature"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, repo := newSigstore(t), &signtest.Memory{}
			trusted := s.verifier(t, ours)
			if c.change != nil {
				trusted = c.change(t, s)
			}
			_, d := signtest.Image(t, "rebuilt")
			if _, err := cosign.Sign(t.Context(), repo, d, cosign.SignOptions{Signer: s.signer(t)}); err != nil {
				t.Fatal(err)
			}
			if c.forge != nil {
				repo.Put(d.Digest, tampered(t, d, repo.Remove(d.Digest)[0], c.forge))
			}
			report, err := cosign.Verify(t.Context(), repo, d.Digest, cosign.VerifyOptions{Verifier: trusted})
			if err == nil || !strings.Contains(failedNames(report), c.failed) {
				t.Errorf("failed %q, want %q: %v", failedNames(report), c.failed, err)
			}
		})
	}
}

// TestExpiredCertificate: the log saw the signature after the certificate had ended. Signing notices that already; a bundle
// that was made all the same is refused.
func TestExpiredCertificate(t *testing.T) {
	s, repo := newSigstore(t), &signtest.Memory{}
	s.late = time.Hour
	_, d := signtest.Image(t, "rebuilt")
	if _, err := cosign.Sign(t.Context(), repo, d, cosign.SignOptions{Signer: s.signer(t)}); err == nil {
		t.Error("an expired certificate signs")
	}
	payload, err := attest.Signature(d.Digest).Encode()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := cosign.SealUnchecked(t.Context(), s.signer(t), payload)
	if err != nil {
		t.Fatal(err)
	}
	repo.Put(d.Digest, signtest.Artifact(t, d, raw, bundleType))
	report, err := cosign.Verify(t.Context(), repo, d.Digest, cosign.VerifyOptions{
		Verifier: s.verifier(t, cosign.Identity{Subject: workflow, Issuer: issuer}),
	})
	if err == nil || !strings.Contains(failedNames(report), "signature") {
		t.Errorf("failed %q: %v", failedNames(report), err)
	}
}

func failedNames(r *cosign.Report) string {
	var names []string
	for _, c := range r.Checks {
		if !c.OK {
			names = append(names, c.Name)
		}
	}
	return strings.Join(names, ",")
}

// TestIncompleteIdentity: an identity without an issuer, or the other way round, is nobody.
func TestIncompleteIdentity(t *testing.T) {
	s := newSigstore(t)
	for _, id := range []cosign.Identity{{}, {Subject: workflow}, {Issuer: issuer}, {Subject: workflow, SubjectRegexp: ".*", Issuer: issuer}} {
		if _, err := cosign.NewIdentityVerifier(id, cosign.NewTrustedRoot(s.root), true); err == nil {
			t.Errorf("%+v is taken", id)
		}
	}
}

// TestKMS signs with the library's fake key management service.
func TestKMS(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.WithValue(t.Context(), fake.KmsCtxKey{}, key)
	for ref, want := range map[string]bool{
		"awskms:///alias/x": true, "azurekms://v/k": true, "gcpkms://projects/p": true, "hashivault://k": true, "fakekms://k": true,
		"cosign.key": false, "https://example.test/key": false,
	} {
		if cosign.IsKMS(ref) != want {
			t.Errorf("%s: %t", ref, !want)
		}
	}
	signer, err := cosign.LoadKMS(ctx, "fakekms://key")
	if err != nil {
		t.Fatal(err)
	}
	repo := &signtest.Memory{}
	_, d := signtest.Image(t, "rebuilt")
	if _, err := cosign.Sign(ctx, repo, d, cosign.SignOptions{Signer: signer}); err != nil {
		t.Fatal(err)
	}
	verifier, err := cosign.NewVerifier(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cosign.Verify(ctx, repo, d.Digest, cosign.VerifyOptions{Verifier: verifier}); err != nil {
		t.Error(err)
	}
	if _, err := cosign.LoadKMS(ctx, "nosuchkms://key"); err == nil {
		t.Error("a service that nobody knows")
	}
}
