package image

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
)

// Options are a client's settings; the zero value is useful.
type Options struct {
	// Keychain finds the credentials of a registry; nil is authn.DefaultKeychain (docker's and podman's logins).
	Keychain authn.Keychain
	// InsecureRegistries are hosts, "host" or "host:port", with which plain HTTP may be spoken if they have no HTTPS.
	// Loopback hosts always are, as with docker.
	InsecureRegistries []string
	// CACert is a PEM file of certificate authorities to trust besides the system's.
	CACert string
	// Transport replaces the network; nil is net/http's with the system's proxies. It excludes CACert.
	Transport http.RoundTripper
	// UserAgent goes in front of go-containerregistry's own.
	UserAgent string
	// Retry says how often and how patiently to try again.
	Retry Retry
	// Stall is how long a registry may send, or take, nothing in the middle of a transfer; 0 is one minute.
	Stall time.Duration
	// Jobs is how many blobs move at once; 0 is 4.
	Jobs int
	// Logger gets a debug line for each request and retry; nil is silence.
	Logger *slog.Logger
}

// Retry is how requests that fail for now (a broken connection, 429, 5xx) are repeated. A zero field has its default.
type Retry struct {
	// Tries counts the first one too; 0 is 5.
	Tries uint
	// First is the wait after the first failure, 0 is 500 ms. It doubles each time, with jitter, up to Longest, 0 is 10 s.
	First, Longest time.Duration
	// LongestAsked bounds the wait that a registry asks for with Retry-After; 0 is one minute.
	LongestAsked time.Duration
}

const (
	defaultJobs         = 4
	defaultStall        = time.Minute
	defaultTries        = 5
	defaultFirst        = 500 * time.Millisecond
	defaultLongest      = 10 * time.Second
	defaultLongestAsked = time.Minute

	// headerTimeout bounds the silence after a request. It is long because a registry may hash a whole upload first.
	headerTimeout = 3 * time.Minute
	dialTimeout   = 15 * time.Second
)

// withDefaults fills what is left zero.
func (o Options) withDefaults() Options {
	if o.Keychain == nil {
		o.Keychain = authn.DefaultKeychain
	}
	if o.Jobs <= 0 {
		o.Jobs = defaultJobs
	}
	if o.Stall <= 0 {
		o.Stall = defaultStall
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Retry.Tries == 0 {
		o.Retry.Tries = defaultTries
	}
	if o.Retry.First <= 0 {
		o.Retry.First = defaultFirst
	}
	if o.Retry.Longest <= 0 {
		o.Retry.Longest = defaultLongest
	}
	if o.Retry.LongestAsked <= 0 {
		o.Retry.LongestAsked = defaultLongestAsked
	}
	return o
}

// network is the innermost transport.
func (o Options) network() (http.RoundTripper, error) {
	if o.Transport != nil {
		if o.CACert != "" {
			return nil, usageError("--ca-cert "+o.CACert, "an own transport brings its own authorities", "")
		}
		return o.Transport, nil
	}
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   4 * o.Jobs,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   dialTimeout,
		ExpectContinueTimeout: time.Second,
		ResponseHeaderTimeout: headerTimeout,
	}
	var err error
	if t.TLSClientConfig, err = Authorities(o.CACert); err != nil {
		return nil, err
	}
	return t, nil
}

// Authorities is the system's certificate authorities with those of a PEM file, as --ca-cert names it; nil, which stands
// for the system's alone, where no file is named. Its errors are [ErrUsage].
func Authorities(file string) (*tls.Config, error) {
	if file == "" {
		return nil, nil //nolint:nilnil // no configuration is what a transport's default stands for
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, &Error{Kind: ErrUsage, Ref: "--ca-cert " + file, What: err.Error(), Cause: err}
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, usageError("--ca-cert "+file, "no certificate in it", "give a PEM file (-----BEGIN CERTIFICATE-----)")
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// plainHosts are the hosts with which plain HTTP may be spoken.
type plainHosts map[string]bool

func newPlainHosts(hosts []string) plainHosts {
	p := make(plainHosts)
	for _, h := range hosts {
		p[strings.ToLower(h)] = true
	}
	return p
}

// allows takes a "host" or "host:port".
func (p plainHosts) allows(hostport string) bool {
	hostport = strings.ToLower(hostport)
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if p[hostport] || p[host] {
		return true
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
