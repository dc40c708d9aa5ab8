package diff

import "strings"

// alignLimit bounds the work of align, in cells of its table.
const alignLimit = 1 << 22

// align gives each version of short a partner in long, both ascending, such that no two cross and the partners are as much
// alike as can be. Of equally good partners it takes the newest. short is not longer than long.
//
// It says the same whichever side is the older one, for it only knows which is the shorter.
func align(short, long []string) []int {
	n, m := len(short), len(long)
	partner := make([]int, n)
	if n == m || n*m > alignLimit {
		for i := range partner {
			partner[i] = m - n + i
		}
		return partner
	}
	// best[i][j] is the likeness that the first i of short reach among the first j of long.
	best := make([][]int, n+1)
	for i := range best {
		best[i] = make([]int, m+1)
	}
	for i := 1; i <= n; i++ {
		for j := i; j <= m-(n-i); j++ {
			best[i][j] = best[i-1][j-1] + likeness(short[i-1], long[j-1])
			if j > i {
				best[i][j] = max(best[i][j], best[i][j-1])
			}
		}
	}
	for i, j := n, m; i > 0; j-- {
		if best[i][j] == best[i-1][j-1]+likeness(short[i-1], long[j-1]) {
			i--
			partner[i] = j - 1
		}
	}
	return partner
}

// likeness counts the leading components that two versions share: 2 for "1.2.3" and "1.2.9".
func likeness(a, b string) int {
	isBreak := func(r rune) bool { return strings.ContainsRune(".-+~:_", r) }
	x, y := strings.FieldsFunc(a, isBreak), strings.FieldsFunc(b, isBreak)
	n := 0
	for n < len(x) && n < len(y) && x[n] == y[n] {
		n++
	}
	return n
}
