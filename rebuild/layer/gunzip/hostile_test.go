package gunzip

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

// fixedCodes are those of RFC 1951, section 3.2.6.
func fixedCodes() (lit, dist code) {
	lengths := slices.Repeat([]uint8{8}, 288)
	copy(lengths[144:256], bytes.Repeat([]byte{9}, 112))
	copy(lengths[256:280], bytes.Repeat([]byte{7}, 24))
	return canonical(lengths), canonical(slices.Repeat([]uint8{5}, 32))
}

// dynamic begins a final block with codes of its own. The code of their lengths, which it returns, is complete.
func (w *bitWriter) dynamic(literals, distances int) code {
	w.put(1, 1)
	w.put(2, 2)
	w.put(uint(literals-257), 5)
	w.put(uint(distances-1), 5)
	w.put(15, 4)
	lengths := slices.Repeat([]uint8{4}, lengthCodes)
	copy(lengths[9:15], []uint8{5, 5, 5, 5, 5, 5})
	for _, sym := range []int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15} {
		w.put(uint(lengths[sym]), 3)
	}
	return canonical(lengths)
}

// hostile are deflated streams in which something is wrong, or nearly so.
func hostile() map[string][]byte {
	// block has the lengths of codes given, and what the function writes.
	block := func(literals, distances int, lengths map[int]uint8, then func(w *bitWriter, lit code)) []byte {
		w := &bitWriter{}
		c := w.dynamic(literals, distances)
		all := make([]uint8, literals+distances)
		for sym, n := range lengths {
			all[sym] = n
		}
		for _, n := range all {
			w.symbol(c, int(n))
		}
		if then != nil {
			then(w, canonical(all[:literals]))
		}
		w.put(0, 64)
		return w.b
	}
	end := func(w *bitWriter, lit code) { w.symbol(lit, endOfBlock) }
	bit := func(v uint) func(*bitWriter, code) { return func(w *bitWriter, _ code) { w.put(v, 1) } }
	lit, dist := fixedCodes()
	fixed := func(then func(w *bitWriter)) []byte {
		w := &bitWriter{}
		w.put(1, 1)
		w.put(1, 2)
		w.symbol(lit, 'a')
		then(w)
		w.put(0, 64)
		return w.b
	}
	match := func(distance int) func(w *bitWriter) {
		return func(w *bitWriter) { w.symbol(lit, 257); w.symbol(dist, distance) }
	}
	afterMatch := func(distance uint) func(w *bitWriter, lit code) {
		return func(w *bitWriter, lit code) {
			w.symbol(lit, 'a')
			w.symbol(lit, 257)
			w.put(distance, 1)
			w.symbol(lit, endOfBlock)
		}
	}
	three, one := map[int]uint8{'a': 1, 256: 2, 257: 2}, map[int]uint8{'a': 1, 256: 2, 257: 2, 258: 1}
	repeated := &bitWriter{}
	repeated.symbol(repeated.dynamic(257, 1), 16)
	repeated.put(0, 200)
	return map[string][]byte{
		"287 literals": block(287, 1, three, nil), "288 literals": block(288, 30, three, nil), "as much as can be": block(288, 32, three, nil),
		"31 distances":         block(286, 31, map[int]uint8{'a': 1, 256: 1, 286: 1}, end),
		"two of four codes":    block(257, 1, map[int]uint8{'a': 2, 256: 2}, end),
		"one of four codes":    block(257, 1, map[int]uint8{256: 2}, end),
		"codes of one half":    block(257, 1, map[int]uint8{'a': 2, 'b': 3, 256: 3}, end),
		"three codes of a bit": block(257, 1, map[int]uint8{'a': 1, 'b': 1, 256: 1}, end),
		"one code":             block(257, 1, map[int]uint8{256: 1}, bit(0)), "its other bit": block(257, 1, map[int]uint8{256: 1}, bit(1)),
		"no codes":            block(257, 1, nil, nil),
		"no distances":        block(258, 1, three, afterMatch(0)),
		"one distance":        block(258, 1, one, afterMatch(0)),
		"its other bit again": block(258, 1, one, afterMatch(1)),
		"repeats nothing":     repeated.b,
		"literal 286":         fixed(func(w *bitWriter) { w.symbol(lit, 286) }), "literal 287": fixed(func(w *bitWriter) { w.symbol(lit, 287) }),
		"distance 30": fixed(match(30)), "distance 31": fixed(match(31)), "too far back": fixed(match(1)),
		"length is not its inverse": {1, 1, 0, 0, 0, 9}, "fourth kind": {7, 0, 0, 0},
	}
}

// What is wrong is refused as compress/gzip does, wherever it is cut.
func TestHostile(t *testing.T) {
	for name, b := range hostile() {
		t.Run(name, func(t *testing.T) {
			stream := member(b, nil)
			for cut := range len(stream) + 1 {
				sameAsStandard(t, stream[:cut], 100)
			}
		})
	}
}

// Matches may end at each place near the end of the output, and begin at the first byte of the window behind it.
func TestEdges(t *testing.T) {
	lit, dist := fixedCodes()
	noise := content(rand.New(rand.NewPCG(3, 4)), outSize+maxMatch)
	for _, d := range []struct{ code, extra, bits, distance int }{{0, 0, 0, 1}, {4, 1, 1, 6}, {5, 0, 1, 7}, {5, 1, 1, 8}, {6, 0, 2, 9}, {29, 8191, 13, window}} {
		for before := outSize - 300; before <= outSize+3; before++ {
			for _, literals := range []string{"", "ab"} {
				w, out := &bitWriter{}, slices.Clone(noise[:before])
				for rest := out; len(rest) > 0; {
					n := min(len(rest), 65535)
					w.put(0, 3)
					w.align()
					w.put(uint(n), 16)
					w.put(uint(^uint16(n)), 16)
					w.b = append(w.b, rest[:n]...)
					w.n, rest = 8*len(w.b), rest[n:]
				}
				w.put(1, 1)
				w.put(1, 2)
				for range 4 {
					for _, c := range literals {
						w.symbol(lit, int(c))
					}
					w.symbol(lit, 285)
					w.symbol(dist, d.code)
					w.put(uint(d.extra), d.bits)
					out = append(out, literals...)
					for range maxMatch {
						out = append(out, out[len(out)-d.distance])
					}
				}
				w.symbol(lit, endOfBlock)
				if got, err := inflate(bytes.NewReader(member(w.b, out)), 1<<19); err != nil || !bytes.Equal(got, out) {
					t.Fatalf("distance %d, %d bytes before, literals %q: error %v", d.distance, before, literals, err)
				}
			}
		}
	}
}
