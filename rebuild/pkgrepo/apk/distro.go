package apk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"
)

// The distributions whose repositories are known.
const (
	alpine     = "alpine"
	wolfi      = "wolfi"
	chainguard = "chainguard"
)

// maxConfig bounds a file of the image's configuration, in bytes.
const maxConfig = 1 << 20

// Distro is an image's distribution, from its os-release file (os-release(5)).
type Distro struct {
	// ID and VersionID are the fields of these names: "alpine", "3.19.4".
	ID, VersionID string
}

func (d Distro) String() string {
	if d.ID == "" {
		return "an image without etc/os-release"
	}
	return strings.TrimSpace(d.ID + " " + d.VersionID)
}

// Branch is the name of the release's directory on a mirror: "v3.19", "edge" for a development version, "" for a
// distribution without releases.
func (d Distro) Branch() string {
	if d.ID != alpine {
		return ""
	}
	if strings.Contains(d.VersionID, "_") {
		return "edge"
	}
	if f := strings.SplitN(d.VersionID, ".", 3); len(f) >= 2 && f[0] != "" && f[1] != "" {
		return "v" + f[0] + "." + f[1]
	}
	return ""
}

// stable tells whether an index described so is of the distribution's own release: "v3.19.1-643-gec825d2053" in a stable
// branch, "3.19.1" on installation media.
func (d Distro) stable(description string) bool {
	branch := d.Branch()
	return strings.HasPrefix(branch, "v") && strings.HasPrefix("v"+strings.TrimPrefix(description, "v"), branch+".")
}

// ReadDistro reads etc/os-release, or usr/lib/os-release where that is missing. Without either the result is empty.
func ReadDistro(root fs.FS) (Distro, error) {
	for _, name := range []string{"etc/os-release", "usr/lib/os-release"} {
		data, err := readFile(root, name, maxConfig)
		if err != nil {
			return Distro{}, err
		}
		if data == nil {
			continue
		}
		var d Distro
		for line := range strings.Lines(string(data)) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			value = strings.Trim(value, `"'`)
			switch key {
			case "ID":
				d.ID = value
			case "VERSION_ID":
				d.VersionID = value
			}
		}
		return d, nil
	}
	return Distro{}, nil
}

// UnknownDistroError says that nothing is known about the repositories of a distribution.
type UnknownDistroError struct {
	Distro Distro
}

func (e *UnknownDistroError) Error() string {
	return fmt.Sprintf("no default repositories are known for %s: name them with %s", e.Distro, overrideFlag)
}

// Defaults are the repositories of a distribution's own images: for Alpine main and community of the release at
// dl-cdn.alpinelinux.org, for Wolfi packages.wolfi.dev/os. The error is an *UnknownDistroError.
func Defaults(d Distro) ([]Source, error) {
	const mirror = "https://dl-cdn.alpinelinux.org/alpine/"
	switch branch := d.Branch(); {
	case branch != "":
		return []Source{
			{URI: mirror + branch + "/main", From: "defaults"},
			{URI: mirror + branch + "/community", From: "defaults"},
		}, nil
	case d.ID == wolfi || d.ID == chainguard:
		return []Source{{URI: "https://packages.wolfi.dev/os", From: "defaults"}}, nil
	}
	return nil, &UnknownDistroError{d}
}

// EndOfLife returns the first day on which a release gets no more updates. ok is false for one that the table, of
// July 2026, does not know, and for distributions without releases. Source: https://alpinelinux.org/releases/.
func EndOfLife(d Distro) (day time.Time, ok bool) {
	date, ok := map[string]string{
		"v3.8": "2020-05-01", "v3.9": "2020-11-01", "v3.10": "2021-05-01", "v3.11": "2021-11-01", "v3.12": "2022-05-01",
		"v3.13": "2022-11-01", "v3.14": "2023-05-01", "v3.15": "2023-11-01", "v3.16": "2024-05-23", "v3.17": "2024-11-22",
		"v3.18": "2025-05-09", "v3.19": "2025-11-01", "v3.20": "2026-04-01", "v3.21": "2026-11-01", "v3.22": "2027-05-01",
		"v3.23": "2027-11-01",
	}[d.Branch()]
	if !ok {
		return time.Time{}, false
	}
	day, err := time.Parse(time.DateOnly, date)
	return day, err == nil
}

// readFile reads a file of at most limit bytes; nil without an error if there is none.
func readFile(root fs.FS, name string, limit int64) ([]byte, error) {
	f, err := root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, &ConfigError{File: name, Reason: "not a regular file"}
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if int64(len(data)) > limit {
		return nil, &ConfigError{File: name, Reason: fmt.Sprintf("larger than %d bytes", limit)}
	}
	if data == nil {
		data = []byte{}
	}
	return data, nil
}
