package keychain

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"time"

	ecr "github.com/awslabs/amazon-ecr-credential-helper/ecr-login"
	acr "github.com/chrismellard/docker-credential-acr-env/pkg/credhelper"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/google"
)

// Options are a keychain's settings; the zero value is useful.
type Options struct {
	// Timeout bounds how long a cloud is waited for; 0 is 20 seconds.
	Timeout time.Duration
	// Logger is told why a cloud gave no login; nil is silence.
	Logger *slog.Logger
}

const defaultTimeout = 20 * time.Second

// New is the keychain of the machine's user: docker's and podman's logins and credential helpers, then Amazon's ECR,
// Google's registries and Azure's, each for its hosts.
func New(opts Options) authn.Keychain {
	if opts.Timeout <= 0 {
		opts.Timeout = defaultTimeout
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	chain := []authn.Keychain{authn.DefaultKeychain}
	for _, c := range clouds() {
		chain = append(chain, &bounded{cloud: c, opts: opts})
	}
	return authn.NewMultiKeychain(chain...)
}

// cloud is one provider's registries and how to log in to them.
type cloud struct {
	name  string
	hosts *regexp.Regexp
	login func(ctx context.Context, target authn.Resource) (authn.Authenticator, error)
}

func clouds() []cloud {
	return []cloud{
		{
			"Amazon ECR",
			regexp.MustCompile(`^\d{12}\.dkr[.-]ecr(-fips)?\.[a-z0-9][a-z0-9-]*\.(amazonaws\.(com(\.cn)?|eu)|on\.(aws|amazonwebservices\.com\.cn))$`),
			fromHelper(ecr.NewECRHelper(ecr.WithLogger(io.Discard))),
		},
		{
			"Google", regexp.MustCompile(`^(gcr\.io|[a-z0-9-]+(\.[a-z0-9-]+)*\.(gcr\.io|pkg\.dev))$`),
			func(ctx context.Context, target authn.Resource) (authn.Authenticator, error) {
				return authn.Resolve(ctx, google.Keychain, target)
			},
		},
		{
			"Azure", regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)*\.azurecr\.(io|cn|de|us)$`),
			fromHelper(acr.NewACRCredentialsHelper()),
		},
	}
}

// fromHelper is the login that a credential helper has for a registry. Unlike go-containerregistry's own, it keeps the error.
func fromHelper(helper authn.Helper) func(context.Context, authn.Resource) (authn.Authenticator, error) {
	return func(_ context.Context, target authn.Resource) (authn.Authenticator, error) {
		user, secret, err := helper.Get(target.RegistryStr())
		switch {
		case err != nil:
			return nil, err
		case user == "<token>": // docker-credential-helpers: the secret is a token to be exchanged
			return authn.FromConfig(authn.AuthConfig{IdentityToken: secret}), nil
		}
		return &authn.Basic{Username: user, Password: secret}, nil
	}
}

// bounded asks a cloud for its own hosts, and not for long.
type bounded struct {
	cloud
	opts Options
}

// Resolve implements authn.Keychain.
func (b *bounded) Resolve(target authn.Resource) (authn.Authenticator, error) {
	return b.ResolveContext(context.Background(), target) //nolint:forbidigo // the interface has no context
}

// ResolveContext implements authn.ContextKeychain.
func (b *bounded) ResolveContext(ctx context.Context, target authn.Resource) (authn.Authenticator, error) {
	if !b.hosts.MatchString(target.RegistryStr()) {
		return authn.Anonymous, nil
	}
	auth, err := b.ask(ctx, target)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err == nil && auth == authn.Anonymous { // nobody set one up, and much of what they hold is public
		b.opts.Logger.DebugContext(ctx, "no login from the cloud", "cloud", b.name, "registry", target.RegistryStr())
	}
	if err != nil {
		b.opts.Logger.WarnContext(ctx, "no login from the cloud; going on without", "cloud", b.name, "registry", target.RegistryStr(), "error", err)
		return authn.Anonymous, nil
	}
	return auth, nil
}

// ask waits for an answer for a while. A library that knows no contexts goes on unheeded.
func (b *bounded) ask(ctx context.Context, target authn.Resource) (authn.Authenticator, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, b.opts.Timeout, fmt.Errorf("no answer for %s", b.opts.Timeout))
	defer cancel()
	type answer struct {
		auth authn.Authenticator
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		auth, err := b.login(ctx, target)
		answers <- answer{auth, err}
	}()
	select {
	case a := <-answers:
		return a.auth, a.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
