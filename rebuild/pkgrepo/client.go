package pkgrepo

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Options configure a Client. Dir and Now are required; every other field has a useful zero value.
type Options struct {
	// Dir is the cache directory; it is created where missing, for the user alone. One that is there must be
	// the user's own or root's, and not writable for group or others. Any number of processes may share it.
	Dir string
	// Now is the clock, for a Retry-After that names a date and for the age of temporary files.
	Now func() time.Time
	// Used is told of a file below [CacheDirs] before it is taken, so that a cleaner can leave it; nil is nobody.
	Used func(file string)
	// Transport carries HTTP requests; nil stands for NewTransport(nil).
	Transport http.RoundTripper
	// Logger gets retries and cache misses; nil discards.
	Logger *slog.Logger
	// UserAgent is sent with every request; empty stands for "nanopatch".
	UserAgent string
	// PerHost is how many requests one host gets at a time; 0 stands for 6.
	PerHost int
	// Tries is how often a request is made before it counts as failed; 0 stands for 5.
	Tries int
	// Wait is the pause before the second try; it doubles from there. 0 stands for 500 ms.
	Wait time.Duration
	// Logins are for repositories that want one.
	Logins Logins
	// Stall is how long a peer may send nothing, from the connect to the last byte; 0 stands for 30 s. In any
	// two of these a file that is under way must bring 512 bytes per second: 30 KiB in a minute.
	Stall time.Duration
}

// Client fetches the files of package repositories, http:, https: and file:, through a cache on disk.
// It is safe for concurrent use.
type Client struct {
	cache  *cache
	http   *http.Client
	now    func() time.Time
	log    *slog.Logger
	agent  string
	tries  int
	wait   time.Duration
	stall  time.Duration
	logins Logins
	// What follows is shared with the clients that WithLogins makes.
	hosts        *hostLimit
	repo, artefs *atomic.Int64
	consulted    *consultations
}

// New opens the cache and returns a Client on it.
func New(opts Options) (*Client, error) {
	if opts.Now == nil {
		return nil, errors.New("no clock given")
	}
	cache, err := openCache(opts.Dir, opts.Now(), opts.Used)
	if err != nil {
		return nil, err
	}
	c := &Client{
		cache:  cache,
		now:    opts.Now,
		log:    opts.Logger,
		agent:  orDefault(opts.UserAgent, "nanopatch"),
		tries:  orDefault(opts.Tries, 5),
		wait:   orDefault(opts.Wait, 500*time.Millisecond),
		stall:  orDefault(opts.Stall, 30*time.Second),
		logins: opts.Logins,
		hosts:  &hostLimit{n: orDefault(opts.PerHost, 6)},
		repo:   new(atomic.Int64), artefs: new(atomic.Int64), consulted: new(consultations),
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	transport := opts.Transport
	if transport == nil {
		transport = NewTransport(nil)
	}
	c.http = &http.Client{Transport: transport, CheckRedirect: c.checkRedirect}
	return c, nil
}

// NewTransport is the transport a Client uses: proxies from the environment (HTTP_PROXY, HTTPS_PROXY,
// NO_PROXY), no decompression on the way. cfg, where not nil, brings further certificate authorities.
func NewTransport(cfg *tls.Config) *http.Transport {
	dialer := &net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialer.DialContext,
		TLSClientConfig:     cfg,
		TLSHandshakeTimeout: 15 * time.Second,
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 8,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true,
	}
}

// Bytes is how much a Client read from repositories; what came out of the cache does not count.
type Bytes struct {
	// Repository counts signed files and indexes, Artifacts package files.
	Repository, Artifacts int64
}

// Bytes tells what was read so far. It may be called while fetches run.
func (c *Client) Bytes() Bytes {
	return Bytes{Repository: c.repo.Load(), Artifacts: c.artefs.Load()}
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// checkRedirect follows ten redirects, and never from https to http: a mirror asked for in private must
// not be able to take the rest of the conversation into the open. Of what it goes to it sends the login, and no other: the
// library would take one along to other ports, paths and subdomains of its host.
func (c *Client) checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) >= 10 {
		return redirectError("stopped after 10 redirects")
	}
	if s := req.URL.Scheme; s != "http" && s != "https" {
		return redirectError(fmt.Sprintf("redirect to a %s: URL", s))
	}
	if via[len(via)-1].URL.Scheme == "https" && req.URL.Scheme == "http" {
		return redirectError("redirect from https to " + req.URL.Redacted())
	}
	c.authorize(req)
	return nil
}

type redirectError string

func (e redirectError) Error() string { return string(e) }

// hostLimit bounds the requests under way to each host.
type hostLimit struct {
	n     int
	mu    sync.Mutex
	slots map[string]chan struct{}
}

func (l *hostLimit) acquire(ctx context.Context, host string) (release func(), err error) {
	l.mu.Lock()
	slot := l.slots[host]
	if slot == nil {
		if l.slots == nil {
			l.slots = make(map[string]chan struct{})
		}
		slot = make(chan struct{}, l.n)
		l.slots[host] = slot
	}
	l.mu.Unlock()
	select {
	case slot <- struct{}{}:
		return func() { <-slot }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
