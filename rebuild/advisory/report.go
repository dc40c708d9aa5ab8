package advisory

import (
	"encoding/json"
	"slices"
	"strings"
)

// grypeMatch is one finding of grype.
type grypeMatch struct {
	Vulnerability struct {
		ID  string `json:"id"`
		Fix struct {
			Versions []string `json:"versions"`
			State    string   `json:"state"`
		} `json:"fix"`
	} `json:"vulnerability"`
	Related []struct {
		ID string `json:"id"`
	} `json:"relatedVulnerabilities"`
	Artifact struct {
		Name    string `json:"name"`
		Version string `json:"version"`
		Type    string `json:"type"`
	} `json:"artifact"`
}

// readGrype reads grype's report on the image before the update.
func readGrype(dec *json.Decoder, _ json.Delim, q *question) error {
	return object(dec, func(key string) error {
		if key != "matches" {
			return skip(dec)
		}
		return list(dec, func() error {
			var m grypeMatch
			if err := dec.Decode(&m); err != nil {
				return err
			}
			ids := []string{m.Vulnerability.ID}
			// A record of another kind (a GHSA, an ALAS) names the CVE as related; of a CVE the related ones are itself.
			if !strings.HasPrefix(m.Vulnerability.ID, "CVE-") {
				for _, r := range m.Related {
					ids = append(ids, r.ID)
				}
			}
			if m.Vulnerability.Fix.State != "fixed" {
				m.Vulnerability.Fix.Versions = nil
			}
			q.finding(m.Artifact.Type, m.Artifact.Name, m.Artifact.Version, m.Vulnerability.Fix.Versions, ids)
			return nil
		})
	})
}

// trivyResult is the findings in one kind of package.
type trivyResult struct {
	Class string `json:"Class"`
	// Type is the distribution in the results of class "os-pkgs".
	Type            string `json:"Type"`
	Vulnerabilities []struct {
		ID        string `json:"VulnerabilityID"`
		Package   string `json:"PkgName"`
		Installed string `json:"InstalledVersion"`
		Fixed     string `json:"FixedVersion"`
	} `json:"Vulnerabilities"`
}

// trivyTypes are the purl types of the packages of trivy's distributions.
var trivyTypes = map[string]string{
	"debian": "deb", "ubuntu": "deb", "alpine": "apk", "wolfi": "apk", "chainguard": "apk",
}

// readTrivy reads trivy's report on the image before the update. Fixed versions are separated by commas.
func readTrivy(dec *json.Decoder, _ json.Delim, q *question) error {
	return object(dec, func(key string) error {
		if key != "Results" {
			return skip(dec)
		}
		return list(dec, func() error {
			var r trivyResult
			if err := dec.Decode(&r); err != nil {
				return err
			}
			if r.Class != "os-pkgs" {
				return nil
			}
			for _, v := range r.Vulnerabilities {
				fixed := strings.FieldsFunc(v.Fixed, func(c rune) bool { return c == ',' || c == ' ' })
				q.finding(trivyTypes[r.Type], v.Package, v.Installed, fixed, []string{v.ID})
			}
			return nil
		})
	})
}

// finding is a scanner's finding in an installed package. Scanners state fixed versions of the source package; where its versions
// are others than the package's own, both are asked.
func (q *question) finding(kind, name, installed string, fixed, ids []string) {
	for _, i := range q.byName[name] {
		u := &q.updates[i]
		s, ok := u.scheme()
		if !ok || u.Type != kind || u.From != installed {
			continue // a report on another image
		}
		q.known(i)
		passed := func(v string) bool { return between(s, u.From, v, u.To) || u.fixesSource(v) }
		if slices.ContainsFunc(fixed, passed) {
			q.known(i, ids...)
		}
	}
}
