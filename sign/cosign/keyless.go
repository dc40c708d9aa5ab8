package cosign

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sigstore/cosign/v2/pkg/providers"
	_ "github.com/sigstore/cosign/v2/pkg/providers/envvar" // SIGSTORE_ID_TOKEN, as GitLab's id_tokens set it
	_ "github.com/sigstore/cosign/v2/pkg/providers/github" // GitHub Actions
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"
)

// ErrNoToken says that no OpenID Connect token is at hand: the program does not run in a CI job that may have one.
var ErrNoToken = errors.New("no identity token: neither a GitHub Actions job with `id-token: write` nor SIGSTORE_ID_TOKEN")

// AmbientToken is the identity token of the CI job that the program runs in: GitHub's from its token service, GitLab's (and
// anybody's) from SIGSTORE_ID_TOKEN. It is never written anywhere.
func AmbientToken(ctx context.Context) (string, error) {
	if !providers.Enabled(ctx) {
		return "", ErrNoToken
	}
	token, err := providers.Provide(ctx, "sigstore")
	if err != nil {
		return "", fmt.Errorf("asking for an identity token: %w", err)
	}
	return token, nil
}

// Services are what signing asks of others. Transparency logs and timestamp authorities may be none.
type Services struct {
	// Certificates issues a certificate for an identity token; it is not used for keys.
	Certificates sign.CertificateProvider
	Logs         []sign.Transparency
	Timestamps   []*sign.TimestampAuthority
}

// serviceTimeout bounds each request to a service.
const serviceTimeout = 30 * time.Second

// LoadServices reads a signing config (application/vnd.dev.sigstore.signingconfig.v0.2+json), empty for that of sigstore's
// public good instance, and picks the services of the day. Without log, no transparency log is among them.
func LoadServices(path string, now time.Time, log bool) (*Services, error) {
	var config *root.SigningConfig
	var err error
	if path == "" {
		config, err = root.FetchSigningConfig()
	} else {
		config, err = root.NewSigningConfigFromPath(path)
	}
	if err != nil {
		return nil, fmt.Errorf("signing config %s: %w", path, err)
	}
	s := &Services{}
	if urls := config.FulcioCertificateAuthorityURLs(); len(urls) > 0 {
		fulcio, err := root.SelectService(urls, sign.FulcioAPIVersions, now)
		if err != nil {
			return nil, fmt.Errorf("signing config %s: certificate authority: %w", path, err)
		}
		s.Certificates = sign.NewFulcio(&sign.FulcioOptions{BaseURL: fulcio.URL, Timeout: serviceTimeout, Retries: 2})
	}
	if log {
		logs, err := root.SelectServices(config.RekorLogURLs(), config.RekorLogURLsConfig(), sign.RekorAPIVersions, now)
		if err != nil {
			return nil, fmt.Errorf("signing config %s: transparency log: %w", path, err)
		}
		for _, l := range logs {
			s.Logs = append(s.Logs, sign.NewRekor(&sign.RekorOptions{
				BaseURL: l.URL, Timeout: serviceTimeout, Retries: 2, Version: l.MajorAPIVersion,
			}))
		}
	}
	if urls := config.TimestampAuthorityURLs(); len(urls) > 0 {
		stamps, err := root.SelectServices(urls, config.TimestampAuthorityURLsConfig(), sign.TimestampAuthorityAPIVersions, now)
		if err != nil {
			return nil, fmt.Errorf("signing config %s: timestamp authority: %w", path, err)
		}
		for _, t := range stamps {
			s.Timestamps = append(s.Timestamps, sign.NewTimestampAuthority(&sign.TimestampAuthorityOptions{
				URL: t.URL, Timeout: serviceTimeout, Retries: 2,
			}))
		}
	}
	return s, nil
}

// Keyless is a Signer whose key lives as long as the program, and whose certificate an authority issues for an identity
// token. The certificate is asked for when it is needed: it is valid for minutes.
type Keyless struct {
	services *Services
	trusted  *TrustedRoot
	token    func(context.Context) (string, error)
	now      func() time.Time
	pair     *sign.EphemeralKeypair

	mu          sync.Mutex
	raw         []byte
	certificate *x509.Certificate
}

// NewKeyless returns a keyless signer. There must be a log or a timestamp authority, or nobody could tell later that the
// certificate was valid; it returns ErrKey without.
func NewKeyless(
	services *Services, trusted *TrustedRoot, token func(context.Context) (string, error), now func() time.Time,
) (*Keyless, error) {
	if services.Certificates == nil || len(services.Logs)+len(services.Timestamps) == 0 {
		return nil, fmt.Errorf("%w: keyless signing takes a certificate authority, and a log or a timestamp authority", ErrKey)
	}
	pair, err := sign.NewEphemeralKeypair(nil)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return &Keyless{services: services, trusted: trusted, token: token, now: now, pair: pair}, nil
}

// Public implements Signer.
func (k *Keyless) Public() crypto.PublicKey { return k.pair.GetPublicKey() }

// Sign implements Signer.
func (k *Keyless) Sign(ctx context.Context, message []byte) ([]byte, error) {
	sig, _, err := k.pair.SignData(ctx, message)
	return sig, err
}

// renewal is how long before its end a certificate is replaced.
const renewal = 2 * time.Minute

// GetCertificate implements sign.CertificateProvider with one certificate for all statements of a run.
func (k *Keyless) GetCertificate(ctx context.Context, pair sign.Keypair, _ *sign.CertificateProviderOptions) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.certificate != nil && k.now().Before(k.certificate.NotAfter.Add(-renewal)) {
		return k.raw, nil
	}
	token, err := k.token(ctx)
	if err != nil {
		return nil, err
	}
	raw, err := k.services.Certificates.GetCertificate(ctx, pair, &sign.CertificateProviderOptions{IDToken: token})
	if err != nil {
		return nil, fmt.Errorf("asking for a certificate: %w", err)
	}
	certificate, err := x509.ParseCertificate(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: the certificate authority's answer: %w", ErrKey, err)
	}
	k.raw, k.certificate = raw, certificate
	return raw, nil
}

// verifier is that of the identity in the certificate.
func (k *Keyless) verifier(ctx context.Context) (*Verifier, error) {
	if _, err := k.GetCertificate(ctx, k.pair, nil); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return NewIdentityVerifier(identityOf(k.certificate).Identity, k.trusted, len(k.services.Logs) > 0)
}

func (k *Keyless) prepare(ctx context.Context) (sign.Keypair, sign.BundleOptions, error) {
	return k.pair, sign.BundleOptions{
		Context: ctx, CertificateProvider: k, TransparencyLogs: k.services.Logs, TimestampAuthorities: k.services.Timestamps,
		TrustedRoot: k.trusted.material, // what the services answered is verified before it is written
	}, nil
}

// logged is a key whose signatures a transparency log, or a timestamp authority, sees too.
type logged struct {
	Signer
	services *Services
}

// WithServices lets a transparency log and timestamp authorities see what a key signs.
func WithServices(key Signer, services *Services) Signer { return &logged{key, services} }

func (l *logged) prepare(ctx context.Context) (sign.Keypair, sign.BundleOptions, error) {
	pair, err := newKeypair(l.Signer)
	return pair, sign.BundleOptions{Context: ctx, TransparencyLogs: l.services.Logs, TimestampAuthorities: l.services.Timestamps}, err
}

// VerifierOf is the verifier of what a signer signs: of its key, or of the identity in its certificate.
func VerifierOf(ctx context.Context, s Signer) (*Verifier, error) {
	if k, ok := s.(*Keyless); ok {
		return k.verifier(ctx)
	}
	return NewVerifier(s.Public())
}

// preparer is a signer that says itself what sigstore wants to know.
type preparer interface {
	prepare(ctx context.Context) (sign.Keypair, sign.BundleOptions, error)
}

var (
	_ preparer = (*Keyless)(nil)
	_ preparer = (*logged)(nil)
)

// prepared is what sigstore wants to know of a signer.
func prepared(ctx context.Context, s Signer) (sign.Keypair, sign.BundleOptions, error) {
	if p, ok := s.(preparer); ok {
		return p.prepare(ctx)
	}
	pair, err := newKeypair(s)
	return pair, sign.BundleOptions{Context: ctx}, err
}
