package advisory

import (
	"encoding/json"
	"fmt"
)

// trackedIssue is what the tracker says of one issue of a source package.
type trackedIssue struct {
	Releases map[string]struct {
		Status       string `json:"status"`
		FixedVersion string `json:"fixed_version"`
	} `json:"releases"`
}

// readTracker reads the dump of Debian's security tracker: source package, issue, release. A fixed version of "0" says that the
// release was never affected.
func readTracker(dec *json.Decoder, _ json.Delim, q *question) error {
	return object(dec, func(source string) error {
		wanted := q.bySource[source]
		if q.distro.ID != "debian" || len(wanted) == 0 {
			return skip(dec)
		}
		token, err := dec.Token()
		if err != nil {
			return err
		}
		if token != json.Delim('{') {
			return fmt.Errorf("%w: %s: %v where issues belong", ErrFormat, source, token)
		}
		return object(dec, func(id string) error {
			var issue trackedIssue
			if err := dec.Decode(&issue); err != nil {
				return err
			}
			for _, i := range wanted {
				q.tracked(i, id, &issue)
			}
			return nil
		})
	})
}

func (q *question) tracked(i int, id string, issue *trackedIssue) {
	u := &q.updates[i]
	if u.Type != "deb" {
		return
	}
	r, ok := issue.Releases[q.distro.Codename]
	if !ok {
		return
	}
	q.known(i)
	if r.Status == "resolved" && r.FixedVersion != "0" && u.fixesSource(r.FixedVersion) {
		q.known(i, id)
	}
}
