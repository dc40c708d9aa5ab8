package gunzip

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"
	"slices"

	"pgregory.net/rapid"
)

// bitWriter writes bits, the lowest first.
type bitWriter struct {
	b []byte
	n int // bits
}

func (w *bitWriter) put(v uint, n int) {
	for range n {
		if w.n%8 == 0 {
			w.b = append(w.b, 0)
		}
		w.b[w.n/8] |= byte(v&1) << (w.n % 8)
		v >>= 1
		w.n++
	}
}

func (w *bitWriter) align() { w.n = 8 * len(w.b) }

// code is a Huffman code: the length of each symbol's and its bits.
type code struct {
	lengths []uint8
	bits    []uint
}

// canonical numbers a code as RFC 1951, section 3.2.2, does, symbol for symbol.
func canonical(lengths []uint8) code {
	c := code{lengths, make([]uint, len(lengths))}
	next := uint16(0)
	for n := uint8(1); n <= 15; n++ {
		for sym, l := range lengths {
			if l == n {
				c.bits[sym] = uint(bits.Reverse16(next) >> (16 - n))
				next++
			}
		}
		next <<= 1
	}
	return c
}

func (w *bitWriter) symbol(c code, sym int) { w.put(c.bits[sym], int(c.lengths[sym])) }

// drawLengths makes a complete code of the symbols: leaves are split until there are enough, and the deepest the most often.
func drawLengths(t *rapid.T, symbols []int, size, longest int) []uint8 {
	lengths := make([]uint8, size)
	leaves := []uint8{0}
	for len(leaves) < len(symbols) {
		i := len(leaves) - 1 - rapid.IntRange(0, min(len(leaves)-1, 3)).Draw(t, "leaf")
		if int(leaves[i]) == longest {
			i = slices.Index(leaves, slices.Min(leaves))
		}
		leaves[i]++
		leaves = append(leaves, leaves[i])
	}
	if len(leaves) == 1 {
		leaves[0] = 1 // a single code has one bit
	}
	for i, sym := range rapid.Permutation(symbols).Draw(t, "order") {
		lengths[sym] = leaves[i]
	}
	return lengths
}

// drawSymbols picks some of 0..n-1.
func drawSymbols(t *rapid.T, n, least int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return slices.Clone(rapid.Permutation(all).Draw(t, "symbols")[:rapid.IntRange(least, n).Draw(t, "count")])
}

// block draws a block and writes it; it returns the output with what the block says behind it.
func (w *bitWriter) block(t *rapid.T, out []byte, final bool) []byte {
	w.put(map[bool]uint{true: 1}[final], 1)
	kind := rapid.SampledFrom([]string{"stored", "fixed", "dynamic", "dynamic"}).Draw(t, "kind")
	if kind == "stored" {
		data := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "stored")
		w.put(0, 2)
		w.align()
		w.put(uint(len(data)), 16)
		w.put(uint(^uint16(len(data))), 16)
		for _, c := range data {
			w.put(uint(c), 8)
		}
		return append(out, data...)
	}
	var lit, dist code
	if kind == "fixed" {
		lengths := make([]uint8, 288)
		for i := range lengths {
			lengths[i] = map[bool]uint8{true: 8, false: 7}[i < 256 || i >= 280]
			if i >= 144 && i < 256 {
				lengths[i] = 9
			}
		}
		lit, dist = canonical(lengths), canonical(slices.Repeat([]uint8{5}, 32))
		w.put(1, 2)
	} else {
		lit, dist = w.codes(t)
	}
	return w.symbols(t, out, lit, dist)
}

// codes draws the codes of a block and writes them.
func (w *bitWriter) codes(t *rapid.T) (lit, dist code) {
	symbols := drawSymbols(t, literals, 1)
	if !slices.Contains(symbols, endOfBlock) {
		symbols[0] = endOfBlock
	}
	lit = canonical(drawLengths(t, symbols, literals, 15))
	dist = canonical(make([]uint8, 1))
	if d := drawSymbols(t, distances, 0); len(d) > 0 {
		dist = canonical(drawLengths(t, d, distances, 15))
	}
	w.put(2, 2)
	w.put(literals-257, 5)
	w.put(uint(len(dist.lengths)-1), 5)
	w.put(lengthCodes-4, 4)
	// Each length is written as it is or, where it can be, as a repetition.
	all := slices.Concat(lit.lengths, dist.lengths)
	lengths := canonical(drawLengths(t, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18}, lengthCodes, 7))
	for _, sym := range []int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15} {
		w.put(uint(lengths.lengths[sym]), 3)
	}
	repeat := rapid.Bool().Draw(t, "repeat")
	for i := 0; i < len(all); {
		run := 1
		for i+run < len(all) && all[i+run] == all[i] {
			run++
		}
		switch {
		case repeat && all[i] == 0 && run >= 11:
			run = min(run, 138)
			w.symbol(lengths, 18)
			w.put(uint(run-11), 7)
		case repeat && all[i] == 0 && run >= 3:
			run = min(run, 10)
			w.symbol(lengths, 17)
			w.put(uint(run-3), 3)
		case repeat && i > 0 && all[i-1] == all[i] && run >= 3:
			run = min(run, 6)
			w.symbol(lengths, 16)
			w.put(uint(run-3), 2)
		default:
			run = 1
			w.symbol(lengths, int(all[i]))
		}
		i += run
	}
	return lit, dist
}

// The least length and distance of each code and its extra bits, as the tables of RFC 1951, section 3.2.5, have them.
var (
	lengthTable = [29][2]int{
		{3, 0},
		{4, 0},
		{5, 0},
		{6, 0},
		{7, 0},
		{8, 0},
		{9, 0},
		{10, 0},
		{11, 1},
		{13, 1},
		{15, 1},
		{17, 1},
		{19, 2},
		{23, 2},
		{27, 2},
		{31, 2},
		{35, 3},
		{43, 3},
		{51, 3},
		{59, 3},
		{67, 4},
		{83, 4},
		{99, 4},
		{115, 4},
		{131, 5},
		{163, 5},
		{195, 5},
		{227, 5},
		{258, 0},
	}
	distanceTable = [distances][2]int{
		{1, 0},
		{2, 0},
		{3, 0},
		{4, 0},
		{5, 1},
		{7, 1},
		{9, 2},
		{13, 2},
		{17, 3},
		{25, 3},
		{33, 4},
		{49, 4},
		{65, 5},
		{97, 5},
		{129, 6},
		{193, 6},
		{257, 7},
		{385, 7},
		{513, 8},
		{769, 8},
		{1025, 9},
		{1537, 9},
		{2049, 10},
		{3073, 10},
		{4097, 11},
		{6145, 11},
		{8193, 12},
		{12289, 12},
		{16385, 13},
		{24577, 13},
	}
)

// symbols draws what is in a compressed block and writes it. Now and then a distance leads too far back.
func (w *bitWriter) symbols(t *rapid.T, out []byte, lit, dist code) []byte {
	var usable []int
	for sym, n := range dist.lengths {
		if n > 0 && sym < distances && distanceTable[sym][0] <= max(len(out), 1) {
			usable = append(usable, sym)
		}
	}
	for range rapid.IntRange(0, 200).Draw(t, "symbols of the block") {
		sym := rapid.IntRange(0, 285).Draw(t, "symbol")
		switch {
		case lit.lengths[sym] == 0 || sym == endOfBlock || sym > endOfBlock && len(usable) == 0:
			continue
		case sym < endOfBlock:
			w.symbol(lit, sym)
			out = append(out, byte(sym))
			continue
		}
		l := lengthTable[sym-257]
		length := rapid.IntRange(0, 1<<l[1]-1).Draw(t, "length")
		w.symbol(lit, sym)
		w.put(uint(length), l[1])
		code := rapid.SampledFrom(usable).Draw(t, "distance code")
		d := distanceTable[code]
		distance := rapid.IntRange(0, 1<<d[1]-1).Draw(t, "distance")
		w.symbol(dist, code)
		w.put(uint(distance), d[1])
		for range l[0] + length {
			from := len(out) - d[0] - distance
			if from < 0 {
				return out // whoever reads this refuses it
			}
			out = append(out, out[from])
		}
	}
	w.symbol(lit, endOfBlock)
	return out
}

// member wraps what is deflated.
func member(deflated, inflated []byte) []byte {
	b := append([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}, deflated...)
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(inflated))
	return binary.LittleEndian.AppendUint32(b, uint32(len(inflated)))
}
