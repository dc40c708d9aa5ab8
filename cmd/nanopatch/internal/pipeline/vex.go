package pipeline

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/openvex/go-vex/pkg/vex"

	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/sign/attest"
)

// fixes are the packages that updates brought to a fixed version, by CVE and without duplicates; both are sorted.
func fixes(updates []plan.Update) (cves []string, packages map[string][]string) {
	packages = make(map[string][]string)
	for _, u := range updates {
		for _, cve := range u.CVEs {
			if !slices.Contains(packages[cve], u.PURL) {
				packages[cve] = append(packages[cve], u.PURL)
			}
		}
	}
	for _, p := range packages {
		slices.Sort(p)
	}
	return slices.Sorted(maps.Keys(packages)), packages
}

// exploitability says in OpenVEX (https://github.com/openvex/spec, v0.2.0) that an image's updates fixed the CVEs which
// the advisories name. ok is false where they name none: a document without statements is not valid. Its time is the
// image's, so that the same rebuild says the same.
func (s *Session) exploitability(
	product string, digest v1.Hash, created time.Time, updates []plan.Update,
) (st attest.Statement, ok bool, err error) {
	cves, packages := fixes(updates)
	if len(cves) == 0 {
		return st, false, nil
	}
	created = created.UTC()
	doc := vex.New()
	doc.Author, doc.AuthorRole, doc.Tooling = s.builder(), "Document Creator", "nanopatch/"+s.cfg.Version
	doc.Timestamp, doc.Version = &created, 1
	for _, cve := range cves {
		p := vex.Product{Component: vex.Component{
			ID: product, Hashes: map[vex.Algorithm]vex.Hash{vex.SHA256: vex.Hash(digest.Hex)},
		}}
		for _, purl := range packages[cve] {
			p.Subcomponents = append(p.Subcomponents, vex.Subcomponent{Component: vex.Component{ID: purl}})
		}
		doc.Statements = append(doc.Statements, vex.Statement{
			Vulnerability: vex.Vulnerability{Name: vex.VulnerabilityID(cve)}, Timestamp: &created,
			Products: []vex.Product{p}, Status: vex.StatusFixed,
		})
	}
	if _, err := doc.GenerateCanonicalID(); err != nil {
		return st, false, fmt.Errorf("naming the VEX document: %w", err)
	}
	raw, err := json.Marshal(&doc)
	if err != nil {
		return st, false, fmt.Errorf("encoding the VEX document: %w", err)
	}
	st, err = attest.New(digest, attest.PredicateVEX, raw)
	return st, true, err
}

// exploitability holds attested VEX documents of nanopatch against the lockfile's updates.
func (e *evidence) exploitability(lock *plan.PlatformLock) {
	for _, st := range e.sub.Statements(attest.PredicateVEX) {
		doc, err := vex.Parse(st.Predicate)
		if err != nil {
			e.sub.fail(CheckVEX, "it cannot be read: %v", err)
			continue
		}
		if err := fixed(doc, lock.Updates); err != nil {
			e.sub.fail(CheckVEX, "%v", err)
			continue
		}
		e.sub.ok(CheckVEX, "%s fixed by the updates", count(len(doc.Statements), "CVE"))
	}
}

// fixed makes sure that a document calls nothing fixed but what the updates' advisories name.
func fixed(doc *vex.VEX, updates []plan.Update) error {
	_, packages := fixes(updates)
	for _, st := range doc.Statements {
		if st.Status != vex.StatusFixed {
			return fmt.Errorf("%s is %s: a rebuild only fixes", st.Vulnerability.Name, st.Status)
		}
		known := packages[string(st.Vulnerability.Name)]
		for _, p := range st.Products {
			for _, c := range p.Subcomponents {
				if !slices.Contains(known, c.ID) {
					return fmt.Errorf("%s is called fixed by %s, and no update of the lockfile does that", st.Vulnerability.Name, c.ID)
				}
			}
			if len(p.Subcomponents) == 0 {
				return fmt.Errorf("%s is called fixed, and not by which package", st.Vulnerability.Name)
			}
		}
	}
	return nil
}
