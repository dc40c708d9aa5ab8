package gunzip

import "math/bits"

// A table decodes one Huffman code (RFC 1951, section 3.2.2). Its first 2^primary entries are indexed by the next bits
// of the stream: codes that are not longer are found at once, in each place that begins with them. Behind them lie the
// subtables of longer codes, indexed by the bits that follow.
//
// An entry is
//
//	bits  0–5   how many bits of the stream it takes: the code, and what extra bits follow it
//	bits  8–11  how many of these are the code, or its part beyond the primary bits in a subtable
//	bits 12–15  flags
//	bits 16–31  a literal byte, the least length or distance, or where the subtable begins
//
// and that of a subtable takes the primary bits and has the number of its index bits in bits 8–11.
const (
	takesMask = 63
	codeShift = 8
	codeMask  = 15

	invalidFlag  = 1 << 12 // no code begins like this, or none that has a meaning
	endFlag      = 1 << 13 // the end of the block
	specialFlag  = 1 << 14 // a subtable, or one of those above
	literalFlag  = 1 << 15
	valueShift   = 16
	invalidEntry = specialFlag | invalidFlag
)

const (
	maxCodeBits = 15

	literals      = 286 // and lengths, that have a meaning
	distances     = 30
	lengthCodes   = 19
	fixedLiterals = 288
	endOfBlock    = 256

	// The sizes are powers of two, so that a masked index needs no check. A complete code of 288 symbols and 15 bits
	// never takes more than 2342 entries with 11 primary bits, one of 32 symbols no more than 402 with 8: figures of
	// zlib's examples/enough.c.
	literalBits, literalSize = 11, 4096
	distanceBits, distSize   = 8, 512
	lengthBits, lengthSize   = 7, 128
)

// meanings are the entries of symbols without their codes.
type meanings struct {
	literals  [fixedLiterals]uint32
	distances [32]uint32
	lengths   [lengthCodes]uint32
}

// newMeanings are those of RFC 1951, section 3.2.5.
func newMeanings() *meanings {
	m := &meanings{}
	for i := range uint32(endOfBlock) {
		m.literals[i] = literalFlag | i<<valueShift
	}
	m.literals[endOfBlock] = specialFlag | endFlag
	base := uint32(minMatch)
	for i := range uint32(28) { // codes 257–284: four of each number of extra bits, but eight without
		extra := max(i/4, 1) - 1
		m.literals[endOfBlock+1+i] = base<<valueShift | extra
		base += 1 << extra
	}
	m.literals[285] = maxMatch << valueShift
	m.literals[286], m.literals[287] = invalidEntry, invalidEntry
	base = 1
	for i := range uint32(distances) { // two of each number of extra bits, but four without
		extra := max(i/2, 1) - 1
		m.distances[i] = base<<valueShift | extra
		base += 1 << extra
	}
	m.distances[30], m.distances[31] = invalidEntry, invalidEntry
	for i := range uint32(lengthCodes) {
		m.lengths[i] = i << valueShift
	}
	return m
}

// build makes the table of a code out of the length of each symbol's, 0 for those without one. It tells whether there is
// such a code: one that is neither over-subscribed nor incomplete. A single code of one bit is taken as well, which
// compressors write for the only distance of a block, and no code at all, for a block without distances; what has no
// meaning in them is invalid.
func build(table []uint32, primary uint, meaning []uint32, lengths []uint8) bool {
	var count, next, place [maxCodeBits + 2]uint16
	for _, n := range lengths {
		count[n]++
	}
	unused := count[0]
	count[0] = 0
	used := 0
	for n := 1; n <= maxCodeBits; n++ {
		next[n] = (next[n-1] + count[n-1]) << 1
		place[n+1] = place[n] + count[n]
		used += int(count[n]) << (maxCodeBits - n)
	}
	var symbols [fixedLiterals]uint16 // with a code, by the value that it has with zeros behind it
	for sym, n := range lengths {
		if n > 0 {
			symbols[place[n]] = uint16(sym)
			place[n]++
		}
	}
	all := symbols[:len(lengths)-int(unused)]
	switch {
	case used == 1<<maxCodeBits:
	case used == 0, used == 1<<(maxCodeBits-1) && count[1] == 1:
		for i := range table[:1<<primary] {
			table[i] = invalidEntry
		}
		for _, sym := range all {
			spread(table[:1<<primary], 0, 1, meaning[sym])
		}
		return true
	default:
		return false
	}
	// The part that n bits lead into is twice that for one bit less, with the codes of n bits put in.
	for n := uint(1); n <= primary; n++ {
		copy(table[1<<(n-1):1<<n], table)
		for ; len(all) > 0 && uint(lengths[all[0]]) == n; all = all[1:] {
			table[reverse(next[n], n)] = meaning[all[0]] + codeBits(n)
			next[n]++
		}
	}
	free := uint32(1) << primary // where the next subtable begins
	for _, sym := range all {
		n := uint(lengths[sym])
		code := reverse(next[n], n)
		link := &table[code&(1<<primary-1)]
		if code>>primary == 0 { // the first of those that begin so
			width := subtableBits(n, primary, &count)
			*link = specialFlag | free<<valueShift | uint32(width)<<codeShift | uint32(primary)
			free += 1 << width
		}
		at, width := *link>>valueShift, *link>>codeShift&codeMask
		spread(table[at:at+1<<width], code>>primary, n-primary, meaning[sym])
		next[n]++
		count[n]--
	}
	return true
}

// reverse is a code of n bits as it comes in the stream: its first bit is the lowest.
func reverse(v uint16, n uint) uint32 { return uint32(bits.Reverse16(v) >> (16 - n)) }

// codeBits is what an entry says of the length of its code.
func codeBits(n uint) uint32 { return uint32(n | n<<codeShift) }

// subtableBits is the width of the subtable whose first code has n bits: left are the codes of each length from that one
// on, of which the next ones go into it until it is full.
func subtableBits(n, primary uint, left *[maxCodeBits + 2]uint16) uint {
	width, room := n-primary, 1<<(n-primary)
	for ; n < maxCodeBits; n++ {
		if room -= int(left[n]); room <= 0 {
			break
		}
		width++
		room <<= 1
	}
	return width
}

// spread puts a symbol into each place of a table whose low n bits are its code.
func spread(table []uint32, code uint32, n uint, meaning uint32) {
	for i := code; i < uint32(len(table)); i += 1 << n {
		table[i] = meaning + codeBits(n)
	}
}
