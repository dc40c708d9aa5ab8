package gunzip

import (
	"encoding/binary"
	"io"
)

const (
	minMatch = 3
	maxMatch = 258
	// window is how far back a match may begin (RFC 1951, section 2).
	window = 32 << 10
	// outSize is a window and what is inflated at a time. overrun is what a match may write behind its end, and no more
	// than maxStep bytes are written by one turn of the loop.
	outSize = window + 256<<10
	overrun = 8
	maxStep = 3 + maxMatch + overrun
)

// inflater decodes one DEFLATE stream after the other (RFC 1951).
//
// Its one loop neither asks for the end of the input nor for that of the output with each symbol. Output that may not
// fit is left for the next call. Behind the end of the input are zeros enough for one turn of the loop: whatever was
// made of them is taken back.
type inflater struct {
	input
	// out[:w] is inflated. It begins where the stream does, or a window or more before w.
	out []byte
	w   int

	final bool
	kind  block
	left  int // of a stored block, bytes

	meanings  *meanings
	fixed     bool // the tables are those of the fixed code
	literals  [literalSize]uint32
	distances [distSize]uint32
}

// block is what the stream is in.
type block int

const (
	between block = iota
	stored
	compressed
)

// inflate goes on until out is full or the stream has ended, which is when it returns true.
func (z *inflater) inflate() (bool, error) {
	for {
		var more bool // of the block
		var err error
		switch z.kind {
		case between:
			if z.final {
				z.final = false
				return true, nil
			}
			if err = z.header(); err != nil {
				return false, err
			}
			continue
		case stored:
			more, err = z.copyStored()
		case compressed:
			more, err = z.decode()
		}
		if more || err != nil {
			return false, err
		}
		z.kind = between
	}
}

// header reads what a block begins with (RFC 1951, section 3.2.3).
func (z *inflater) header() error {
	head, err := z.take(3)
	if err != nil {
		return err
	}
	z.final = head&1 != 0
	switch head >> 1 {
	case 0:
		z.kind = stored
		z.align()
		lengths, err := z.next(4)
		if err != nil {
			return err
		}
		n, inverse := binary.LittleEndian.Uint16(lengths), binary.LittleEndian.Uint16(lengths[2:])
		if n != ^inverse {
			return ErrCorrupt
		}
		z.left = int(n)
	case 1:
		z.kind = compressed
		z.fix()
	case 2:
		z.kind = compressed
		return z.readCodes()
	default:
		return ErrCorrupt
	}
	return nil
}

// fix makes the tables those of the fixed code (RFC 1951, section 3.2.6).
func (z *inflater) fix() {
	if z.fixed {
		return
	}
	z.fixed = true
	var lengths [fixedLiterals]uint8
	for i := range lengths {
		switch {
		case i < 144, i >= 280:
			lengths[i] = 8
		case i < 256:
			lengths[i] = 9
		default:
			lengths[i] = 7
		}
	}
	build(z.literals[:], literalBits, z.meanings.literals[:], lengths[:])
	for i := range 32 {
		lengths[i] = 5
	}
	build(z.distances[:], distanceBits, z.meanings.distances[:], lengths[:32])
}

// readCodes reads the codes of a block (RFC 1951, section 3.2.7).
func (z *inflater) readCodes() error {
	z.fixed = false
	head, err := z.take(14)
	if err != nil {
		return err
	}
	nlit, ndist, nlen := int(head&31)+257, int(head>>5&31)+1, int(head>>10)+4
	if nlit > literals || ndist > distances {
		return ErrCorrupt
	}
	var lengths [literals + distances]uint8
	order := [lengthCodes]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
	for _, sym := range order[:nlen] {
		n, err := z.take(3)
		if err != nil {
			return err
		}
		lengths[sym] = uint8(n)
	}
	var table [lengthSize]uint32
	if !build(table[:], lengthBits, z.meanings.lengths[:], lengths[:lengthCodes]) {
		return ErrCorrupt
	}
	clear(lengths[:lengthCodes])
	all := lengths[:nlit+ndist]
	if err := z.readLengths(&table, all); err != nil {
		return err
	}
	if !build(z.literals[:], literalBits, z.meanings.literals[:], all[:nlit]) ||
		!build(z.distances[:], distanceBits, z.meanings.distances[:], all[nlit:]) {
		return z.corrupt()
	}
	return nil
}

// readLengths reads the lengths of codes, which are in a code themselves and may be repeated. All are 0 before.
func (z *inflater) readLengths(table *[lengthSize]uint32, all []uint8) error {
	for i := 0; i < len(all); {
		if err := z.fill(); err != nil {
			return err
		}
		e := table[z.bits&(lengthSize-1)]
		if e&invalidFlag != 0 {
			return z.corrupt()
		}
		z.drop(uint(e & takesMask))
		sym := e >> valueShift
		switch {
		case sym < 16:
			all[i] = uint8(sym)
			i++
			continue
		case sym == 16 && i == 0:
			return z.corrupt()
		}
		repeat := [...]struct{ least, bits uint }{{3, 2}, {3, 3}, {11, 7}}[sym-16]
		more, err := z.take(repeat.bits)
		if err != nil {
			return err
		}
		n := int(repeat.least + more)
		if n > len(all)-i {
			return z.corrupt()
		}
		for range n {
			if sym == 16 {
				all[i] = all[i-1]
			}
			i++
		}
	}
	return nil
}

// copyStored copies bytes of a stored block. It tells whether some are left.
func (z *inflater) copyStored() (bool, error) {
	for z.left > 0 {
		room := min(z.left, len(z.out)-maxStep-z.w)
		if room <= 0 {
			return true, nil
		}
		b, err := z.some(room)
		if err != nil {
			return false, err
		}
		z.w += copy(z.out[z.w:], b)
		z.left -= len(b)
	}
	return false, nil
}

// decode inflates a compressed block. It tells whether some of it is left.
func (z *inflater) decode() (bool, error) {
	for z.w <= len(z.out)-maxStep {
		if err := z.reserve(); err != nil {
			return false, err
		}
		w, stop := z.run()
		if z.over() {
			// What was made of the zeros behind the end is no output.
			return false, io.ErrUnexpectedEOF
		}
		z.w = w
		switch {
		case stop&endFlag != 0:
			return false, nil
		case stop != 0:
			return false, ErrCorrupt
		}
	}
	return true, nil
}

// run decodes symbols until the input or the room in the output ends, or until an entry says that it has to stop. It
// returns how far the output goes, and the flags of that entry.
func (z *inflater) run() (w int, stop uint32) {
	in, out, lit, dist := z.in, z.out, &z.literals, &z.distances
	pos, bits, n := z.pos, z.bits, z.n
	for w = z.w; pos <= len(in)-2*wordSize && w <= len(out)-maxStep; {
		pos, bits, n = refill(in, pos, bits, n)
		e := lit[bits&(1<<literalBits-1)]
		// 56 bits are enough for two literals out of the first part of the table, a length and its extra bits.
		if e&literalFlag != 0 {
			out[w] = byte(e >> valueShift)
			w++
			bits >>= e & takesMask
			n -= uint(e & takesMask)
			e = lit[bits&(1<<literalBits-1)]
			if e&literalFlag != 0 {
				out[w] = byte(e >> valueShift)
				w++
				bits >>= e & takesMask
				n -= uint(e & takesMask)
				e = lit[bits&(1<<literalBits-1)]
			}
		}
		if e&(specialFlag|endFlag|invalidFlag) == specialFlag {
			bits >>= literalBits
			n -= literalBits
			e = lit[subtable(e, bits)&(literalSize-1)]
		}
		length := value(e, bits)
		bits >>= e & takesMask
		n -= uint(e & takesMask)
		if e&literalFlag != 0 {
			out[w] = byte(length)
			w++
			continue
		}
		if e&specialFlag != 0 {
			stop = e & (endFlag | invalidFlag)
			break
		}
		pos, bits, n = refill(in, pos, bits, n)
		e = dist[bits&(1<<distanceBits-1)]
		if e&(specialFlag|invalidFlag) == specialFlag {
			bits >>= distanceBits
			n -= distanceBits
			e = dist[subtable(e, bits)&(distSize-1)]
		}
		from := w - value(e, bits)
		bits >>= e & takesMask
		n -= uint(e & takesMask)
		if e&specialFlag != 0 || from < 0 {
			stop = invalidFlag
			break
		}
		match(out, w, from, length)
		w += length
	}
	z.pos, z.n, z.bits = pos, n, bits&(1<<(n&63)-1)
	return w, stop
}

// refill sees to it that bits holds 56 or more, of which n are counted; those beyond are the next ones, too. The masks change
// nothing: they tell the compiler that shifts are small.
func refill(in []byte, pos int, bits uint64, n uint) (int, uint64, uint) {
	return pos + int((63-n)>>3&7), bits | binary.LittleEndian.Uint64(in[pos:])<<(n&63), n | 56
}

// subtable is where to look a code up whose first part led to e.
func subtable(e uint32, bits uint64) uint32 {
	return e>>valueShift + uint32(bits)&(1<<(e>>codeShift&codeMask)-1)
}

// value is what an entry stands for, with its extra bits.
func value(e uint32, bits uint64) int {
	return int(e>>valueShift) + int(bits&(1<<(e&takesMask)-1)>>(e>>codeShift&codeMask))
}

// match copies length bytes from out[from:] to out[w:], which they may overlap: then they repeat. It may write up to
// overrun bytes more.
func match(out []byte, w, from, length int) {
	end := w + length
	switch {
	case w-from >= length && length > 4*wordSize:
		copy(out[w:end], out[from:])
	case w-from >= wordSize:
		for ; w < end; w, from = w+wordSize, from+wordSize {
			binary.LittleEndian.PutUint64(out[w:], binary.LittleEndian.Uint64(out[from:]))
		}
	default:
		for w < end {
			w += copy(out[w:end], out[from:w])
		}
	}
}
