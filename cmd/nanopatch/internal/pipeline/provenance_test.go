package pipeline

import (
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/sign/attest"
	"github.com/nanopatch/nanopatch/sign/cosign"
)

func hash(digit string) v1.Hash { return v1.Hash{Algorithm: "sha256", Hex: strings.Repeat(digit, 64)} }

func TestURI(t *testing.T) {
	hex := hash("a").Hex
	for name, want := range map[string]string{
		"localhost:5000/team/base:12":       "pkg:oci/base@sha256%3A" + hex + "?repository_url=localhost%3A5000%2Fteam%2Fbase&tag=12",
		"localhost:5000/base@sha256:" + hex: "pkg:oci/base@sha256%3A" + hex + "?repository_url=localhost%3A5000%2Fbase",
		"oci:image:old":                     "oci:image:old",
	} {
		ref, err := image.Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := uri(ref, hash("a")); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// TestTells: another day's repositories are the same lineage; another source or plan is not.
func TestTells(t *testing.T) {
	provenance := func(source, plan string, more ...attest.Resource) attest.Statement {
		st, err := attest.NewProvenance(hash("a"), attest.Provenance{
			BuilderID: builderID, BuildType: attest.BuildTypeRebuild, ExternalParameters: []byte(`{"source":"x"}`),
			ResolvedDependencies: append([]attest.Resource{{Name: attest.NameSource, Digest: attest.Digest(hash(source))}}, more...),
			Byproducts:           []attest.Resource{{Name: attest.NamePlan, Digest: attest.Digest(hash(plan))}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	carried := &cosign.Report{Attestations: []cosign.Attestation{
		{PredicateType: attest.PredicateProvenance, Statement: provenance("b", "c")},
	}}
	for _, tt := range []struct {
		st   attest.Statement
		want bool
	}{
		{provenance("b", "c"), true},
		{provenance("b", "c", attest.Resource{Name: "repository", URI: "http://deb.debian.org/debian"}), true},
		{provenance("a", "c"), false},
		{provenance("b", "d"), false},
	} {
		if got := tells(carried, tt.st); got != tt.want {
			t.Errorf("%s: %t", tt.st.Predicate, got)
		}
	}
}
