package gunzip

import (
	"io"
)

const (
	wordSize = 8
	inSize   = 128 << 10
	// padding is the zeros behind the end of the input: more than are looked at before over is asked.
	padding = 4 * wordSize
)

// input is the stream, of which any number of bits and bytes is read.
type input struct {
	src io.Reader
	buf []byte // backs in
	// in[pos:real] is read but not used, but for the n bits in bits, which are of the bytes before pos. Behind real are
	// zeros if the stream has ended.
	in        []byte
	pos, real int
	bits      uint64
	n         uint
	ended     bool
}

func newInput(src io.Reader) input {
	return input{src: src, buf: make([]byte, wordSize+inSize+padding)}
}

// reserve sees to it that two words are at hand behind pos, or their zeros.
func (i *input) reserve() error {
	if len(i.in)-i.pos >= 2*wordSize {
		return nil
	}
	if i.ended {
		return io.ErrUnexpectedEOF
	}
	return i.read(2 * wordSize)
}

// read reads until n bytes are at hand behind pos, or the end of the stream and zeros.
func (i *input) read(n int) (err error) {
	keep := min(i.pos, wordSize) // align gives bytes back
	i.real = copy(i.buf, i.in[i.pos-keep:i.real])
	i.pos = keep
	for empty := 0; i.real-i.pos < n && !i.ended && err == nil; {
		var m int
		m, err = i.src.Read(i.buf[i.real : len(i.buf)-padding])
		i.real += m
		switch {
		case err == io.EOF: // the end itself; one that is wrapped is an error
			i.ended, err = true, nil
		case m > 0:
			empty = 0
		case err == nil:
			if empty++; empty == 100 {
				err = io.ErrNoProgress
			}
		}
	}
	i.in = i.buf[:i.real]
	if i.ended {
		i.in = i.buf[:i.real+padding]
		clear(i.in[i.real:])
	}
	return err
}

// fill sees to it that bits holds 56 or more, zeros behind the end of the stream.
func (i *input) fill() error {
	if err := i.reserve(); err != nil {
		return err
	}
	i.pos, i.bits, i.n = refill(i.in, i.pos, i.bits, i.n)
	i.bits &= 1<<i.n - 1
	return nil
}

func (i *input) drop(n uint) {
	i.bits >>= n
	i.n -= n
}

// over tells whether bits behind the end of the stream were used.
func (i *input) over() bool { return i.pos-int(i.n/8) > i.real }

// corrupt is what is wrong with bits that mean nothing: none of them may be behind the end of the stream.
func (i *input) corrupt() error {
	if i.over() {
		return io.ErrUnexpectedEOF
	}
	return ErrCorrupt
}

// take takes at most 16 bits.
func (i *input) take(n uint) (uint, error) {
	if i.n < n {
		if err := i.fill(); err != nil {
			return 0, err
		}
	}
	v := uint(i.bits & (1<<n - 1))
	i.drop(n)
	if i.over() {
		return 0, io.ErrUnexpectedEOF
	}
	return v, nil
}

// align drops what is left of a byte and gives whole bytes back.
func (i *input) align() {
	i.pos -= int(i.n / 8)
	i.bits, i.n = 0, 0
}

// next takes n bytes, a few, of an aligned stream. They are valid until the next call.
func (i *input) next(n int) ([]byte, error) {
	if i.real-i.pos < n && !i.ended {
		if err := i.read(n); err != nil {
			return nil, err
		}
	}
	if i.real-i.pos < n {
		return nil, io.ErrUnexpectedEOF
	}
	b := i.in[i.pos : i.pos+n]
	i.pos += n
	return b, nil
}

// some takes between one and n bytes of an aligned stream. They are valid until the next call.
func (i *input) some(n int) ([]byte, error) {
	atEnd, err := i.end()
	if err != nil {
		return nil, err
	}
	if atEnd {
		return nil, io.ErrUnexpectedEOF
	}
	return i.next(min(n, i.real-i.pos))
}

// end tells whether an aligned stream has ended.
func (i *input) end() (bool, error) {
	if i.pos == i.real && !i.ended {
		if err := i.read(1); err != nil {
			return false, err
		}
	}
	return i.pos == i.real, nil
}
