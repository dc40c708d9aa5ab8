package generate

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/bmatcuk/doublestar/v4"
)

// Wants tells whether making a document of an image could need the content of the regular file at a clean path: an index
// that keeps these files has all that the catalogers read. head is the beginning of the file, as much as is known;
// four bytes are enough. Whatever is not wanted can still be opened through the Tree, only at a higher price.
//
// Executables and shared libraries are all wanted: what is built into them (Go and Rust modules, package notes) shows in
// no particular place.
func Wants(p string, _ /* mode */, size int64, head []byte) bool {
	if size == 0 || !mayRead(p, size, head) {
		return false
	}
	return looksExecutable(head) || wanted().match(p)
}

// WantsID names the present rules of Wants: it changes whenever they do.
func WantsID() string { return wanted().id }

// globSet matches many patterns at the price of a few: a pattern is tried only on paths whose base name it can match.
type globSet struct {
	byName  map[string][]string // whole base names
	byExt   map[string][]string // base names of the form *.ext
	byStart []startGlob         // all others, by how their base name begins
	not     []string
	id      string
}

type startGlob struct{ start, glob string }

var wanted = sync.OnceValue(func() *globSet {
	set := &globSet{byName: map[string][]string{}, byExt: map[string][]string{}, not: hugeGlobs}
	for _, g := range slices.Concat(catalogerGlobs, secondaryGlobs) {
		for _, plain := range expandBraces(g) {
			set.add(plain)
		}
	}
	h := sha256.New()
	for _, list := range [][]string{catalogerGlobs, secondaryGlobs, hugeGlobs, licenseNames} {
		h.Write([]byte(strings.Join(list, "\n") + "\n\n"))
	}
	set.id = hex.EncodeToString(h.Sum(nil))[:16]
	return set
})

func (s *globSet) add(glob string) {
	base := path.Base(glob)
	ext, isExt := strings.CutPrefix(base, "*")
	switch {
	case !strings.ContainsAny(base, "*?["):
		s.byName[base] = append(s.byName[base], glob)
	case isExt && strings.HasPrefix(ext, ".") && !strings.ContainsAny(ext[1:], "*?[."):
		s.byExt[ext] = append(s.byExt[ext], glob)
	default:
		start := base[:strings.IndexAny(base, "*?[")]
		s.byStart = append(s.byStart, startGlob{start, glob})
	}
}

func (s *globSet) match(p string) bool {
	full, base := "/"+p, path.Base(p)
	matches := func(glob string) bool { return doublestar.MatchUnvalidated(glob, full) }
	if slices.ContainsFunc(s.byName[base], matches) {
		return true
	}
	if slices.ContainsFunc(s.byExt[path.Ext(base)], matches) {
		return !slices.ContainsFunc(s.not, matches)
	}
	for _, g := range s.byStart {
		if strings.HasPrefix(base, g.start) && matches(g.glob) {
			return true
		}
	}
	return isLicense(base)
}

// isLicense tells whether a base name is one of those that license files have.
func isLicense(base string) bool {
	if len(base) > 40 {
		return false
	}
	lower := strings.ToLower(base)
	return slices.ContainsFunc(licenseNames, func(start string) bool { return strings.HasPrefix(lower, start) })
}

// expandBraces turns "a/{b,c}/d" into "a/b/d" and "a/c/d"; braces do not nest.
func expandBraces(glob string) []string {
	before, rest, found := strings.Cut(glob, "{")
	if !found {
		return []string{glob}
	}
	alternatives, after, _ := strings.Cut(rest, "}")
	var out []string
	for _, a := range strings.Split(alternatives, ",") {
		out = append(out, expandBraces(before+a+after)...)
	}
	return out
}
