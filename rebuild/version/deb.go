package version

import (
	"errors"
	"math"
	"strings"

	debian "pault.ag/go/debian/version"
)

// Deb is the scheme of dpkg, deb-version(7): [epoch:]upstream[-revision].
//
// Its levels are those of the upstream version. Marks that packagers leave in it are no part of it: "+dfsg1", "+ds",
// "+repack", "+deb12u5", "~bpo12+1", "+nmu1", "ubuntu3"; and "2.0+really1.4" is 1.4. Then:
//
//   - another epoch is Major: upstream changed its numbering;
//   - the same upstream version is Revision;
//   - otherwise the first dotted component that differs decides, the first is Major, the second Minor, all further
//     ones and whatever follows the components ("~rc1", "+git2024") Patch;
//   - of two components the second is Patch (PostgreSQL 15.14 to 15.15, systemd 252.38 to 252.39);
//   - a component that is a date counts as Patch: such packages are data (tzdata 2024a to 2025b, ca-certificates
//     20230311 to 20250419, intel-microcode 3.20240312.1 to 3.20250211.1). In the first component a year is a date,
//     too.
var Deb Scheme = deb{}

type deb struct{}

// Compare orders versions as dpkg does.
func (deb) Compare(a, b string) (int, error) {
	if a == b {
		_, err := parseDeb(a)
		return 0, err
	}
	va, err := parseDeb(a)
	if err != nil {
		return 0, err
	}
	vb, err := parseDeb(b)
	if err != nil {
		return 0, err
	}
	return debian.Compare(va, vb), nil
}

var (
	errNoUpstream = errors.New("the upstream version is empty")
	errNoRevision = errors.New("the revision after the hyphen is empty")
	errEpoch      = errors.New("the epoch is too big")
	errSpace      = errors.New("white space around or in it")
	errEpochDigit = errors.New("the epoch is not a number")
)

// parseDeb reads what dpkg accepts as the version of a package file (its parseversion in strict mode).
func parseDeb(s string) (debian.Version, error) {
	fail := func(err error) (debian.Version, error) {
		return debian.Version{}, &InvalidError{Version: s, Err: err}
	}
	if strings.ContainsAny(s, " \t\r\n\v\f") {
		return fail(errSpace)
	}
	if epoch, _, ok := strings.Cut(s, ":"); ok && strings.Trim(epoch, "0123456789") != "" {
		return fail(errEpochDigit)
	}
	v, err := debian.Parse(s)
	switch {
	case err != nil:
		return fail(err)
	case v.Epoch > math.MaxInt32:
		return fail(errEpoch)
	case v.Version == "":
		return fail(errNoUpstream)
	case v.Revision == "" && strings.HasSuffix(s, "-"):
		return fail(errNoRevision)
	}
	return v, nil
}
