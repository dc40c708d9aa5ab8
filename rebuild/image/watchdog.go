package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// watchdog gives up on a peer that lets nothing through for too long, in either direction. A peer that has taken a whole
// request may think about it for longer: the network's own limit on that stands.
type watchdog struct {
	inner http.RoundTripper
	stall time.Duration
}

// errStalled is why a watchdog ends a request.
var errStalled = errors.New("the peer stalls")

func (w *watchdog) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	dog := &watch{ctx: ctx, cancel: cancel, stall: w.stall}
	watched := req.Clone(ctx)
	wrapBody(watched, func(body io.ReadCloser) io.ReadCloser {
		return &watchedBody{ReadCloser: body, watch: dog, upload: true}
	})
	resp, err := w.inner.RoundTrip(watched)
	if err != nil {
		dog.stop()
		return nil, dog.explain(err)
	}
	dog.alive()
	resp.Body = &watchedBody{ReadCloser: resp.Body, watch: dog}
	return resp, nil
}

// watch is the timer of one request.
type watch struct {
	ctx    context.Context //nolint:containedctx // it is the one request's own, to tell why that ended
	cancel context.CancelCauseFunc
	stall  time.Duration

	mu    sync.Mutex
	timer *time.Timer
	ended bool
}

// alive starts the wait anew.
func (w *watch) alive() {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.ended:
	case w.timer == nil:
		w.timer = time.AfterFunc(w.stall, func() { w.cancel(fmt.Errorf("%w: nothing for %s", errStalled, w.stall)) })
	default:
		w.timer.Reset(w.stall)
	}
}

// pause ends the wait until somebody starts it anew.
func (w *watch) pause() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil {
		w.timer.Stop()
	}
}

func (w *watch) stop() {
	w.mu.Lock()
	w.ended = true
	if w.timer != nil {
		w.timer.Stop()
	}
	w.mu.Unlock()
	w.cancel(nil)
}

// over tells whether the request has ended.
func (w *watch) over() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ended
}

// explain puts the reason in the place of an error that only says that a request was given up.
func (w *watch) explain(err error) error {
	if cause := context.Cause(w.ctx); err != nil && errors.Is(cause, errStalled) {
		return &requestError{cause}
	}
	return err
}

// watchedBody tells a watch of everything that goes through.
type watchedBody struct {
	io.ReadCloser
	watch  *watch
	upload bool
}

func (b *watchedBody) Read(p []byte) (int, error) {
	// Only the peer's time counts, not that of who reads, nor that of the source of an upload.
	if b.upload {
		b.watch.pause()
	} else {
		b.watch.alive()
	}
	n, err := b.ReadCloser.Read(p)
	switch {
	case !b.upload || err != nil:
		b.watch.pause()
	default:
		b.watch.alive() // until the network asks for more
	}
	if err != nil && err != io.EOF { //nolint:errorlint // io.Reader promises io.EOF itself
		err = b.watch.explain(err)
		if !b.upload && !b.watch.over() { // else it was closed
			// The network's own errors have no type to know them by over HTTP/2 (RST_STREAM, GOAWAY).
			err = &requestError{err}
		}
	}
	return n, err
}

func (b *watchedBody) Close() error {
	if !b.upload {
		b.watch.stop()
	}
	return b.ReadCloser.Close()
}
