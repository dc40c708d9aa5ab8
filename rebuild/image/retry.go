package image

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// attempt is one try of an operation. It travels in the context, so that the transport, which alone sees requests and
// answers, can tell the operation what happened.
type attempt struct {
	// mounted says that the registry took a blob over from another repository.
	mounted atomic.Bool
	// wait is how long the registry asked to wait before the next try, in nanoseconds.
	wait atomic.Int64
}

type attemptKey struct{}

// attemptOf returns nil outside of a try.
func attemptOf(ctx context.Context) *attempt {
	a, _ := ctx.Value(attemptKey{}).(*attempt)
	return a
}

// longestKept bounds what is kept of a Retry-After; what anyone waits is far less.
const longestKept = time.Hour

// askedToWait keeps how long an answer asks to wait.
func (a *attempt) askedToWait(resp *http.Response) {
	if a == nil {
		return
	}
	if wait, ok := retryAfter(resp); ok {
		a.wait.Store(int64(wait))
	}
}

// retryAfter is the Retry-After of an answer (RFC 9110, 10.2.3), as seconds or as a date; false is none that counts. A date is
// taken by the clock that made it, the answer's own Date: ours need not agree.
func retryAfter(resp *http.Response) (time.Duration, bool) {
	asked := resp.Header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(asked, 10, 63); err == nil {
		return time.Duration(min(seconds, uint64(longestKept/time.Second))) * time.Second, true
	}
	until, err := http.ParseTime(asked)
	now, noDate := http.ParseTime(resp.Header.Get("Date"))
	if err != nil || noDate != nil || !until.After(now) {
		return 0, false
	}
	return min(until.Sub(now), longestKept), true
}

// waits are the pauses between tries.
func (r Retry) waits() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.Multiplier = r.First, r.Longest, 2
	b.Reset()
	return b
}

// do runs f until it succeeds, fails for good, or has been tried often enough; then it returns f's last error. Each try
// has a context that carries its attempt.
func (r Retry) do(ctx context.Context, logger *slog.Logger, what string, f func(context.Context) error) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		a := &attempt{}
		err := f(context.WithValue(ctx, attemptKey{}, a))
		switch wait := time.Duration(a.wait.Load()); {
		case err == nil:
			return struct{}{}, nil
		case !isTemporary(ctx, err) || wait > r.LongestAsked:
			return struct{}{}, backoff.Permanent(err)
		case wait > 0:
			return struct{}{}, &waitError{error: err, wait: backoff.RetryAfterError{Duration: wait}}
		default:
			return struct{}{}, err
		}
	}, backoff.WithBackOff(r.waits()), backoff.WithMaxTries(r.Tries), backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, wait time.Duration) {
			logger.DebugContext(ctx, "trying again", "what", what, "wait", wait, "error", oneLine(err.Error()))
		}))
	var waited *waitError
	if errors.As(err, &waited) {
		return waited.error
	}
	return err
}

// waitError is an error with the wait that the registry asked for.
type waitError struct {
	error
	wait backoff.RetryAfterError
}

func (e *waitError) Unwrap() []error { return []error{e.error, &e.wait} }

// requestError is a request that got no answer, or not all of it.
type requestError struct{ err error }

func (e *requestError) Error() string { return e.err.Error() }
func (e *requestError) Unwrap() error { return e.err }

// isTemporary tells whether the same operation may succeed if it is repeated.
func isTemporary(ctx context.Context, err error) bool {
	var typed *Error
	var plain *plainHTTPError
	var dial *net.OpError
	var permanent *permanentError
	switch {
	case ctx.Err() != nil:
		return false
	case errors.As(err, &typed), errors.As(err, &permanent), errors.As(err, &plain), isSchemeMismatch(err), isCertificate(err):
		return false
	case errors.As(err, &dial) && dial.Op == "dial":
		// Nobody listens, or there is no such host: say so at once.
		return false
	}
	var answer *transport.Error
	if errors.As(err, &answer) {
		return isTemporaryStatus(answer.StatusCode)
	}
	var status *statusError
	var request *requestError
	var urlErr *url.Error
	var mirror *mirrorError
	return errors.As(err, &status) || errors.As(err, &mirror) || errors.As(err, &request) || errors.As(err, &urlErr) || isBroken(err) ||
		// Another upload of the same blob was cancelled with its own context, and we waited for it.
		errors.Is(err, context.Canceled)
}

// isBroken tells whether a connection broke off or stalled.
func isBroken(err error) bool {
	var netErr net.Error
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, net.ErrClosed) || (errors.As(err, &netErr) && netErr.Timeout())
}

func isTemporaryStatus(code int) bool {
	switch code {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout,
		499, // nginx: the client closed the request, which we did not
		522: // Cloudflare: the origin timed out
		return true
	}
	return false
}

// permanentError is an error of which no other try is any use.
type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }
