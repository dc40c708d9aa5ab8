package version

import (
	"cmp"
	"errors"
	"strings"
)

// Apk is the scheme of apk (Alpine, Wolfi): digits{.digits}{letter}{_suffix{digits}}{~hash}{-rN}, ordered as apk-tools 3
// orders it (src/version.c), which agrees with apk-tools 2 on all versions that both take. A version with one of the
// suffixes _alpha, _beta, _pre and _rc is older than the one without; with _cvs, _svn, _git, _hg or _p it is newer.
//
// Its levels are those of the upstream version, which is everything but "-rN": the same one is Revision. Otherwise they
// follow the dotted components as those of [Deb] do; a letter, suffixes and a hash come after these and are Patch.
var Apk Scheme = apk{}

type apk struct{}

// Compare orders versions as apk does.
func (apk) Compare(a, b string) (int, error) {
	for _, v := range [...]string{a, b} {
		if err := checkApk(v); err != nil {
			return 0, &InvalidError{Version: v, Err: err}
		}
	}
	return orderApk(a, b, false), nil
}

// Level is the size of the step between two versions, see Apk.
func (apk) Level(from, to string) Level {
	if checkApk(from) != nil || checkApk(to) != nil {
		return Major
	}
	a, b := apkUpstream(from), apkUpstream(to)
	if a == b {
		return Revision
	}
	as, bs := apkComponents(a), apkComponents(b)
	n := max(len(as), len(bs))
	for i := range n {
		if x, y := at(as, i), at(bs, i); x != y {
			return componentLevel(i, n, x, y)
		}
	}
	return Patch
}

// apkUpstream cuts off the distribution's revision.
func apkUpstream(v string) string {
	if i := strings.LastIndex(v, "-r"); i >= 0 {
		return v[:i]
	}
	return v
}

// apkComponents splits the dotted numbers off an upstream version: "9.6_p1" has 9 and 6.
func apkComponents(v string) []string {
	if i := strings.IndexAny(v, "_~"); i >= 0 {
		v = v[:i]
	}
	return strings.Split(v, ".")
}

// ApkWithin tells whether a version is within what a fuzzy relation ("name~1.2") names: whether it begins with the
// parts of want. It is false where one of them is not valid.
func ApkWithin(v, want string) bool {
	return checkApk(v) == nil && checkApk(want) == nil && orderApk(v, want, true) == 0
}

// apkToken is what a part of a version is. The order matters: where two versions first differ in what they have next,
// the one with the earlier kind is newer.
type apkToken int

const (
	apkFirst apkToken = iota
	apkDigits
	apkLetter
	apkSuffix
	apkSuffixNumber
	apkHash
	apkRevision
	apkEnd
	apkInvalid
)

// apkSuffixes in their order; apkRelease stands for a version without one.
var apkSuffixes = map[string]int{
	"alpha": 1, "beta": 2, "pre": 3, "rc": 4, "cvs": 6, "svn": 7, "git": 8, "hg": 9, "p": 10,
}

const apkRelease = 5

// apkPart is a position in a version: the part before rest.
type apkPart struct {
	token  apkToken
	value  string
	number uint64
	suffix int
	rest   string
}

func apkParts(v string) apkPart {
	p := apkPart{token: apkFirst, rest: v}
	p.digits()
	return p
}

// digits takes a number off the rest. As in apk it wraps around where it is too large.
func (p *apkPart) digits() {
	p.number = 0
	i := 0
	for ; i < len(p.rest) && p.rest[i] >= '0' && p.rest[i] <= '9'; i++ {
		p.number = p.number*10 + uint64(p.rest[i]-'0')
	}
	p.value, p.rest = p.rest[:i], p.rest[i:]
	if i == 0 {
		p.token = apkInvalid
	}
}

// next goes on to the following part.
func (p *apkPart) next() {
	was := p.token
	p.token = apkInvalid
	if p.rest == "" {
		p.token = apkEnd
		return
	}
	switch c := p.rest[0]; {
	case c >= 'a' && c <= 'z' && was <= apkDigits:
		p.token, p.value, p.rest = apkLetter, p.rest[:1], p.rest[1:]
	case c == '.' && was <= apkDigits:
		p.token, p.rest = apkDigits, p.rest[1:]
		p.digits()
	case c >= '0' && c <= '9' && was == apkSuffix:
		p.token = apkSuffixNumber
		p.digits()
	case c == '_' && was <= apkSuffixNumber:
		p.take("abcdefghijklmnopqrstuvwxyz")
		if p.suffix = apkSuffixes[p.value]; p.suffix != 0 {
			p.token = apkSuffix
		}
	case c == '~' && was < apkHash:
		if p.take("0123456789abcdef"); p.value != "" {
			p.token = apkHash
		}
	case strings.HasPrefix(p.rest, "-r") && was < apkRevision:
		p.token, p.rest = apkRevision, p.rest[2:]
		p.digits()
	}
}

// take drops one byte and takes a word of the given letters off the rest.
func (p *apkPart) take(letters string) {
	p.rest = p.rest[1:]
	n := len(p.rest) - len(strings.TrimLeft(p.rest, letters))
	p.value, p.rest = p.rest[:n], p.rest[n:]
}

// compare orders two parts of one kind.
func (p *apkPart) compare(o *apkPart) int {
	switch p.token {
	case apkDigits:
		// A leading zero makes it a fraction.
		if p.value[0] == '0' || o.value[0] == '0' {
			return strings.Compare(p.value, o.value)
		}
		return cmp.Compare(p.number, o.number)
	case apkFirst, apkSuffixNumber, apkRevision:
		return cmp.Compare(p.number, o.number)
	case apkSuffix:
		return cmp.Compare(p.suffix, o.suffix)
	}
	return strings.Compare(p.value, o.value)
}

// orderApk is apk_version_compare_fuzzy; it orders strings that are no versions as well.
func orderApk(a, b string, fuzzy bool) int {
	x, y := apkParts(a), apkParts(b)
	for x.token == y.token && x.token < apkEnd {
		if n := x.compare(&y); n != 0 {
			return n
		}
		x.next()
		y.next()
	}
	switch {
	case x.token == y.token, fuzzy && y.token == apkEnd:
		return 0
	case x.token == apkSuffix && x.suffix < apkRelease:
		return -1
	case y.token == apkSuffix && y.suffix < apkRelease:
		return 1
	}
	return cmp.Compare(y.token, x.token)
}

var errApkSyntax = errors.New("want numbers, a letter, suffixes such as _rc1 or _p2, and -rN")

// checkApk is apk_version_validate.
func checkApk(v string) error {
	p := apkParts(v)
	for p.token < apkEnd {
		p.next()
	}
	if p.token == apkInvalid {
		return errApkSyntax
	}
	return nil
}
