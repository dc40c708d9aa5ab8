package cosign_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature/kms/fake"

	"github.com/nanopatch/nanopatch/sign/attest"
	"github.com/nanopatch/nanopatch/sign/cosign"
	"github.com/nanopatch/nanopatch/sign/signtest"
)

// sigstore is a Sigstore instance and what signs and verifies by it.
type sigstore struct{ *signtest.Sigstore }

func newSigstore(t *testing.T) sigstore {
	t.Helper()
	return sigstore{signtest.NewSigstore(t, time.Now)}
}

// identity is whom the instance's tokens are for.
func (s sigstore) identity() cosign.Identity {
	return cosign.Identity{Subject: s.Subject, Issuer: s.Issuer}
}

// services are the instance's: a certificate authority, and a log or a timestamp authority, or both.
func (s sigstore) services(t *testing.T, log, stamps bool) *cosign.Services {
	t.Helper()
	files := s.Files(t, t.TempDir())
	config := files.SigningConfig
	if stamps {
		config = files.SigningConfigStamps
	}
	services, err := cosign.LoadServices(config, time.Now(), log)
	if err != nil {
		t.Fatal(err)
	}
	return services
}

func (s sigstore) signer(t *testing.T) *cosign.Keyless {
	t.Helper()
	return s.signerBy(t, s.services(t, true, false))
}

func (s sigstore) signerBy(t *testing.T, services *cosign.Services) *cosign.Keyless {
	t.Helper()
	return s.keyless(t, services, s.Token(t))
}

func (s sigstore) keyless(t *testing.T, services *cosign.Services, with string) *cosign.Keyless {
	t.Helper()
	token := func(context.Context) (string, error) { return with, nil }
	k, err := cosign.NewKeyless(services, cosign.NewTrustedRoot(s.Root(t)), token, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (s sigstore) verifier(t *testing.T, id cosign.Identity) *cosign.Verifier {
	t.Helper()
	return s.verifierBy(t, id, true)
}

func (s sigstore) verifierBy(t *testing.T, id cosign.Identity, log bool) *cosign.Verifier {
	t.Helper()
	v, err := cosign.NewIdentityVerifier(id, cosign.NewTrustedRoot(s.Root(t)), log)
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
		s.identity(),
		{SubjectRegexp: "^https://github.com/team/", Issuer: s.Issuer},
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
	if err != nil || !record.Reused || record.Identity.Subject != s.Subject {
		t.Errorf("%+v, %v", record, err)
	}
}

// TestKeylessRefusals: who else signed, or when, or in no log, does not count.
func TestKeylessRefusals(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(t *testing.T, s sigstore) (trusted *cosign.Verifier)
		forge  func(*envelope)
		failed string
	}{
		{"wrong identity", func(t *testing.T, s sigstore) *cosign.Verifier {
			t.Helper()
			trusted := s.verifier(t, s.identity())
			s.Subject = strings.Replace(s.Subject, "team", "attacker", 1)
			return trusted
		}, nil, "signed"},
		{"wrong issuer", func(t *testing.T, s sigstore) *cosign.Verifier {
			t.Helper()
			trusted := s.verifier(t, s.identity())
			s.Issuer = "https://attacker.test"
			return trusted
		}, nil, "signed"},
		{"pattern that matches only in part", func(t *testing.T, s sigstore) *cosign.Verifier {
			t.Helper()
			return s.verifier(t, cosign.Identity{SubjectRegexp: "^https://github.com/other/", Issuer: s.Issuer})
		}, nil, "signed"},
		{"another instance's certificate authority", func(t *testing.T, s sigstore) *cosign.Verifier {
			t.Helper()
			return newSigstore(t).verifier(t, s.identity())
		}, nil, "signature"},
		{"a key is trusted, not an identity", func(t *testing.T, _ sigstore) *cosign.Verifier {
			t.Helper()
			return signtest.Verifier(t, "ours")
		}, nil, "signed"},
		{"no log entry", nil, func(e *envelope) { delete(e.VerificationMaterial, "tlogEntries") }, "signature"},
		{"payload edited", nil, func(e *envelope) { e.DSSE.Payload = append(e.DSSE.Payload, ' ') }, "signature"},
		{"signature edited", nil, func(e *envelope) { e.DSSE.Signatures[0].Sig[10] ^= 1 }, "signature"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, repo := newSigstore(t), &signtest.Memory{}
			trusted := s.verifier(t, s.identity())
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
	s.Late = time.Hour
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
		Verifier: s.verifier(t, s.identity()),
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
	for _, id := range []cosign.Identity{
		{}, {Subject: s.Subject}, {Issuer: s.Issuer}, {Subject: s.Subject, SubjectRegexp: ".*", Issuer: s.Issuer},
	} {
		if _, err := cosign.NewIdentityVerifier(id, cosign.NewTrustedRoot(s.Root(t)), true); err == nil {
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
