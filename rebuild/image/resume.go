package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// resumer carries transfers of large blobs on where they broke off, instead of from their beginning: downloads by a range
// request (RFC 9110, 14), uploads from where the registry says it is (OCI distribution spec, "Pushing a blob in chunks").
// What it puts together is checked against its digest by who reads it, and by the registry. Where a registry knows nothing
// of it, the failure is the one that there was.
type resumer struct {
	inner  http.RoundTripper
	retry  Retry
	chunk  func(host string) int64
	logger *slog.Logger
}

func (r *resumer) RoundTrip(req *http.Request) (*http.Response, error) {
	switch {
	case req.Method == http.MethodGet && blobPath.MatchString(askedPath(req)):
		return r.download(req)
	case req.Method == http.MethodPatch && uploadPath.MatchString(req.URL.Path) && req.GetBody != nil && req.ContentLength > 0:
		return r.upload(req)
	}
	return r.inner.RoundTrip(req)
}

// enough is how many bytes a transfer must gain for its failures to be counted anew, so that a peer that gives a byte for
// each request comes to an end too.
const enough = 1 << 20

// patience counts the failures of one transfer and waits after each.
type patience struct {
	retry Retry
	waits *backoff.ExponentialBackOff
	// failures were since the transfer had come as far as counted.
	failures uint
	counted  int64
	// asked is how long the last answer asked to wait; 0 is not at all.
	asked time.Duration
}

func (r Retry) patience() *patience {
	return &patience{retry: r, waits: r.waits()}
}

// refused notes what an answer that is a failure asks for.
func (p *patience) refused(resp *http.Response) {
	if resp != nil && isTemporaryStatus(resp.StatusCode) {
		p.asked, _ = retryAfter(resp)
	}
}

// wait tells whether to go on after a failure at a byte of the transfer. Where that would mean to wait for longer than anyone
// does, it is for the retries of the whole to say so.
func (p *patience) wait(ctx context.Context, at int64) bool {
	if at >= p.counted+enough {
		p.failures, p.counted = 0, at
		p.waits.Reset()
	}
	if p.failures++; p.failures >= p.retry.Tries {
		return false
	}
	pause := p.waits.NextBackOff()
	if p.asked > p.retry.LongestAsked {
		return false
	}
	if p.asked > 0 {
		pause, p.asked = p.asked, 0
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// download opens a blob. What is read whole anyway is small and is asked for again instead.
func (r *resumer) download(req *http.Request) (*http.Response, error) {
	resp, err := r.inner.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusOK || resp.ContentLength <= maxConfig {
		return resp, err
	}
	resp.Body = &download{
		r: r, req: req, body: resp.Body, size: resp.ContentLength, etag: resp.Header.Get("ETag"), patience: r.retry.patience(),
	}
	return resp, nil
}

// download is the body of a blob's answer.
type download struct {
	r        *resumer
	req      *http.Request
	body     io.ReadCloser
	at, size int64
	etag     string
	patience *patience
}

func (d *download) Read(p []byte) (int, error) {
	n, err := d.body.Read(p)
	d.at += int64(n)
	if err == nil || err == io.EOF || d.at >= d.size || !isTemporary(d.req.Context(), err) {
		return n, err
	}
	if resumed := d.resume(); resumed != nil {
		_ = d.body.Close()
		d.body = resumed
		return n, nil
	}
	return n, err
}

func (d *download) Close() error { return d.body.Close() }

// resume asks for the rest, nil where it cannot be had.
func (d *download) resume() io.ReadCloser {
	ctx := d.req.Context()
	for d.patience.wait(ctx, d.at) {
		d.r.logger.DebugContext(ctx, "going on with a download", "host", d.req.URL.Host, "path", d.req.URL.Path, "at", d.at)
		again := d.req.Clone(ctx)
		again.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", d.at, d.size-1))
		if d.etag != "" && !strings.HasPrefix(d.etag, "W/") {
			again.Header.Set("If-Range", d.etag)
		}
		resp, err := d.r.inner.RoundTrip(again)
		if err != nil {
			continue
		}
		if d.continues(resp) {
			return resp.Body
		}
		_ = resp.Body.Close()
		if !isTemporaryStatus(resp.StatusCode) {
			return nil
		}
		d.patience.refused(resp)
	}
	return nil
}

// continues tells whether an answer goes on with this blob where it broke off.
func (d *download) continues(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusPartialContent:
		return resp.Header.Get("Content-Range") == fmt.Sprintf("bytes %d-%d/%d", d.at, d.size-1, d.size)
	case http.StatusOK: // all of it: the server knows no ranges
		if resp.ContentLength != d.size {
			return false
		}
		_, err := io.CopyN(io.Discard, resp.Body, d.at)
		return err == nil
	}
	return false
}

// upload sends a blob's bytes, in pieces where the host's settings ask for that.
func (r *resumer) upload(req *http.Request) (*http.Response, error) {
	u := &upload{r: r, req: req, to: req.URL, body: req.Body, size: req.ContentLength, patience: r.retry.patience()}
	defer func() { _ = u.body.Close() }()
	for {
		n := u.size - u.at
		if chunk := r.chunk(req.URL.Host); chunk > 0 {
			n = min(n, chunk)
		}
		resp, err := u.send(n)
		u.patience.refused(resp)
		switch {
		case err == nil && resp.StatusCode < http.StatusMultipleChoices:
			if u.at += n; u.at == u.size {
				return resp, nil
			}
			ok := u.follow(resp)
			_ = resp.Body.Close()
			if !ok {
				return nil, &requestError{fmt.Errorf("%s does not say where the next part of an upload goes", req.URL.Host)}
			}
		case !u.resumable(resp, err) || !u.resume():
			return u.give(resp, err)
		default:
			if resp != nil {
				_ = resp.Body.Close()
			}
			if u.at == u.size {
				return u.last, nil
			}
		}
	}
}

// upload is one blob on its way.
type upload struct {
	r        *resumer
	req      *http.Request
	to       *url.URL
	body     io.ReadCloser
	at, size int64
	patience *patience
	// last is what the registry last said of the upload when it was asked; nil is not yet.
	last *http.Response
}

// give is the end of an upload that failed. A registry that has lost track of one that was resumed takes it from the
// beginning, so that is a failure for now. So is a token that has expired within one: whoever gets a new one would repeat this
// request, whose body is read in part.
func (u *upload) give(resp *http.Response, err error) (*http.Response, error) {
	if err != nil {
		return resp, err
	}
	again := false
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		again = u.at > 0
	case http.StatusBadRequest, http.StatusNotFound, http.StatusRequestedRangeNotSatisfiable:
		again = u.last != nil
	}
	if !again {
		return resp, nil
	}
	_ = resp.Body.Close()
	return nil, &requestError{fmt.Errorf("%s does not go on with an upload: %w", u.to.Host, &statusError{resp.StatusCode})}
}

// send sends the next n bytes. All at once, as nearly every registry likes it best, goes as the request came.
func (u *upload) send(n int64) (*http.Response, error) {
	req := u.req.Clone(u.req.Context())
	req.URL, req.ContentLength, req.GetBody = u.to, n, nil
	part := &part{Reader: u.body, closed: make(chan struct{})} // to its end, where a layer's reader tells that it was another
	if u.at+n < u.size {
		part.Reader = io.LimitReader(u.body, n)
	}
	req.Body = part
	if u.last != nil {
		req.Header.Set("Expect", "100-continue") // nothing is sent that the registry does not want
	}
	if n < u.size {
		// Without a unit and a total, unlike in HTTP.
		req.Header.Set("Content-Range", fmt.Sprintf("%d-%d", u.at, u.at+n-1))
	}
	resp, err := u.r.inner.RoundTrip(req)
	if err == nil && resp.StatusCode >= http.StatusMultipleChoices {
		resp.Body = refusal(resp.Body)
	}
	// A transport may go on reading after it has an answer; the bytes behind are ours.
	<-part.closed
	return resp, err
}

// maxRefusal bounds what is read of a refusal's text, in bytes.
const maxRefusal = 64 << 10

// refusal reads the text of a refusal and closes it, which ends the sending: a registry that has refused a part may neither
// take the rest nor close the connection.
func refusal(body io.ReadCloser) io.ReadCloser {
	text, err := io.ReadAll(io.LimitReader(body, maxRefusal))
	_ = body.Close()
	if err != nil {
		return io.NopCloser(io.MultiReader(bytes.NewReader(text), &failingReader{err}))
	}
	return io.NopCloser(bytes.NewReader(text))
}

type failingReader struct{ err error }

func (r *failingReader) Read([]byte) (int, error) { return 0, r.err }

// part is a part of a body, which stays open.
type part struct {
	io.Reader
	closed chan struct{}
	once   sync.Once
}

func (p *part) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// resumable tells whether a registry may have kept what it got.
func (u *upload) resumable(resp *http.Response, err error) bool {
	if err != nil {
		var source *sourceError // of what is read: the registry is not to blame
		return isTemporary(u.req.Context(), err) && !errors.As(err, &source)
	}
	// What the registry said of its place may be outdated when it was still busy with what came before the break.
	outdated := resp.StatusCode == http.StatusRequestedRangeNotSatisfiable && u.last != nil
	return outdated || resp.StatusCode >= http.StatusInternalServerError && isTemporaryStatus(resp.StatusCode)
}

// receivedRange is how much of an upload a registry has: "0-" and the last byte's place.
var receivedRange = regexp.MustCompile(`^(?:bytes=)?0-(\d+)$`)

// resume asks the registry how far it got and makes ready to send what is behind that.
func (u *upload) resume() bool {
	ctx := u.req.Context()
	for u.patience.wait(ctx, u.at) {
		ask := u.req.Clone(ctx)
		ask.Method, ask.URL, ask.Body, ask.GetBody, ask.ContentLength = http.MethodGet, u.to, http.NoBody, nil, 0
		resp, err := u.r.inner.RoundTrip(ask)
		if err != nil {
			continue
		}
		_ = resp.Body.Close()
		got := receivedRange.FindStringSubmatch(resp.Header.Get("Range"))
		if got == nil || resp.StatusCode >= http.StatusMultipleChoices || !u.follow(resp) {
			if isTemporaryStatus(resp.StatusCode) {
				u.patience.refused(resp)
				continue
			}
			return false
		}
		last, err := strconv.ParseInt(got[1], 10, 64)
		if err != nil || last >= u.size {
			return false
		}
		u.last = resp
		if last > 0 { // "0-0" is said of nothing, too
			last++
		}
		u.r.logger.DebugContext(ctx, "going on with an upload", "host", u.to.Host, "path", u.to.Path, "at", last)
		return u.seek(last)
	}
	return false
}

// seek opens the body anew and skips what is there already.
func (u *upload) seek(at int64) bool {
	body, err := u.req.GetBody()
	if err != nil {
		return false
	}
	_ = u.body.Close()
	u.body, u.at = body, at
	_, err = io.CopyN(io.Discard, body, at)
	return err == nil
}

// follow goes where the registry says that an upload goes on. Elsewhere than at the registry it does not: the request holds
// a token.
func (u *upload) follow(resp *http.Response) bool {
	to, err := u.to.Parse(resp.Header.Get("Location"))
	if err != nil || resp.Header.Get("Location") == "" || to.Host != u.to.Host || to.Scheme != u.to.Scheme {
		return false
	}
	u.to = to
	return true
}
