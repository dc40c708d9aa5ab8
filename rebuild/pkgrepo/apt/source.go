package apt

import (
	"fmt"
	"slices"
	"strings"
)

// Source is one suite of one repository, as a line of sources.list or a stanza of a .sources file has it.
//
// A mapping of mirrors, should there be one, is a function over []Source: every URL of a repository is
// built from URI, and signatures do not depend on it.
type Source struct {
	// URI is the repository's base without a slash at the end: http:, https:, or (never from an image's own
	// configuration) file:.
	URI string
	// Suite is the directory below dists/: "bookworm-updates". With a slash at the end it is the directory
	// of a flat repository, below URI: "./". Empty, it means what the base has: each of the
	// release's own suites that is there, or else a flat repository; see Sources.
	Suite string
	// Components are "main", …; none in a flat repository.
	Components []string
	// Architectures restricts the source to some architectures; empty means those of the image.
	Architectures []string
	// SignedBy restricts the keys that may have signed it.
	SignedBy SignedBy
	// IgnoreValidUntil is set by Check-Valid-Until: no; IgnoreDate, by Check-Date: no, implies it. An image's own
	// configuration sets them for snapshot.debian.org and snapshot.ubuntu.com only.
	IgnoreValidUntil, IgnoreDate bool
	// NoByHash is set by By-Hash: no.
	NoByHash bool
	// From says where the source is configured: "etc/apt/sources.list:3", "--repo-override", "defaults".
	From string
}

// Flat tells whether the source is a flat repository: no dists/, no components.
func (s Source) Flat() bool { return strings.HasSuffix(s.Suite, "/") }

func (s Source) String() string {
	words := []string{"deb", s.URI}
	if s.Suite != "" {
		words = append(words, s.Suite)
	}
	return strings.Join(append(words, s.Components...), " ")
}

// base is the URL of the directory that holds the Release file, with a slash at the end.
func (s Source) base() string {
	switch {
	case s.Suite == "./" || s.Suite == "/":
		return s.URI + "/"
	case s.Flat():
		return s.URI + "/" + strings.TrimPrefix(s.Suite, "/")
	}
	return s.URI + "/dists/" + s.Suite + "/"
}

// SignedBy says which keys may have signed a repository. Its zero value stands for every key of the image's
// etc/apt/trusted.gpg and trusted.gpg.d and, which apt does not add by itself, of the keyrings that the packages
// debian-archive-keyring and ubuntu-keyring install below usr/share/keyrings. Where an image has none of these files, or
// Files names those keyrings and they are missing, the archive keys of Debian or Ubuntu that this package knows stand in.
type SignedBy struct {
	// Files are keyrings, as paths in the image.
	Files []string
	// Fingerprints are of keys or, with "!" at the end, of subkeys; upper-case hexadecimal.
	Fingerprints []string
	// Keys is an armored key block that the configuration holds itself.
	Keys string
}

func (s SignedBy) equal(o SignedBy) bool {
	return slices.Equal(s.Files, o.Files) && slices.Equal(s.Fingerprints, o.Fingerprints) && s.Keys == o.Keys
}

const armorStart = "-----BEGIN PGP PUBLIC KEY BLOCK-----"

// parseSignedBy reads a Signed-By value: an armored key block (in deb822 with " ." for an empty line), or
// paths and fingerprints separated by white space or commas.
func parseSignedBy(value string) (SignedBy, string) {
	var s SignedBy
	if strings.HasPrefix(strings.TrimSpace(value), armorStart) {
		lines := strings.Split(strings.TrimSpace(value), "\n")
		for i, l := range lines {
			if l == "." {
				lines[i] = ""
			}
		}
		s.Keys = strings.Join(lines, "\n") + "\n"
		return s, ""
	}
	for _, w := range strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' }) {
		hex := strings.ToUpper(strings.TrimSuffix(w, "!"))
		switch {
		case strings.HasPrefix(w, "/") && printable(w):
			s.Files = append(s.Files, w)
		case len(hex) >= 40 && strings.Trim(hex, "0123456789ABCDEF") == "":
			s.Fingerprints = append(s.Fingerprints, strings.ToUpper(w))
		default:
			return s, fmt.Sprintf("Signed-By wants absolute paths, fingerprints or a key block, not %.60q", w)
		}
	}
	return s, ""
}

// merge puts sources that differ only in their components together, keeping the order of first
// appearance: the Release file of a suite is fetched once however many lines name it.
func merge(sources []Source) ([]Source, error) {
	var out []Source
	for _, s := range sources {
		i := slices.IndexFunc(out, func(o Source) bool { return o.URI == s.URI && o.Suite == s.Suite })
		if i < 0 {
			s.Components = slices.Clone(s.Components)
			out = append(out, s)
			continue
		}
		o := &out[i]
		if !o.SignedBy.equal(s.SignedBy) {
			return nil, &ConfigError{File: s.From, Reason: "Signed-By differs from what " + o.From + " says of the same suite"}
		}
		for _, c := range s.Components {
			if !slices.Contains(o.Components, c) {
				o.Components = append(o.Components, c)
			}
		}
		// An empty list means every architecture.
		if len(o.Architectures) == 0 || len(s.Architectures) == 0 {
			o.Architectures = nil
		} else {
			o.Architectures = append(slices.Clone(o.Architectures), s.Architectures...)
		}
	}
	return out, nil
}
