package advisory

import (
	"encoding/json"
	"strings"
)

// secPackage is an entry of "packages": a source package's fixes by version. The version "0" says that none was ever affected.
// An entry's text may hold several identifiers of one thing: "CVE-2021-1 GHSA-x".
type secPackage struct {
	Pkg struct {
		Name     string              `json:"name"`
		Secfixes map[string][]string `json:"secfixes"`
	} `json:"pkg"`
}

// readSecDB reads Alpine's secdb or Wolfi's security.json, one repository of one release.
func readSecDB(dec *json.Decoder, _ json.Delim, q *question) error {
	answers := newQuestion(q.distro, q.updates)
	release := ""
	err := object(dec, func(key string) error {
		switch key {
		case "distroversion":
			return dec.Decode(&release)
		case "packages":
			return list(dec, func() error {
				var p secPackage
				if err := dec.Decode(&p); err != nil {
					return err
				}
				answers.secfixes(&p)
				return nil
			})
		}
		return skip(dec)
	})
	if err == nil && q.distro.hasSecDB(release) {
		for i, ids := range answers.answers {
			q.known(i, ids...)
		}
	}
	return err
}

func (q *question) secfixes(p *secPackage) {
	for _, i := range q.bySource[p.Pkg.Name] {
		u := &q.updates[i]
		if u.Type != "apk" {
			continue
		}
		q.known(i)
		for fixed, ids := range p.Pkg.Secfixes {
			if u.fixesSource(fixed) {
				q.known(i, ids...)
			}
		}
	}
}

// hasSecDB tells whether a database is the distribution's. Alpine's names its release, "v3.19" or "edge"; Wolfi's, which has no
// releases and serves Chainguard's images too, names none.
func (d Distro) hasSecDB(release string) bool {
	switch d.ID {
	case "alpine":
		return release != "" && release == d.alpineBranch()
	case "wolfi", "chainguard":
		return release == ""
	}
	return false
}

// alpineBranch is a release's name in addresses: "v3.19" of 3.19.4, "edge" of a development version.
func (d Distro) alpineBranch() string {
	if strings.Contains(d.VersionID, "_") {
		return "edge"
	}
	f := strings.SplitN(d.VersionID, ".", 3)
	if len(f) < 2 {
		return ""
	}
	return "v" + f[0] + "." + f[1]
}

// Published are the addresses of the databases that the distribution itself keeps of its packages' fixes, as far as they are
// small enough to be fetched for one image; none where it keeps no such.
func (d Distro) Published() []string {
	switch d.ID {
	case "alpine":
		if branch := d.alpineBranch(); branch != "" {
			const base = "https://secdb.alpinelinux.org/"
			return []string{base + branch + "/main.json", base + branch + "/community.json"}
		}
	case "wolfi":
		return []string{"https://packages.wolfi.dev/os/security.json"}
	case "chainguard":
		return []string{"https://packages.wolfi.dev/os/security.json", "https://packages.cgr.dev/chainguard/security.json"}
	}
	return nil
}
