package pkgrepo

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// maxRetryAfter is the longest pause a server may ask for; beyond it the fetch fails at once, since a
// run that sleeps for an hour is worse than one that says why it stopped.
const maxRetryAfter = time.Minute

// request is one file to get.
type request struct {
	url    string
	header http.Header
	// counter gets the bytes that are read.
	counter *atomic.Int64
	// take consumes an answer with status 200 or, to a conditional request, 304. It is called once for
	// every try and starts afresh each time. A *CacheError or *Error it returns ends the request; any
	// other error counts as a broken connection.
	take func(r *response) error
}

type response struct {
	status int
	header http.Header
	body   io.Reader
}

// get makes a request until it succeeds, fails for good, or was tried often enough.
func (c *Client) get(ctx context.Context, req request) error {
	u, err := url.Parse(req.url)
	if err != nil {
		// The parser's error repeats the URL, password and all.
		return fmt.Errorf("malformed repository URL: %w", errors.Unwrap(err))
	}
	if u.Scheme == "file" {
		return c.getFile(u, req)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return &Error{ErrUnreachable, u.Redacted(), errors.New("only http:, https: and file: URLs can be fetched")}
	}
	var last error
	_, err = backoff.Retry(ctx, func() (struct{}, error) {
		last = c.try(ctx, u, req)
		return struct{}{}, retryable(last)
	}, c.retryOptions(u)...)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return asError(u, last)
}

func (c *Client) retryOptions(u *url.URL) []backoff.RetryOption {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval = c.wait
	wait.MaxInterval = 20 * c.wait
	return []backoff.RetryOption{
		backoff.WithBackOff(wait),
		backoff.WithMaxTries(uint(c.tries)),
		backoff.WithMaxElapsedTime(0), // every wait and the number of tries are bounded
		backoff.WithNotify(func(err error, wait time.Duration) {
			c.log.Warn("retrying", "url", u.Redacted(), "error", err, "wait", wait)
		}),
	}
}

// statusError is an answer that is not the file.
type statusError struct {
	code int
	text string
	// after is how long the server asks to wait; negative where it says nothing.
	after time.Duration
	// unknown says that it wants a login that is not known.
	unknown bool
}

func (e *statusError) Error() string { return e.text }

func (e *statusError) Is(target error) bool { return target == ErrLogin && e.unknown }

// retryable wraps an error in what tells backoff whether and when to try again.
func retryable(err error) error {
	var (
		status *statusError
		known  *Error
		cache  *CacheError
		cert   *tls.CertificateVerificationError
		redir  redirectError
		dns    *net.DNSError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known), errors.As(err, &cache), errors.As(err, &cert), errors.As(err, &redir),
		errors.As(err, &dns) && dns.IsNotFound:
		return backoff.Permanent(err)
	case errors.As(err, &status):
		transient := status.code >= 500 || status.code == http.StatusTooManyRequests ||
			status.code == http.StatusRequestTimeout || status.code == http.StatusTooEarly
		if !transient || status.after > maxRetryAfter {
			return backoff.Permanent(err)
		}
		if status.after >= 0 {
			return errors.Join(err, &backoff.RetryAfterError{Duration: status.after})
		}
	}
	return err
}

// asError gives a failure of the network its kind and URL; failures of other sorts have theirs.
func asError(u *url.URL, err error) error {
	var (
		status *statusError
		known  *Error
		cache  *CacheError
		short  *shortError
		wire   *url.Error
	)
	switch {
	case err == nil, errors.As(err, &known), errors.As(err, &cache):
		return err
	case errors.As(err, &status) && (status.code == http.StatusNotFound || status.code == http.StatusGone):
		return &Error{ErrNotFound, u.Redacted(), err}
	case errors.As(err, &short):
		return &Error{ErrVerification, u.Redacted(), err}
	case errors.As(err, &wire):
		err = wire.Err // without the method and URL, which Error repeats
	}
	return &Error{ErrUnreachable, u.Redacted(), err}
}

// try makes one request. A watchdog cancels it when no byte arrives for a while, which covers the connect,
// the TLS handshake, the header and the body alike, whatever the transport, and when the body trickles.
func (c *Client) try(ctx context.Context, u *url.URL, req request) error {
	release, err := c.hosts.acquire(ctx, u.Host)
	if err != nil {
		return err
	}
	defer release()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := newWatchdog(c.stall, cancel)
	defer watchdog.stop()

	hr, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	for k, v := range req.header {
		hr.Header[k] = v
	}
	hr.Header.Set("User-Agent", c.agent)
	known := c.authorize(hr)
	// Checksums are over the file as it is stored: no transport may unpack it on the way.
	hr.Header.Set("Accept-Encoding", "identity")
	resp, err := c.http.Do(hr)
	if err != nil {
		return causeOf(ctx, err)
	}
	defer resp.Body.Close()
	conditional := hr.Header.Get("If-None-Match") != "" || hr.Header.Get("If-Modified-Since") != ""
	if resp.StatusCode != http.StatusOK && (resp.StatusCode != http.StatusNotModified || !conditional) {
		return c.status(resp, known)
	}
	go watchdog.pace()
	body := &watchedReader{r: resp.Body, n: req.counter, arrived: watchdog.arrived}
	return causeOf(ctx, req.take(&response{resp.StatusCode, resp.Header, body}))
}

// causeOf replaces "context canceled" by the reason of the cancellation.
func causeOf(ctx context.Context, err error) error {
	if err != nil && errors.Is(err, context.Canceled) {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
	}
	return err
}

// status makes an error of an answer; known says that the request had a login with it.
func (c *Client) status(resp *http.Response, known bool) error {
	e := &statusError{code: resp.StatusCode, text: resp.Status, after: -1}
	switch {
	case resp.StatusCode == http.StatusUnauthorized && known:
		e.text += ": the login that is known for it is refused"
	case resp.StatusCode == http.StatusUnauthorized:
		e.text += ": it wants a login, and none is known for it"
		e.unknown = true
	}
	if v := resp.Header.Get("Retry-After"); v != "" {
		if n, err := strconv.Atoi(v); err == nil && n >= 0 {
			e.after = time.Duration(min(n, int(24*time.Hour/time.Second))) * time.Second
		} else if t, err := http.ParseTime(v); err == nil {
			e.after = max(0, t.Sub(c.now()))
		}
	}
	return e
}

// getFile answers a request out of the local file system. Only regular files are opened: a FIFO or a
// device would block.
func (c *Client) getFile(u *url.URL, req request) error {
	name := u.Path
	if u.Opaque != "" || (u.Host != "" && u.Host != "localhost") || name == "" {
		return &Error{ErrUnreachable, u.Redacted(), errors.New("want file:///an/absolute/path")}
	}
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &Error{ErrNotFound, u.Redacted(), fs.ErrNotExist}
	case err != nil:
		return &Error{ErrUnreachable, u.Redacted(), err}
	case !info.Mode().IsRegular():
		return &Error{ErrUnreachable, u.Redacted(), errors.New("not a regular file")}
	}
	f, err := os.Open(name)
	if err != nil {
		return &Error{ErrUnreachable, u.Redacted(), err}
	}
	defer f.Close()
	body := &watchedReader{r: f, n: req.counter, arrived: func(int) {}}
	return asError(u, req.take(&response{status: http.StatusOK, header: http.Header{}, body: body}))
}
