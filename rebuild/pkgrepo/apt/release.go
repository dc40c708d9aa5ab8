package apt

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxRelease bounds InRelease, Release and Release.gpg. Debian unstable's has 200 kB.
const maxRelease = 10 << 20

// maxFuture is how far a Release file's date may lie ahead of the clock: apt's Acquire::Max-FutureTime.
const maxFuture = 10 * time.Second

// releaseFile is what a repository's Release file says
// (https://wiki.debian.org/DebianRepository/Format#A.22Release.22_files).
type releaseFile struct {
	origin, label, suite, codename, version string
	date, validUntil                        time.Time
	architectures, components               []string
	byHash                                  bool
	notAutomatic, butAutomaticUpgrades      bool
	// noAll says that the indexes of every architecture hold the packages of architecture all too.
	noAll bool
	// files maps paths below the Release file's directory to what it declares, for Packages files.
	files map[string]fileSum
	// digest is the SHA-256 of the signed file as it was fetched, signer the fingerprint of the key.
	digest [sha256.Size]byte
	signer string
}

type fileSum struct {
	size   int64
	sha256 [sha256.Size]byte
}

// parseRelease reads the text of a Release file, which its signature covers. A file that declares no
// SHA-256 is refused: MD5 and SHA-1 prove nothing any more.
func parseRelease(text []byte) (*releaseFile, error) {
	r := &releaseFile{files: make(map[string]fileSum)}
	fields := make(map[string]string)
	section, strong := "", false
	for line := range bytes.Lines(text) {
		s := strings.TrimRight(string(line), " \t\r\n")
		if s == "" {
			if len(fields) > 0 {
				return nil, errors.New("it has more than one stanza")
			}
			continue
		}
		if s[0] == ' ' || s[0] == '\t' {
			if section == "sha256" {
				strong = true
				if err := r.addFile(s); err != nil {
					return nil, err
				}
			}
			continue
		}
		name, value, ok := strings.Cut(s, ":")
		if !ok {
			return nil, fmt.Errorf("not a field: %.60q", s)
		}
		section = strings.ToLower(name)
		if _, twice := fields[section]; twice {
			return nil, fmt.Errorf("field %.60q appears twice", name)
		}
		fields[section] = strings.TrimSpace(value)
	}
	if _, declared := fields["sha256"]; !strong && !declared {
		return nil, errors.New("it declares no SHA-256 checksums")
	}
	return r, r.fill(fields)
}

// addFile reads a line " SHA256 size path".
func (r *releaseFile) addFile(line string) error {
	f := strings.Fields(line)
	if len(f) != 3 {
		return fmt.Errorf("malformed checksum line: %.100q", line)
	}
	name := strings.TrimPrefix(f[2], "./")
	if !strings.HasPrefix(path.Base(name), "Packages") {
		return nil
	}
	var sum fileSum
	size, err := strconv.ParseInt(f[1], 10, 64)
	n, hexErr := hex.Decode(sum.sha256[:], []byte(f[0][:min(len(f[0]), 2*sha256.Size)]))
	if err != nil || hexErr != nil || size < 0 || n != sha256.Size || len(f[0]) != 2*sha256.Size {
		return fmt.Errorf("malformed checksum line: %.100q", line)
	}
	sum.size = size
	r.files[name] = sum
	return nil
}

func (r *releaseFile) fill(fields map[string]string) error {
	r.origin, r.label, r.version = fields["origin"], fields["label"], fields["version"]
	r.suite, r.codename = fields["suite"], fields["codename"]
	r.architectures, r.components = strings.Fields(fields["architectures"]), strings.Fields(fields["components"])
	r.byHash = parseBool(fields["acquire-by-hash"], false)
	r.notAutomatic = parseBool(fields["notautomatic"], false)
	r.butAutomaticUpgrades = r.notAutomatic && parseBool(fields["butautomaticupgrades"], false)
	r.noAll = slices.Contains(strings.Fields(fields["no-support-for-architecture-all"]), "Packages")
	for name, date := range map[string]*time.Time{"date": &r.date, "valid-until": &r.validUntil} {
		v, ok := fields[name]
		if !ok {
			continue
		}
		var err error
		if *date, err = parseDate(v); err != nil {
			return fmt.Errorf("field %s: %w", name, err)
		}
	}
	return nil
}

// parseDate reads a date as in HTTP and mail, in UTC only: "Sun, 22 Nov 2026  0:19:16 UTC". The weekday and
// a leading zero may be missing.
func parseDate(s string) (time.Time, error) {
	words := strings.Fields(s)
	if len(words) > 0 && strings.HasSuffix(words[0], ",") {
		words = words[1:]
	}
	if len(words) != 5 || !slices.Contains([]string{"UTC", "GMT", "Z", "+0000"}, words[4]) {
		return time.Time{}, fmt.Errorf("not a date in UTC: %.60q", s)
	}
	return time.Parse("2 Jan 2006 15:04:05", strings.Join(words[:4], " "))
}

// checkDates refuses a file from the future, and one that is no longer valid: a mirror that replays it
// would hide every update since.
func (r *releaseFile) checkDates(s Source, now time.Time) error {
	if !s.IgnoreDate && r.date.After(now.Add(maxFuture)) {
		return fmt.Errorf("it is dated %s, which is in the future by this machine's clock (%s)",
			r.date.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	if !s.IgnoreValidUntil && !r.validUntil.IsZero() && now.After(r.validUntil) {
		return fmt.Errorf("it was valid until %s: the mirror is out of date, or this machine's clock (%s) is ahead",
			r.validUntil.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return nil
}

// checkSuite tells whether the file is of the suite it was fetched for. A mirror could otherwise answer a
// request for the security suite with the validly signed, unchanging file of the release itself. Third
// parties are often careless with these fields (apt only warns): there it is a note.
func (r *releaseFile) checkSuite(s Source) (problem string, fatal bool) {
	if s.Flat() || (r.suite == "" && r.codename == "") {
		return "", false
	}
	if r.named(s.Suite) {
		return "", false
	}
	return fmt.Sprintf("asked for the suite %q, got %q (%q, %s)", s.Suite, r.suite, r.codename, r.label),
		r.origin == "Debian" || r.origin == "Ubuntu"
}

// named tells whether the directory below dists/ can be this file's.
func (r *releaseFile) named(dir string) bool {
	// "buster/updates" was the old name of a security suite, whose codename is the release's.
	base, old := strings.CutSuffix(dir, "/updates")
	switch r.origin {
	case "Ubuntu":
		// All pockets of a release have one codename.
		return dir == r.suite
	case "Debian":
		if security := r.security(); old && !security || security && !old && !strings.HasSuffix(dir, "-security") {
			return false
		}
	}
	return base == r.suite || base == r.codename || dir == r.suite || dir == r.codename
}

// supports tells whether the repository says to have packages of an architecture.
func (r *releaseFile) supports(arch string) bool {
	return len(r.architectures) == 0 || slices.Contains(r.architectures, arch)
}

// What Ubuntu's Release files have as their Origin: its own archive, and those of Pro's Expanded Security Maintenance, whose
// suites are named "jammy-infra-security" and "jammy-apps-updates" (as in unattended-upgrades' list of allowed origins).
const (
	ubuntuOrigin  = "Ubuntu"
	esmOrigin     = "UbuntuESM"
	esmAppsOrigin = "UbuntuESMApps"
)

// security tells whether the suite is a distribution's own security pocket.
func (r *releaseFile) security() bool {
	switch r.origin {
	case "Debian":
		return r.label == "Debian-Security"
	case ubuntuOrigin, esmOrigin, esmAppsOrigin:
		return strings.HasSuffix(r.suite, "-security")
	}
	return false
}

// frozen tells whether the suite is a pocket of the given release that only gets fixes: the release itself,
// its updates and its security pocket, not proposed updates or backports. Debian gives every pocket a
// codename of its own, Ubuntu tells them apart by suite. Ubuntu's Expanded Security Maintenance is of the release as well.
func (r *releaseFile) frozen(d Distro) bool {
	if d.Codename == "" || d.Development {
		return false
	}
	pocket, release := "", d.Codename
	switch {
	case d.ID == "debian" && r.origin == "Debian":
		// Before it is stable, the release lives in testing under the same codename.
		for _, moving := range []string{"testing", "unstable", "experimental"} {
			if strings.HasPrefix(r.suite, moving) {
				return false
			}
		}
		pocket = r.codename
	case d.ID == "ubuntu" && r.origin == ubuntuOrigin:
		pocket = r.suite
	case d.ID == "ubuntu" && r.origin == esmOrigin:
		pocket, release = r.suite, d.Codename+"-infra"
	case d.ID == "ubuntu" && r.origin == esmAppsOrigin:
		pocket, release = r.suite, d.Codename+"-apps"
	}
	return pocket == release || pocket == release+"-updates" || pocket == release+"-security"
}
