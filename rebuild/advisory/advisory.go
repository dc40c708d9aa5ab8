package advisory

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/version"
)

// Distro is the image's distribution, from its os-release.
type Distro struct {
	// ID, VersionID and Codename are "debian", "12" and "bookworm"; "alpine", "3.19.4" and "".
	ID, VersionID, Codename string
}

// Update is one package's step to a newer version.
type Update struct {
	// Type is the package's purl type: "deb", "apk".
	Type string
	// Name is the package's, Source that of the source package that it was built from.
	Name, Source string
	// From and To are the package's versions, SourceFrom and SourceTo the source package's.
	From, To             string
	SourceFrom, SourceTo string
	// Files are those of the new version's package file; nil where it is not at hand.
	Files *layer.Index
}

// Kind is the kind of a source.
type Kind string

// The kinds of sources.
const (
	// Changelog is the distribution's changelog in the package file (deb-changelog(5)).
	Changelog Kind = "changelog"
	// SecDB is Alpine's or Wolfi's database of fixed versions (https://secdb.alpinelinux.org).
	SecDB Kind = "secdb"
	// Tracker is the dump of Debian's security tracker (https://security-tracker.debian.org/tracker/data/json).
	Tracker Kind = "debian-tracker"
	// OSV is one record of an OSV database, or a list of them (https://ossf.github.io/osv-schema/).
	OSV Kind = "osv"
	// Grype is grype's report on the image before the update (grype -o json).
	Grype Kind = "grype"
	// Trivy is trivy's (trivy image -f json).
	Trivy Kind = "trivy"
)

// Statement is what one source says of one update.
type Statement struct {
	Kind Kind `json:"kind"`
	// Name tells sources of one kind apart: the changelog's source package and version, a file's name, a URL.
	Name string `json:"name"`
	// CVEs are those that the source names as fixed after the installed version and not after the new one, in order, each
	// once. None means that the source knows the package and names none.
	CVEs []string `json:"cves"`
	// Incomplete says that the source does not go back to the installed version.
	Incomplete bool `json:"incomplete,omitempty"`
}

// Find asks the changelogs in the package files and the documents about each update. The statements are in the order of the
// updates; each update's begin with the changelog and go on in the order of the documents.
//
// The error is ErrFormat where a document is damaged, and whatever reading one returns.
func Find(ctx context.Context, d Distro, updates []Update, documents []Document) ([][]Statement, error) {
	found := make([][]Statement, len(updates))
	logs := changelogs(updates)
	for i := range updates {
		if s, ok := logs.of(&updates[i]); ok {
			found[i] = append(found[i], s)
		}
	}
	for _, doc := range documents {
		q := newQuestion(d, updates)
		kind, err := doc.read(ctx, q)
		if err != nil {
			return nil, err
		}
		for i := range updates {
			if ids, known := q.answers[i]; known {
				found[i] = append(found[i], Statement{Kind: kind, Name: doc.Name, CVEs: sorted(ids)})
			}
		}
	}
	return found, nil
}

// CVEs are the CVEs of all statements, in order, each once; never nil.
func CVEs(statements []Statement) []string {
	var all []string
	for _, s := range statements {
		all = append(all, s.CVEs...)
	}
	return sorted(all)
}

// cve is a CVE's identifier (https://www.cve.org/ResourcesSupport/FAQs, "CVE ID Syntax"): a year and four digits or more.
var cve = regexp.MustCompile(`\bCVE-[0-9]{4}-[0-9]{4,19}\b`)

// sorted puts identifiers in the order of year and number, each once.
func sorted(ids []string) []string {
	out := append([]string{}, ids...)
	slices.SortFunc(out, func(a, b string) int {
		ay, an, _ := strings.Cut(strings.TrimPrefix(a, "CVE-"), "-")
		by, bn, _ := strings.Cut(strings.TrimPrefix(b, "CVE-"), "-")
		return cmp.Or(strings.Compare(ay, by), cmp.Compare(number(an), number(bn)), strings.Compare(a, b))
	})
	return slices.Compact(out)
}

func number(s string) uint64 {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0 // of twenty digits, which no identifier has
	}
	return n
}

// question is what a document is asked, and what it answered so far.
type question struct {
	distro  Distro
	updates []Update
	// bySource and byName find updates by index.
	bySource, byName map[string][]int
	// answers are the identifiers by update; a key without any says that the document knows the package.
	answers map[int][]string
}

func newQuestion(d Distro, updates []Update) *question {
	q := &question{
		distro: d, updates: updates, bySource: make(map[string][]int), byName: make(map[string][]int), answers: make(map[int][]string),
	}
	for i, u := range updates {
		q.bySource[u.Source] = append(q.bySource[u.Source], i)
		q.byName[u.Name] = append(q.byName[u.Name], i)
	}
	return q
}

// known records that the document knows an update's package, and which CVEs a text names as fixed by it.
func (q *question) known(i int, text ...string) {
	ids := q.answers[i]
	for _, s := range text {
		ids = append(ids, cve.FindAllString(s, -1)...)
	}
	q.answers[i] = ids
}

// scheme is the ordering of an update's versions.
func (u *Update) scheme() (version.Scheme, bool) {
	switch u.Type {
	case "deb":
		return version.Deb, true
	case "apk":
		return version.Apk, true
	}
	return nil, false
}

// between tells whether a version is after from and not after to; false for one that is none.
func between(s version.Scheme, from, v, to string) bool {
	after, err := s.Compare(from, v)
	if err != nil || after >= 0 {
		return false
	}
	until, err := s.Compare(v, to)
	return err == nil && until <= 0
}

// fixesSource tells whether the update passes the version of its source package in which something was fixed.
func (u *Update) fixesSource(fixed string) bool {
	s, ok := u.scheme()
	return ok && between(s, u.SourceFrom, fixed, u.SourceTo)
}
