package attest_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	slsa "github.com/in-toto/attestation/go/predicates/provenance/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/nanopatch/nanopatch/sign/attest"
)

func rebuilt() attest.Provenance {
	return attest.Provenance{
		BuilderID:          "https://nanopatch.dev/cli",
		BuilderVersion:     map[string]string{"nanopatch": "1.0.0"},
		BuildType:          attest.BuildTypeRebuild,
		ExternalParameters: json.RawMessage(`{"source":"registry.example/base:1?a=b&c","level":"patch"}`),
		ResolvedDependencies: []attest.Resource{
			{Name: attest.NameSource, URI: "registry.example/base:1", Digest: attest.Digest(image)},
			{
				URI:    "https://deb.debian.org/debian/pool/main/o/openssl/libssl3_3.0.17-1_amd64.deb",
				Digest: map[string]string{"sha256": strings.Repeat("0f", 32)},
			},
		},
		Byproducts: []attest.Resource{{Name: attest.NamePlan, Digest: map[string]string{"sha256": strings.Repeat("1e", 32)}}},
	}
}

func TestProvenanceIsSLSA(t *testing.T) {
	st, err := attest.NewProvenance(image, rebuilt())
	if err != nil {
		t.Fatal(err)
	}
	payload, err := st.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(payload), "a=b&c") {
		t.Errorf("parameters were escaped: %s", payload)
	}
	official(t, payload)

	var p slsa.Provenance
	if err := protojson.Unmarshal(st.Predicate, &p); err != nil {
		t.Fatalf("in-toto/attestation cannot read %s: %v", st.Predicate, err)
	}
	if err := p.Validate(); err != nil {
		t.Fatalf("in-toto/attestation refuses %s: %v", st.Predicate, err)
	}
	if got := p.GetBuildDefinition().GetResolvedDependencies()[0].GetDigest()["sha256"]; got != image.Hex {
		t.Errorf("source digest %s", got)
	}
}

func TestProvenanceRoundTrip(t *testing.T) {
	st, err := attest.NewProvenance(image, rebuilt())
	if err != nil {
		t.Fatal(err)
	}
	payload, err := st.Encode()
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := attest.Parse(payload)
	if err != nil {
		t.Fatal(err)
	}
	p, err := attest.ParseProvenance(parsed)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(rebuilt(), p); diff != "" {
		t.Error(diff)
	}
	source, ok := p.Source()
	if !ok || source.URI != "registry.example/base:1" {
		t.Errorf("source %+v, %t", source, ok)
	}
	plan, ok := p.Plan()
	if !ok || plan.Digest["sha256"] != strings.Repeat("1e", 32) {
		t.Errorf("plan %+v, %t", plan, ok)
	}
}

func TestProvenanceRefuses(t *testing.T) {
	tests := map[string]func(*attest.Provenance){
		"no builder":          func(p *attest.Provenance) { p.BuilderID = "" },
		"no build type":       func(p *attest.Provenance) { p.BuildType = "" },
		"no parameters":       func(p *attest.Provenance) { p.ExternalParameters = nil },
		"empty parameters":    func(p *attest.Provenance) { p.ExternalParameters = json.RawMessage(`{}`) },
		"array of parameters": func(p *attest.Provenance) { p.ExternalParameters = json.RawMessage(`[1]`) },
		"nameless resource":   func(p *attest.Provenance) { p.Byproducts = append(p.Byproducts, attest.Resource{MediaType: "x"}) },
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			p := rebuilt()
			spoil(&p)
			if _, err := attest.NewProvenance(image, p); !errors.Is(err, attest.ErrInvalid) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestParseProvenanceOfOthers(t *testing.T) {
	other, err := attest.New(image, attest.PredicateSPDX, json.RawMessage(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := attest.ParseProvenance(other); !errors.Is(err, attest.ErrInvalid) {
		t.Errorf("an SBOM was read as provenance: %v", err)
	}
	// What BuildKit writes: no external parameters of ours, annotations that are not text, a time stamp.
	buildkit, err := attest.New(image, attest.PredicateProvenance, json.RawMessage(`{"buildDefinition":{`+
		`"buildType":"https://mobyproject.org/buildkit@v1","externalParameters":{},"internalParameters":{"x":1},`+
		`"resolvedDependencies":[{"uri":"pkg:docker/debian@12","annotations":{"n":1}}]},`+
		`"runDetails":{"builder":{"id":"b"},"metadata":{"startedOn":"2024-01-01T00:00:00Z"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	p, err := attest.ParseProvenance(buildkit)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := p.Source(); ok || p.BuilderID != "b" {
		t.Errorf("parsed %+v", p)
	}
}
