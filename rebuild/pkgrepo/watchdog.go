package pkgrepo

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// minRate is what a body must bring on average, in bytes per second, over twice the time in which it must bring
// anything at all: 30 KiB in a minute. Any line that is of use is a hundred times faster; a peer that sends a
// byte now and then would hold up the run, and every other that waits for the same file, for ever.
const minRate = 512

// stalledError says that the peer went silent.
type stalledError time.Duration

func (e stalledError) Error() string {
	return fmt.Sprintf("the server sent nothing for %s", time.Duration(e))
}

// tricklingError says that the peer sends, but too slowly to ever get there.
type tricklingError struct {
	n      int64
	window time.Duration
}

func (e tricklingError) Error() string {
	return fmt.Sprintf("the server sent only %d bytes in %s", e.n, e.window)
}

// watchdog cancels a request that does not get on.
type watchdog struct {
	stall  time.Duration
	cancel context.CancelCauseFunc
	silent *time.Timer
	// n counts the bytes of the present window.
	n       atomic.Int64
	stopped chan struct{}
}

// newWatchdog starts to wait for the first byte. The caller must stop it.
func newWatchdog(stall time.Duration, cancel context.CancelCauseFunc) *watchdog {
	return &watchdog{
		stall: stall, cancel: cancel, stopped: make(chan struct{}),
		silent: time.AfterFunc(stall, func() { cancel(stalledError(stall)) }),
	}
}

func (d *watchdog) stop() {
	d.silent.Stop()
	close(d.stopped)
}

// arrived is told of every read of the body that brought something.
func (d *watchdog) arrived(n int) {
	d.n.Add(int64(n))
	d.silent.Reset(d.stall)
}

// pace watches the rate of the body until the watchdog is stopped.
func (d *watchdog) pace() {
	window := 2 * d.stall
	want := int64(minRate * window.Seconds())
	tick := time.NewTicker(window)
	defer tick.Stop()
	for {
		select {
		case <-d.stopped:
			return
		case <-tick.C:
			if n := d.n.Swap(0); n < want {
				d.cancel(tricklingError{n, window})
				return
			}
		}
	}
}

// watchedReader counts what it reads and reports it.
type watchedReader struct {
	r       io.Reader
	n       *atomic.Int64
	arrived func(n int)
}

func (w *watchedReader) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if n > 0 {
		w.n.Add(int64(n))
		w.arrived(n)
	}
	return n, err
}
