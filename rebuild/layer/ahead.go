package layer

import (
	"io"
	"sync"
)

const (
	chunkSize   = 256 << 10
	chunksAhead = 4
)

// ahead reads a stream on a goroutine of its own, a bounded number of chunks ahead of who reads from it: so
// inflating a layer and working on its bytes overlap.
type ahead struct {
	pool *sync.Pool // of *[]byte, chunkSize long
	full chan chunk
	stop chan struct{}
	done chan struct{}

	cur  chunk
	rest []byte
}

type chunk struct {
	buf *[]byte
	n   int
	err error
}

// newAhead starts reading src.
func newAhead(src io.Reader, pool *sync.Pool) *ahead {
	a := &ahead{
		pool: pool, full: make(chan chunk, chunksAhead), stop: make(chan struct{}), done: make(chan struct{}),
	}
	go a.fill(src)
	return a
}

func (a *ahead) fill(src io.Reader) {
	defer close(a.done)
	for {
		c := chunk{buf: a.pool.Get().(*[]byte)}
		for c.n < chunkSize && c.err == nil {
			var n int
			n, c.err = src.Read((*c.buf)[c.n:])
			c.n += n
		}
		select {
		case a.full <- c:
		case <-a.stop:
			a.pool.Put(c.buf)
			return
		}
		if c.err != nil {
			return
		}
	}
}

func (a *ahead) Read(p []byte) (int, error) {
	for len(a.rest) == 0 {
		if a.cur.err != nil {
			return 0, a.cur.err
		}
		a.release()
		a.cur = <-a.full
		a.rest = (*a.cur.buf)[:a.cur.n]
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

func (a *ahead) release() {
	if a.cur.buf != nil {
		a.pool.Put(a.cur.buf)
		a.cur.buf = nil
	}
}

// close ends the goroutine and waits for it. Where the source may block, it must be closed before.
func (a *ahead) close() {
	close(a.stop)
	<-a.done
	a.rest = nil
	a.release()
	for {
		select {
		case c := <-a.full:
			a.pool.Put(c.buf)
		default:
			return
		}
	}
}
