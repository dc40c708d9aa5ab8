package image

import (
	"log/slog"
	"net"
	"net/http"
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
	// Hosts are settings for some registries, by "host" or "host:port" in any case; docker.io stands for all of Docker Hub's.
	Hosts map[string]HostOptions
	// CertDirs are directories of certificates as docker and podman keep them: HOST[:PORT]/*.crt are
	// authorities to trust, NAME.cert with NAME.key are client certificates. The first directory that has the host counts.
	CertDirs []string
	// UsualCertDirs are looked through after CertDirs (see [DefaultCertDirs]). What is there was not made for this program: a directory that may not
	// be read, as docker's own often may not, counts as one without the host.
	UsualCertDirs []string
	// Mirrors are asked first when an image is opened.
	Mirrors []Mirrors
	// Transport replaces the network; nil is net/http's with the system's proxies. It excludes CACert, and knows nothing of
	// certificates in Hosts, CertDirs and UsualCertDirs.
	Transport http.RoundTripper
	// UserAgent goes in front of go-containerregistry's own.
	UserAgent string
	// Retry says how often and how patiently to try again.
	Retry Retry
	// Stall is how long a registry may send, or take, nothing in the middle of a transfer; 0 is one minute.
	Stall time.Duration
	// Jobs is how many blobs move at once, and how many requests one host gets at once in each direction; 0 is 4.
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
	hosts := make(map[string]HostOptions, len(o.Hosts))
	for host, h := range o.Hosts {
		hosts[strings.ToLower(host)] = h
	}
	o.Hosts = hosts
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
	return &hostCertificates{opts: o, base: t, made: make(map[string]*http.Transport)}, nil
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
