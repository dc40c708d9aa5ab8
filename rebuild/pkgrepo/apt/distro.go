package apt

import (
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
)

// Distro is an image's distribution, from its os-release file (os-release(5)).
type Distro struct {
	// ID and VersionID are the fields of these names: "debian", "12".
	ID, VersionID string
	// Codename is VERSION_CODENAME, or the name that belongs to VersionID where the field is missing, as in
	// distroless images: "bookworm".
	Codename string
	// Development is set on a release that is not out yet.
	Development bool
}

func (d Distro) String() string {
	if d.Codename == "" {
		return strings.TrimSpace(d.ID + " " + d.VersionID)
	}
	return fmt.Sprintf("%s %s (%s)", d.ID, d.VersionID, d.Codename)
}

// UnknownDistroError says that nothing is known about the repositories of a distribution.
type UnknownDistroError struct {
	Distro Distro
}

func (e *UnknownDistroError) Error() string {
	name := e.Distro.String()
	if name == "" {
		name = "an image without etc/os-release"
	}
	return fmt.Sprintf("no default repositories are known for %s: name them with %s", name, overrideFlag)
}

// ReadDistro reads etc/os-release, or usr/lib/os-release where that is missing. Without either the result
// is empty.
func ReadDistro(root fs.FS) (Distro, error) {
	for _, name := range []string{"etc/os-release", "usr/lib/os-release"} {
		data, ok, err := readConfig(root, name, maxConfigFile)
		if err != nil {
			return Distro{}, err
		}
		if ok {
			return parseOSRelease(string(data)), nil
		}
	}
	return Distro{}, nil
}

func parseOSRelease(text string) Distro {
	fields := make(map[string]string)
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && !strings.HasPrefix(key, "#") {
			fields[key] = strings.Trim(value, `"'`)
		}
	}
	d := Distro{ID: fields["ID"], VersionID: fields["VERSION_ID"], Codename: fields["VERSION_CODENAME"]}
	d.Development = strings.Contains(fields["PRETTY_NAME"], "development branch")
	if d.Codename == "" {
		if r, ok := d.release(); ok {
			d.Codename = r.codename
		}
	}
	return d
}

// release is one release of a distribution whose repositories are known.
type release struct {
	id, version, codename string
	// end is the first day without updates.
	end time.Time
	// defaults says that Defaults knows its suites: its archive still is where it was.
	defaults bool
}

// releases are dated July 2026. Debian's ends are those of LTS (https://wiki.debian.org/LTS), Ubuntu's of
// standard support (https://wiki.ubuntu.com/Releases): what the default repositories serve. Ubuntu leaves
// a long-term release in place after that, Debian moves one away.
func releases() []release {
	day := func(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }
	return []release{
		{"debian", "9", "stretch", day(2022, time.June, 30), false},
		{"debian", "10", "buster", day(2024, time.June, 30), false},
		{"debian", "11", "bullseye", day(2026, time.August, 31), true},
		{"debian", "12", "bookworm", day(2028, time.June, 30), true},
		{"debian", "13", "trixie", day(2030, time.June, 30), true},
		{"ubuntu", "18.04", "bionic", day(2023, time.May, 31), true},
		{"ubuntu", "20.04", "focal", day(2025, time.May, 31), true},
		{"ubuntu", "22.04", "jammy", day(2027, time.June, 1), true},
		{"ubuntu", "24.04", "noble", day(2029, time.May, 31), true},
	}
}

// release finds the distribution in the table, by version or by codename.
func (d Distro) release() (release, bool) {
	for _, r := range releases() {
		if d.ID == r.id && (d.VersionID == r.version || (d.VersionID == "" && d.Codename == r.codename)) {
			return r, true
		}
	}
	return release{}, false
}

// EndOfLife returns the day from which the release gets no more updates from its default repositories. ok is
// false for a release that the table does not know.
func EndOfLife(d Distro) (day time.Time, ok bool) {
	r, ok := d.release()
	return r.end, ok
}

// suites are the names below dists/ of the release's own suites: the release, its updates and its security
// fixes.
func (d Distro) suites() []string {
	if d.Codename == "" {
		return nil
	}
	security := d.Codename + "-security"
	if d.ID == "debian" && (d.VersionID == "9" || d.VersionID == "10") {
		security = d.Codename + "/updates"
	}
	return []string{d.Codename, d.Codename + "-updates", security}
}

// components are those that the distribution's own images enable.
func (d Distro) components() []string {
	switch d.ID {
	case "debian":
		return []string{"main"}
	case "ubuntu":
		return []string{"main", "restricted", "universe", "multiverse"}
	}
	return nil
}

// Defaults are the repositories of a distribution's own images: for Debian 11 to 13 the component main of
// the release and its updates at ftp.debian.org and its security suite at security.debian.org; for Ubuntu 18.04 to
// 24.04 (LTS) the components main, restricted, universe and multiverse of the release, -updates and -security at
// archive.ubuntu.com and security.ubuntu.com, or ports.ubuntu.com for other architectures than amd64 and i386.
// They are to be signed by the distribution's own keys: those of the keyring package in the image, or where it has
// none, those that this package knows.
//
// For any other distribution the error is an *UnknownDistroError, for an older release an *ArchivedError.
func Defaults(d Distro, arch string) ([]Source, error) {
	r, ok := d.release()
	if !ok {
		return nil, &UnknownDistroError{d}
	}
	if !r.defaults {
		return nil, &ArchivedError{Distro: d, EndOfLife: r.end}
	}
	d.Codename = r.codename
	archive, security, keyring := "http://ftp.debian.org/debian", "http://security.debian.org/debian-security", debianKeyring
	if d.ID == "ubuntu" {
		archive, security, keyring = "http://archive.ubuntu.com/ubuntu", "http://security.ubuntu.com/ubuntu", ubuntuKeyring
		if arch != "amd64" && arch != "i386" {
			archive, security = "http://ports.ubuntu.com/ubuntu-ports", "http://ports.ubuntu.com/ubuntu-ports"
		}
	}
	var out []Source
	for i, suite := range d.suites() {
		out = append(out, Source{
			URI:        []string{archive, archive, security}[i],
			Suite:      suite,
			Components: d.components(),
			SignedBy:   SignedBy{Files: []string{keyring}},
			From:       "defaults",
		})
	}
	return out, nil
}

// ArchivedError says that a release's suites are no longer where they were: past its end of life a
// distribution moves them to an archive. It is an ErrUnreachable.
type ArchivedError struct {
	Distro    Distro
	EndOfLife time.Time
	// URL is what was looked for; empty where nothing was.
	URL string
}

func (e *ArchivedError) Error() string {
	where := "http://archive.debian.org/debian"
	if e.Distro.ID == "ubuntu" {
		where = "http://old-releases.ubuntu.com/ubuntu"
	}
	what := e.Distro.String()
	if e.URL != "" {
		what = e.URL + " is gone: " + what
	}
	return fmt.Sprintf("%s reached its end of life on %s and has moved to an archive: try %s %s",
		what, e.EndOfLife.Format(time.DateOnly), overrideFlag, where)
}

// Unwrap makes it an ErrUnreachable.
func (e *ArchivedError) Unwrap() error { return pkgrepo.ErrUnreachable }
