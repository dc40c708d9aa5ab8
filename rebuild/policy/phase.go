package policy

// turn tells whether it is this machine's turn for a phased update. It draws the same lot as apt does from the source
// package, its version and the machine's id (IsIgnoredPhasedUpdate in apt-pkg/upgrade.cc), so that all binaries of a
// source go together:
//
//	std::seed_seq seed(text); std::minstd_rand rand(seed);
//	std::uniform_int_distribution<unsigned>(0, 100)(rand) <= percentage
func (in *Input) turn(o *offer) bool {
	return lot(o.Source+"-"+o.SourceVersion+"-"+in.Rules.MachineID) <= o.Phase
}

// lot draws a number from 0 to 100, as GNU libstdc++ does.
func lot(text string) int {
	const (
		modulus    = 1<<31 - 1 // of minstd_rand
		multiplier = 48271
		outcomes   = 101
		scale      = (modulus - 2) / outcomes // the generator gives 1 to modulus-1
	)
	x := uint64(seedSeq(text)) % modulus
	if x == 0 {
		x = 1
	}
	for {
		x = x * multiplier % modulus
		if n := (x - 1) / scale; n < outcomes {
			return int(n)
		}
	}
}

// seedSeq is the fourth of four words that std::seed_seq generates from the text ([rand.util.seedseq] of the C++ standard),
// the one that seeds minstd_rand.
func seedSeq(text string) uint32 {
	const (
		n = 4 // words
		t = (n - 1) / 2
		p = (n - t) / 2
		q = p + t
	)
	s := len(text)
	m := max(s+1, n)
	b := [n]uint32{0x8b8b8b8b, 0x8b8b8b8b, 0x8b8b8b8b, 0x8b8b8b8b}
	mix := func(x uint32) uint32 { return x ^ x>>27 }
	for k := range m {
		r := 1664525 * mix(b[k%n]^b[(k+p)%n]^b[(k+n-1)%n])
		b[(k+p)%n] += r
		switch {
		case k == 0:
			r += uint32(s)
		case k <= s:
			r += uint32(k%n) + uint32(int32(int8(text[k-1])))
		default:
			r += uint32(k % n)
		}
		b[(k+q)%n] += r
		b[k%n] = r
	}
	for k := m; k < m+n; k++ {
		r := 1566083941 * mix(b[k%n]+b[(k+p)%n]+b[(k+n-1)%n])
		b[(k+p)%n] ^= r
		r -= uint32(k % n)
		b[(k+q)%n] ^= r
		b[k%n] = r
	}
	return b[3]
}
