package image

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// maxManifest bounds a manifest, index or list of referrers (4 MiB is what registries take, OCI distribution spec),
// maxConfig an image's config, maxLayers its layers (kernels mount 500 at most).
const (
	maxManifest = 4 << 20
	maxConfig   = 4 << 20
	maxLayers   = 1024
)

// newTransport stacks what a request passes, outermost first: retries, whole and verified small bodies, the limit for each
// host, resumed transfers, byte counts, the refusal of plain HTTP, the watch for stalls, the network.
func newTransport(network http.RoundTripper, opts Options, hosts plainHosts, counts *counts) http.RoundTripper {
	guard := &plainHTTPGuard{inner: &watchdog{inner: network, stall: opts.Stall}, hosts: hosts}
	counter := &counter{inner: guard, counts: counts}
	resumer := &resumer{
		inner: counter, retry: opts.Retry, logger: opts.Logger,
		chunk: func(host string) int64 { return opts.host(host).ChunkSize },
	}
	limit := &hostLimit{inner: resumer, longest: opts.Stall, places: func(host string) int {
		return cmp.Or(opts.host(host).Concurrency, opts.Jobs)
	}}
	return &retrier{inner: &wholeReader{inner: limit}, retry: opts.Retry, logger: opts.Logger}
}

// plainHTTPGuard refuses unencrypted requests except to the hosts for which someone allowed them. It stands below
// redirects and token servers, so these are held to the same rule.
type plainHTTPGuard struct {
	inner http.RoundTripper
	hosts plainHosts
}

type plainHTTPError struct{ host string }

func (e *plainHTTPError) Error() string { return "plain HTTP with " + e.host + " is not allowed" }

func (g *plainHTTPGuard) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" && !g.hosts.allows(req.URL.Host) {
		closeBody(req)
		return nil, &plainHTTPError{host: req.URL.Host}
	}
	return g.inner.RoundTrip(req)
}

// closeBody does what the contract of http.RoundTripper asks for when no request is made.
func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

// wrapBody puts every body that a request may send into another. The request must be the caller's own copy.
func wrapBody(req *http.Request, wrap func(io.ReadCloser) io.ReadCloser) {
	if req.Body == nil || req.Body == http.NoBody {
		return
	}
	req.Body = wrap(req.Body)
	if again := req.GetBody; again != nil {
		req.GetBody = func() (io.ReadCloser, error) {
			body, err := again()
			if err != nil {
				return nil, err
			}
			return wrap(body), nil
		}
	}
}

// The paths of the distribution API, of which the last element is a digest or tag.
var (
	manifestPath = regexp.MustCompile(`^/v2/.+/(manifests|referrers)/([^/]+)$`)
	blobPath     = regexp.MustCompile(`^/v2/.+/(blobs)/([^/]+)$`)
	uploadPath   = regexp.MustCompile(`^/v2/.+/blobs/uploads/`)
)

// askedPath is the path that was first asked for: a redirected request is to some storage service.
func askedPath(req *http.Request) string {
	for req.Response != nil && req.Response.Request != nil {
		req = req.Response.Request
	}
	return req.URL.Path
}

// wholeReader reads manifests, lists and small blobs, configs among them, whole before it hands them on. So a connection
// that breaks off is one more failed request for the retries, a hostile length costs no memory, and what is asked for by
// digest is right or a typed error.
type wholeReader struct{ inner http.RoundTripper }

func (w *wholeReader) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := w.inner.RoundTrip(req)
	if err != nil || req.Method != http.MethodGet || resp.StatusCode != http.StatusOK {
		return resp, err
	}
	path := askedPath(req)
	match := manifestPath.FindStringSubmatch(path)
	if blob := blobPath.FindStringSubmatch(path); blob != nil && 0 <= resp.ContentLength && resp.ContentLength <= maxConfig {
		match = blob
	}
	if match == nil {
		return resp, nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxManifest+1))
	closeErr := resp.Body.Close()
	if err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if len(body) > maxManifest {
		return nil, invalidError(req.URL.Host+path, "larger than %d MiB", maxManifest>>20)
	}
	if want, err := v1.NewHash(match[2]); err == nil && match[1] != "referrers" {
		if err := checkBytes(req.URL.Host+path, body, want); err != nil {
			return nil, err
		}
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.ContentLength = int64(len(body))
	return resp, nil
}

// retrier repeats reads that fail for now. Writes pass: a broken upload must start over from its first request, which
// [Client.try] does; the reads within one belong to it.
type retrier struct {
	inner  http.RoundTripper
	retry  Retry
	logger *slog.Logger
}

// statusError is an answer that may be another one next time.
type statusError struct{ code int }

func (e *statusError) Error() string { return fmt.Sprintf("%d %s", e.code, http.StatusText(e.code)) }

func (r *retrier) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if a := attemptOf(ctx); a != nil || (req.Method != http.MethodGet && req.Method != http.MethodHead) {
		resp, err := r.inner.RoundTrip(req)
		if resp != nil && isTemporaryStatus(resp.StatusCode) {
			a.askedToWait(resp)
		}
		r.log(ctx, req, resp, err)
		return resp, err
	}
	var last *http.Response
	err := r.retry.do(ctx, r.logger, req.Method+" "+req.URL.Path, func(ctx context.Context) error {
		if last != nil {
			_ = last.Body.Close()
			last = nil
		}
		resp, err := r.inner.RoundTrip(req) //nolint:bodyclose // the caller closes the last one, the others are closed above
		r.log(ctx, req, resp, err)
		if err != nil {
			return &requestError{err}
		}
		last = resp
		if isTemporaryStatus(resp.StatusCode) {
			attemptOf(ctx).askedToWait(resp)
			return &statusError{resp.StatusCode}
		}
		return nil
	})
	if last != nil && ctx.Err() == nil {
		// The last answer says more than the error made of its status.
		return last, nil
	}
	if last != nil {
		_ = last.Body.Close()
	}
	return nil, err
}

func (r *retrier) log(ctx context.Context, req *http.Request, resp *http.Response, err error) {
	attrs := []slog.Attr{
		slog.String("method", req.Method), slog.String("host", req.URL.Host), slog.String("path", req.URL.Path),
	}
	if resp != nil {
		attrs = append(attrs, slog.Int("status", resp.StatusCode))
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", oneLine(err.Error())))
	}
	r.logger.LogAttrs(ctx, slog.LevelDebug, "registry request", attrs...)
}
