package pipeline

import (
	"testing"
	"time"

	"github.com/openvex/go-vex/pkg/vex"

	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/sign/attest"
)

// TestExploitability: what is said is valid by OpenVEX's own library, the same each time, and no more than the advisories say.
func TestExploitability(t *testing.T) {
	updates := []plan.Update{
		{Name: "libssl3", PURL: "pkg:deb/debian/libssl3@3.0.19?arch=amd64", CVEs: []string{"CVE-2026-0002", "CVE-2026-0001"}},
		{Name: "openssl", PURL: "pkg:deb/debian/openssl@3.0.19?arch=amd64", CVEs: []string{"CVE-2026-0001"}},
		{Name: "tzdata", PURL: "pkg:deb/debian/tzdata@2026a?arch=all"},
	}
	s := &Session{cfg: Config{Version: "test"}}
	created := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	st, ok, err := s.exploitability("pkg:oci/base@sha256%3Aaa", hash("a"), created, updates)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	again, _, err := s.exploitability("pkg:oci/base@sha256%3Aaa", hash("a"), created, updates)
	if err != nil || string(again.Predicate) != string(st.Predicate) {
		t.Errorf("another document the second time: %s", again.Predicate)
	}
	if st.PredicateType != attest.PredicateVEX || attest.PredicateVEX != vex.TypeURI {
		t.Errorf("predicate type %s, the library's is %s", st.PredicateType, vex.TypeURI)
	}
	doc, err := vex.Parse(st.Predicate)
	if err != nil {
		t.Fatal(err)
	}
	if len(doc.Statements) != 2 || doc.ID == "" || doc.Author == "" || doc.Timestamp == nil || !doc.Timestamp.Equal(created) {
		t.Errorf("%s", st.Predicate)
	}
	for _, statement := range doc.Statements {
		if err := statement.Validate(); err != nil {
			t.Errorf("%s: %v", statement.Vulnerability.Name, err)
		}
	}
	if len(doc.Matches("CVE-2026-0001", "pkg:oci/base@sha256%3Aaa", []string{updates[1].PURL})) != 1 {
		t.Errorf("CVE-2026-0001 is not fixed in openssl: %s", st.Predicate)
	}
	if err := fixed(doc, updates); err != nil {
		t.Error(err)
	}
	if err := fixed(doc, updates[1:]); err == nil {
		t.Error("a CVE that no update fixes is taken")
	}
	if _, ok, err := s.exploitability("x", hash("a"), created, updates[2:]); ok || err != nil {
		t.Errorf("a document without statements: %t, %v", ok, err)
	}
}
