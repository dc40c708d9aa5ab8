package image

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"
)

// hostLimit bounds how many manifests and blobs are on their way from and to one host. Both have places of their own: a
// copy within a registry reads and writes at once, and may not wait for itself.
type hostLimit struct {
	inner http.RoundTripper
	// places is how many a host has in each direction.
	places func(host string) int
	// longest bounds the wait. Who reads two blobs at once could otherwise wait for itself, for ever.
	longest time.Duration

	mu   sync.Mutex
	busy map[string]chan struct{}
}

func (l *hostLimit) RoundTrip(req *http.Request) (*http.Response, error) {
	path := askedPath(req)
	if !blobPath.MatchString(path) && !manifestPath.MatchString(path) && !uploadPath.MatchString(path) {
		return l.inner.RoundTrip(req) // pings and tokens
	}
	leave, err := l.enter(req)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	resp, err := l.inner.RoundTrip(req)
	if err != nil || req.Method != http.MethodGet || resp.StatusCode >= http.StatusMultipleChoices || !blobPath.MatchString(path) {
		leave() // go-containerregistry does not close every answer that is an error
		return resp, err
	}
	resp.Body = &limitedBody{ReadCloser: resp.Body, leave: leave}
	return resp, nil
}

// enter waits for a place.
func (l *hostLimit) enter(req *http.Request) (leave func(), err error) {
	ctx := req.Context()
	places := l.queue(req)
	timer := time.NewTimer(l.longest)
	defer timer.Stop()
	select {
	case places <- struct{}{}:
		return sync.OnceFunc(func() { <-places }), nil
	case <-timer.C:
		return func() {}, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (l *hostLimit) queue(req *http.Request) chan struct{} {
	host := req.URL.Host
	key := "write " + host
	if req.Method == http.MethodGet || req.Method == http.MethodHead {
		key = "read " + host
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy == nil {
		l.busy = make(map[string]chan struct{})
	}
	places, ok := l.busy[key]
	if !ok {
		places = make(chan struct{}, max(1, l.places(host)))
		l.busy[key] = places
	}
	return places
}

// limitedBody holds a place until it is read or closed.
type limitedBody struct {
	io.ReadCloser
	leave func()
}

func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.leave()
	}
	return n, err
}

func (b *limitedBody) Close() error {
	b.leave()
	return b.ReadCloser.Close()
}
