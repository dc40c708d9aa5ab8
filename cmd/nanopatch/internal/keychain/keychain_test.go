package keychain

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// registry is a resource as go-containerregistry asks for.
func registry(t *testing.T, host string) authn.Resource {
	t.Helper()
	r, err := name.NewRegistry(host)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// alone leaves the test's user without any login.
func alone(t *testing.T) {
	t.Helper()
	for _, key := range []string{
		"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "GOOGLE_APPLICATION_CREDENTIALS", "REGISTRY_AUTH_FILE",
		"AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID", "XDG_RUNTIME_DIR",
	} {
		t.Setenv(key, "")
	}
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("DOCKER_CONFIG", filepath.Join(home, ".docker"))
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

func TestHosts(t *testing.T) {
	for host, want := range map[string]string{
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com":      "Amazon ECR",
		"123456789012.dkr.ecr-fips.us-east-1.amazonaws.com": "Amazon ECR",
		"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn":  "Amazon ECR",
		"123456789012.dkr-ecr.eu-west-1.on.aws":             "Amazon ECR",
		"gcr.io":                                            "Google",
		"eu.gcr.io":                                         "Google",
		"europe-west1-docker.pkg.dev":                       "Google",
		"team.azurecr.io":                                   "Azure",
		"team.azurecr.cn":                                   "Azure",

		"public.ecr.aws":                    "",
		"mcr.microsoft.com":                 "",
		"index.docker.io":                   "",
		"registry.example":                  "",
		"localhost:5000":                    "",
		"127.0.0.1:5000":                    "",
		"gcr.io.example.com":                "",
		"notgcr.io":                         "",
		"gcr.io:5000":                       "",
		"team.azurecr.io.elsewhere.example": "",
		"team.azurecrxio":                   "",
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com.example": "",
		"x.123456789012.dkr.ecr.eu-west-1.amazonaws.com":       "",
	} {
		got := ""
		for _, c := range clouds() {
			if c.hosts.MatchString(host) {
				got += c.name
			}
		}
		if got != want {
			t.Errorf("%s is %q, want %q", host, got, want)
		}
	}
}

// Docker's own logins and credential helpers come first.
func TestDockerConfig(t *testing.T) {
	alone(t)
	dir := os.Getenv("DOCKER_CONFIG")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	config := `{"auths": {"registry.example": {"auth": "bWU6c2VjcmV0"}, "team.azurecr.io": {"auth": "bWU6c2VjcmV0"}},
		"credHelpers": {"helped.example": "nanopatchtest", "gcr.io": "nanopatchtest"}}`
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	helper := "#!/bin/sh\nread host\necho \"{\\\"ServerURL\\\":\\\"$host\\\",\\\"Username\\\":\\\"$1\\\",\\\"Secret\\\":\\\"for $host\\\"}\"\n"
	if err := os.WriteFile(filepath.Join(bin, "docker-credential-nanopatchtest"), []byte(helper), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	k := New(Options{})
	for host, want := range map[string]string{
		"registry.example": "me secret", "team.azurecr.io": "me secret",
		"helped.example": "get for helped.example", "gcr.io": "get for gcr.io", "other.example": " ",
	} {
		auth, err := k.Resolve(registry(t, host))
		if err != nil {
			t.Fatal(err)
		}
		c, err := auth.Authorization()
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Username + " " + c.Password; got != want {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
}

// Amazon's library asks the endpoint that the environment names; here that is a server of the test's.
func TestAmazon(t *testing.T) {
	alone(t)
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if !strings.HasSuffix(r.Header.Get("X-Amz-Target"), "GetAuthorizationToken") {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_, _ = w.Write([]byte(`{"authorizationData":[{"authorizationToken":"QVdTOnNlY3JldA==","expiresAt":4102444800,` +
			`"proxyEndpoint":"https://123456789012.dkr.ecr.eu-west-1.amazonaws.com"}]}`))
	}))
	defer server.Close()
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "example")
	t.Setenv("AWS_ENDPOINT_URL_ECR", server.URL)
	k := New(Options{})
	if auth, err := k.Resolve(registry(t, "registry.example")); err != nil || auth != authn.Anonymous || asked.Load() != 0 {
		t.Errorf("another registry: %v, %v, asked %d times", auth, err, asked.Load())
	}
	auth, err := k.Resolve(registry(t, "123456789012.dkr.ecr.eu-west-1.amazonaws.com"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := auth.Authorization()
	if err != nil || c.Username != "AWS" || c.Password != "secret" || asked.Load() != 1 {
		t.Errorf("%+v, %v, asked %d times", c, err, asked.Load())
	}
}

// Without a login in the environment Azure's library says so, and the request goes on without.
func TestNoLogin(t *testing.T) {
	alone(t)
	var log bytes.Buffer
	k := New(Options{Logger: slog.New(slog.NewTextHandler(&log, nil)), Timeout: time.Second})
	auth, err := k.Resolve(registry(t, "team.azurecr.io"))
	if err != nil || auth != authn.Anonymous {
		t.Errorf("%v, %v", auth, err)
	}
	if !strings.Contains(log.String(), "cloud=Azure") || !strings.Contains(log.String(), "team.azurecr.io") {
		t.Errorf("the log says %q", log.String())
	}
}

// fake is a keychain of one cloud.
func fake(login func(context.Context) (authn.Authenticator, error)) *bounded {
	c := clouds()[1]
	c.login = func(ctx context.Context, _ authn.Resource) (authn.Authenticator, error) { return login(ctx) }
	return &bounded{cloud: c, opts: Options{Timeout: 50 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)}}
}

// A cloud that does not answer is waited for as long as is said; one that refuses leaves the request anonymous.
func TestBounded(t *testing.T) {
	forever := make(chan struct{})
	defer close(forever)
	for name, k := range map[string]*bounded{
		"silent": fake(func(context.Context) (authn.Authenticator, error) {
			<-forever
			return nil, nil //nolint:nilnil // never
		}),
		"refusing": fake(func(context.Context) (authn.Authenticator, error) { return nil, errors.New("no") }),
		"nobody":   fake(func(context.Context) (authn.Authenticator, error) { return authn.Anonymous, nil }),
	} {
		var log bytes.Buffer
		k.opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
		start := time.Now()
		auth, err := k.Resolve(registry(t, "gcr.io"))
		if err != nil || auth != authn.Anonymous || time.Since(start) > 5*time.Second {
			t.Errorf("%s: %v, %v after %s", name, auth, err, time.Since(start))
		}
		// That nobody has a login there is nothing to warn of.
		if warned := log.Len() > 0; warned == (name == "nobody") {
			t.Errorf("%s: warned: %v: %s", name, warned, &log)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	k := fake(func(ctx context.Context) (authn.Authenticator, error) { return nil, ctx.Err() })
	if _, err := k.ResolveContext(ctx, registry(t, "gcr.io")); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	me := fake(func(context.Context) (authn.Authenticator, error) { return &authn.Basic{Username: "me"}, nil })
	if auth, err := me.Resolve(registry(t, "gcr.io")); err != nil || auth == authn.Anonymous {
		t.Errorf("a login: %v, %v", auth, err)
	}
	if auth, err := me.Resolve(registry(t, "registry.example")); err != nil || auth != authn.Anonymous {
		t.Errorf("another host: %v, %v", auth, err)
	}
}
