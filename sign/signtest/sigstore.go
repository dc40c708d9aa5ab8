package signtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	prototrustroot "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
)

// Sigstore is a Sigstore instance on the loopback interface: a certificate authority, a transparency log and a timestamp
// authority, with the interfaces over HTTP that cosign 2 and 3 and sigstore-go know. It certifies whatever a token says, keeps
// nothing, and stops with the test.
type Sigstore struct {
	// Subject and Issuer are whom Token is for.
	Subject, Issuer string
	// Late moves the clock of the log and of the timestamp authority.
	Late time.Duration
	// URL is that of the certificate authority and of the log.
	URL string

	now                 func() time.Time
	logged              atomic.Int64
	log                 *ca.VirtualSigstore
	authority           *x509.Certificate
	authorityKey        *ecdsa.PrivateKey
	stamper             *x509.Certificate
	stamperKey          *ecdsa.PrivateKey
	top, stampAuthority *x509.Certificate
}

// NewSigstore starts an instance whose clock is now, which should be the real one: the tools that it is for have no other.
func NewSigstore(tb testing.TB, now func() time.Time) *Sigstore {
	tb.Helper()
	s := &Sigstore{
		now:     now,
		Subject: "https://github.com/team/images/.github/workflows/nightly.yaml@refs/heads/main",
		Issuer:  "https://token.actions.githubusercontent.com",
	}
	must := func(err error) {
		if err != nil {
			tb.Fatal(err)
		}
	}
	var err error
	var key, stampKey *ecdsa.PrivateKey
	s.log, err = ca.NewVirtualSigstore()
	must(err)
	s.top, key, err = ca.GenerateRootCa()
	must(err)
	s.authority, s.authorityKey, err = ca.GenerateFulcioIntermediate(s.top, key)
	must(err)
	s.stampAuthority, stampKey, err = ca.GenerateTSAIntermediate(s.top, key)
	must(err)
	s.stamperKey, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	s.stamper, err = ca.GenerateTSALeafCert(s.now().Add(-time.Minute), s.stamperKey, s.stampAuthority, stampKey)
	must(err)
	server := httptest.NewServer(s.handler())
	tb.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

// Token is an identity token for the subject, as its issuer would give it but for the signature.
func (s *Sigstore) Token(tb testing.TB) string {
	tb.Helper()
	part := func(v map[string]any) string {
		raw, err := json.Marshal(v)
		if err != nil {
			tb.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(raw)
	}
	return part(map[string]any{"alg": "RS256", "typ": "JWT"}) + "." + part(map[string]any{
		"iss": s.Issuer, "sub": s.Subject, "aud": "sigstore", "iat": s.now().Unix(), "exp": s.now().Add(time.Hour).Unix(),
	}) + ".c2lnbmF0dXJl"
}

// Logged counts the entries that the log was asked to make.
func (s *Sigstore) Logged() int64 { return s.logged.Load() }

// Root is what somebody who trusts the instance trusts.
func (s *Sigstore) Root(tb testing.TB) *root.TrustedRoot {
	tb.Helper()
	start, end := s.now().Add(-time.Hour), s.now().Add(24*time.Hour)
	authority := &root.FulcioCertificateAuthority{
		Root: s.top, Intermediates: []*x509.Certificate{s.authority}, URI: s.URL, ValidityPeriodStart: start, ValidityPeriodEnd: end,
	}
	stamps := &root.SigstoreTimestampingAuthority{
		Root: s.top, Intermediates: []*x509.Certificate{s.stampAuthority}, Leaf: s.stamper, URI: s.URL + stampPath,
		ValidityPeriodStart: start, ValidityPeriodEnd: end,
	}
	logs := s.log.RekorLogs()
	for id, l := range logs {
		var err error
		if l.ID, err = hex.DecodeString(id); err != nil { // the library puts the digits here, and files then name another log
			tb.Fatal(err)
		}
		l.BaseURL = s.URL
	}
	made, err := root.NewTrustedRoot(root.TrustedRootMediaType01,
		[]root.CertificateAuthority{authority}, nil, []root.TimestampingAuthority{stamps}, logs)
	if err != nil {
		tb.Fatal(err)
	}
	return made
}

// Files are an instance's documents, by their names.
type Files struct {
	// TrustedRoot and SigningConfig are sigstore's documents. The config with stamps names the timestamp authority too.
	TrustedRoot, SigningConfig, SigningConfigStamps string
	// Authorities are the certificates of the authority and LogKey the public key of the log, in PEM: what cosign 2 takes
	// for the classic format.
	Authorities, LogKey string
	// Stamps are the certificates of the timestamp authority, its own first, in PEM.
	Stamps string
}

// Files writes an instance's documents into a directory.
func (s *Sigstore) Files(tb testing.TB, dir string) Files {
	tb.Helper()
	write := func(name string, content []byte, err error) string {
		if err == nil {
			name = filepath.Join(dir, name)
			err = os.WriteFile(name, content, 0o600)
		}
		if err != nil {
			tb.Fatal(err)
		}
		return name
	}
	encode := func(name string, content json.Marshaler) string {
		raw, err := content.MarshalJSON()
		return write(name, raw, err)
	}
	trusted := s.Root(tb)
	authorities, err := cryptoutils.MarshalCertificatesToPEM([]*x509.Certificate{s.authority, s.top})
	out := Files{Authorities: write("authorities.pem", authorities, err)}
	stamps, err := cryptoutils.MarshalCertificatesToPEM([]*x509.Certificate{s.stamper, s.stampAuthority, s.top})
	out.Stamps = write("stamps.pem", stamps, err)
	for _, l := range trusted.RekorLogs() {
		key, err := cryptoutils.MarshalPublicKeyToPEM(l.PublicKey)
		out.LogKey = write("log.pub", key, err)
	}
	out.TrustedRoot = encode("root.json", trusted)
	out.SigningConfig = encode("config.json", s.config(tb, false))
	out.SigningConfigStamps = encode("config-stamps.json", s.config(tb, true))
	return out
}

func (s *Sigstore) config(tb testing.TB, stamps bool) *root.SigningConfig {
	tb.Helper()
	service := func(path string) []root.Service {
		return []root.Service{{
			URL: s.URL + path, MajorAPIVersion: 1, ValidityPeriodStart: s.now().Add(-time.Hour), Operator: "test",
		}}
	}
	anyOne := root.ServiceConfiguration{Selector: prototrustroot.ServiceSelector_ANY}
	var authorities []root.Service
	if stamps {
		authorities = service(stampPath)
	}
	config, err := root.NewSigningConfig(root.SigningConfigMediaType02, service(""), nil, service(""), anyOne, authorities, anyOne)
	if err != nil {
		tb.Fatal(err)
	}
	return config
}
