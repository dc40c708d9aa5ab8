package imagetest

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
)

// Cutter is a proxy, below HTTP, that breaks connections off in the middle of large transfers.
type Cutter struct {
	// Host is its host:port on loopback.
	Host string
	// Cuts is how many connections are still to be broken, and Cut how many were.
	Cuts, Cut atomic.Int64
}

// NewCutter starts a proxy to a host that lets after bytes through in one direction of a connection before it breaks it. It
// ends with the test.
func NewCutter(t testing.TB, host string, after int64) *Cutter {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	c := &Cutter{Host: listener.Addr().String()}
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return // the test is over
			}
			far, err := new(net.Dialer).DialContext(t.Context(), "tcp", host)
			if err != nil {
				_ = near.Close()
				continue
			}
			go c.copy(near, far, after)
			go c.copy(far, near, after)
		}
	}()
	return c
}

// copy moves bytes from one end to the other. When it ends, so do both directions.
func (c *Cutter) copy(from, to net.Conn, after int64) {
	defer to.Close()
	defer from.Close()
	_, err := io.CopyN(to, from, after)
	if err == nil && c.Cuts.Add(-1) >= 0 {
		c.Cut.Add(1)
		return
	}
	if err == nil {
		_, _ = io.Copy(to, from)
	}
}
