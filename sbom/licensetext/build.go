package licensetext

import (
	"fmt"
	"runtime"
	"sync"

	"github.com/google/licensecheck"
)

// maxParts is the most parts of the patterns that are read side by side. The words of all but the first are numbered twice, so more parts
// gain little.
const maxParts = 4

// part is some of the patterns, with a vocabulary of their own.
type part struct {
	patterns   []pattern
	vocabulary *vocabulary
	err        error
}

// parseAll reads the patterns of licenses.
func parseAll(licenses []licensecheck.License) ([]pattern, *vocabulary, error) {
	parts := divide(licenses, min(runtime.GOMAXPROCS(0), maxParts))
	read := make([]part, len(parts))
	var wait sync.WaitGroup
	for i, licenses := range parts {
		wait.Go(func() { read[i] = parsePart(licenses) })
	}
	wait.Wait()
	patterns := make([]pattern, 0, len(licenses))
	whole := read[0].vocabulary
	for i, p := range read {
		if p.err != nil {
			return nil, nil, p.err
		}
		if i > 0 {
			renumber(p.patterns, whole.join(p.vocabulary))
		}
		patterns = append(patterns, p.patterns...)
	}
	for i := range patterns {
		patterns[i].license = i
	}
	return patterns, whole, nil
}

// divide divides licenses into up to n parts of about the same size.
func divide(licenses []licensecheck.License, n int) [][]licensecheck.License {
	total := 0
	for _, l := range licenses {
		total += len(l.LRE)
	}
	var parts [][]licensecheck.License
	from, size := 0, 0
	for i, l := range licenses {
		size += len(l.LRE)
		if size*n >= total*(len(parts)+1) {
			parts = append(parts, licenses[from:i+1])
			from = i + 1
		}
	}
	return parts
}

func parsePart(licenses []licensecheck.License) part {
	p := part{vocabulary: newVocabulary()}
	r := parser{vocabulary: p.vocabulary}
	var text []byte
	for _, l := range licenses {
		text = append(text[:0], l.LRE...)
		parsed, err := r.parse(text)
		if err != nil {
			p.err = fmt.Errorf("license %s: %w", l.ID, err)
			break
		}
		p.patterns = append(p.patterns, parsed)
	}
	return p
}

// renumber puts the numbers of one vocabulary in the place of those of another.
func renumber(patterns []pattern, numbers []int32) {
	for _, p := range patterns {
		for i, n := range p.numbers {
			p.numbers[i] = numbers[n]
		}
	}
}
