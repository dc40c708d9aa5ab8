package advisory

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/version"
)

// osvRecord is what is read of a record.
type osvRecord struct {
	ID        string        `json:"id"`
	Withdrawn string        `json:"withdrawn"`
	Aliases   []string      `json:"aliases"`
	Upstream  []string      `json:"upstream"`
	Affected  []osvAffected `json:"affected"`
}

type osvAffected struct {
	Package struct {
		Ecosystem string `json:"ecosystem"`
		Name      string `json:"name"`
	} `json:"package"`
	Ranges []struct {
		Type   string     `json:"type"`
		Events []osvEvent `json:"events"`
	} `json:"ranges"`
	Versions []string `json:"versions"`
}

// osvEvent is where affected versions begin or end.
type osvEvent struct {
	Introduced   string `json:"introduced"`
	Fixed        string `json:"fixed"`
	LastAffected string `json:"last_affected"`
}

// readOSV reads one record, a list of them, or an object that has one as "vulns".
func readOSV(dec *json.Decoder, opening json.Delim, q *question) error {
	one := func() error {
		var r osvRecord
		if err := dec.Decode(&r); err != nil {
			return err
		}
		q.record(&r)
		return nil
	}
	if opening == '[' {
		return rest(dec, one)
	}
	var r osvRecord
	fields := map[string]any{
		"id": &r.ID, "withdrawn": &r.Withdrawn, "aliases": &r.Aliases, "upstream": &r.Upstream, "affected": &r.Affected,
	}
	err := object(dec, func(key string) error {
		if key == "vulns" {
			return list(dec, one)
		}
		if into, ok := fields[key]; ok {
			return dec.Decode(into)
		}
		return skip(dec)
	})
	if err == nil {
		q.record(&r)
	}
	return err
}

// record asks one record: an update fixes it where it affects the installed version and not the new one.
func (q *question) record(r *osvRecord) {
	if r.Withdrawn != "" {
		return
	}
	ids := slices.Concat([]string{r.ID}, r.Aliases, r.Upstream)
	seen := make(map[int]bool)
	for _, a := range r.Affected {
		for _, i := range q.bySource[a.Package.Name] {
			u := &q.updates[i]
			if seen[i] || !q.distro.osvEcosystem(a.Package.Ecosystem, u.Type) {
				continue
			}
			seen[i] = true
			q.known(i)
			if s, ok := u.scheme(); ok && q.affects(r, i, s, u.SourceFrom) && !q.affects(r, i, s, u.SourceTo) {
				q.known(i, ids...)
			}
		}
	}
}

// affects tells whether a record affects a version of an update's source package.
func (q *question) affects(r *osvRecord, i int, s version.Scheme, v string) bool {
	u := &q.updates[i]
	for _, a := range r.Affected {
		if a.Package.Name != u.Source || !q.distro.osvEcosystem(a.Package.Ecosystem, u.Type) {
			continue
		}
		if slices.Contains(a.Versions, v) {
			return true
		}
		for _, x := range a.Ranges {
			if x.Type == "ECOSYSTEM" && affected(s, x.Events, v) {
				return true
			}
		}
	}
	return false
}

// affected evaluates the events of a range, in whatever order they are: the last one that is not after v decides.
func affected(s version.Scheme, events []osvEvent, v string) bool {
	// An event at what is no version is none.
	compare := func(a, b string, holds func(n int) bool) bool {
		n, err := s.Compare(a, b)
		return err == nil && holds(n)
	}
	after := func(a, b string) bool { return compare(a, b, func(n int) bool { return n > 0 }) }
	reached := func(at string) bool { return compare(at, v, func(n int) bool { return n <= 0 }) }
	in, last := false, ""
	take := func(at string, state bool) {
		if last == "" || last == "0" || after(at, last) {
			in, last = state, at
		}
	}
	for _, e := range events {
		switch {
		case e.Introduced == "0" && last == "":
			take("0", true)
		case e.Introduced != "0" && e.Introduced != "" && reached(e.Introduced):
			take(e.Introduced, true)
		case e.Fixed != "" && reached(e.Fixed):
			take(e.Fixed, false)
		case e.LastAffected != "" && after(v, e.LastAffected):
			take(e.LastAffected, false)
		}
	}
	return in
}

// osvEcosystem tells whether a record's ecosystem is the image's: "Debian:12", "Ubuntu:22.04:LTS", "Alpine:v3.19", "Wolfi".
func (d Distro) osvEcosystem(ecosystem, kind string) bool {
	name, release, _ := strings.Cut(ecosystem, ":")
	switch {
	case kind == "deb" && d.ID == "debian":
		return name == "Debian" && release == d.VersionID
	case kind == "deb" && d.ID == "ubuntu":
		number, _, _ := strings.Cut(release, ":") // "Pro:…" is of another archive
		return name == "Ubuntu" && number == d.VersionID
	case kind == "apk" && d.ID == "alpine":
		return name == "Alpine" && release == d.alpineBranch()
	case kind == "apk" && d.ID == "wolfi":
		return name == "Wolfi"
	case kind == "apk" && d.ID == "chainguard":
		return name == "Chainguard" || name == "Wolfi"
	}
	return false
}
