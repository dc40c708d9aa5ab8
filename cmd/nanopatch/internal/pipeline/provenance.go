package pipeline

import (
	"encoding/json"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/sign/attest"
)

// builderID names nanopatch as the builder where nothing more is known of who ran it.
const builderID = "https://nanopatch.dev/builder/v1"

// parameters is what a rebuild was asked for, in its provenance.
type parameters struct {
	// Source is the digest that was rebuilt: the image's, or the index's it belongs to.
	Source v1.Hash `json:"source"`
	// Updates is what was installed.
	Updates []parameterUpdate `json:"updates"`
}

type parameterUpdate struct {
	PURL string `json:"purl"`
	From string `json:"from"`
}

// provenance says from what an image, or an index of several, was made.
func (s *Session) provenance(digest v1.Hash, planned *Planned, platforms ...*rebuilt) (attest.Statement, error) {
	source := planned.Source
	asked := parameters{Source: source.Descriptor.Digest, Updates: []parameterUpdate{}}
	p := attest.Provenance{
		BuilderID: builderID, BuilderVersion: map[string]string{"nanopatch": s.cfg.Version}, BuildType: attest.BuildTypeRebuild,
		ResolvedDependencies: []attest.Resource{{
			Name: attest.NameSource, URI: source.Ref.String(), Digest: attest.Digest(source.Descriptor.Digest),
		}},
	}
	seen := make(map[string]bool)
	for _, b := range platforms {
		if digest != b.job.Plan.Image.Digest && source.Index != nil {
			p.ResolvedDependencies = append(p.ResolvedDependencies, attest.Resource{
				Name: "source " + b.job.Plan.Image.Platform, Digest: attest.Digest(b.job.Plan.Image.Digest),
			})
		}
		for _, u := range b.job.Plan.Updates {
			if seen[u.PURL] {
				continue
			}
			seen[u.PURL] = true
			asked.Updates = append(asked.Updates, parameterUpdate{PURL: u.PURL, From: u.From})
			p.ResolvedDependencies = append(p.ResolvedDependencies, artifact(u))
		}
		planDigest, err := b.job.Plan.Digest()
		if err != nil {
			return attest.Statement{}, err
		}
		p.Byproducts = append(p.Byproducts, attest.Resource{Name: attest.NamePlan, Digest: attest.Digest(planDigest)})
	}
	var err error
	if p.ExternalParameters, err = json.Marshal(asked); err != nil {
		return attest.Statement{}, fmt.Errorf("encoding the provenance: %w", err)
	}
	return attest.NewProvenance(digest, p)
}

func artifact(u plan.Update) attest.Resource {
	return attest.Resource{
		Name: u.PURL, DownloadLocation: u.Artifact.URL, Digest: map[string]string{"sha256": u.Artifact.SHA256},
	}
}
