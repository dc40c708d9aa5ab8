package render

import (
	"strings"
	"time"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/pipeline"
	"github.com/nanopatch/nanopatch/rebuild"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/sbom/report/page"
)

type appliedLayer = rebuild.AppliedLayer

// planFacts say what a plan was made from, and name it.
func planFacts(p *plan.Plan) ([]page.Fact, error) {
	out := originFacts(p)
	digest, err := p.Digest()
	if err != nil || p.Empty() {
		return out, err
	}
	return append(out, page.Fact{Label: "Plan", Value: digest.String(), Code: true}), nil
}

// originFacts say what a plan was made from.
func originFacts(p *plan.Plan) []page.Fact {
	out := []page.Fact{
		{Label: "Planned image", Value: p.Image.Ref + "@" + p.Image.Digest.String(), Code: true},
		{Label: "Platform", Value: p.Image.Platform + ", " + distro(p.Distro)},
	}
	for _, r := range p.Repositories {
		value := strings.Join(strings.Fields(r.URI+" "+r.Suite+" "+r.Component), " ")
		if !r.Date.IsZero() {
			value += ", of " + r.Date.UTC().Format(time.DateOnly)
		}
		if r.Signer != "" {
			value += ", signed by " + r.Signer
		}
		out = append(out, page.Fact{Label: "Repository", Value: value})
	}
	return out
}

// resultFacts say what was made from what, and who vouches for it.
func resultFacts(r *pipeline.Result) []page.Fact {
	out := []page.Fact{
		{Label: "Source", Value: r.Source.Ref + "@" + r.Source.Digest.String(), Code: true},
		{Label: "Result", Value: r.Image.Ref + "@" + r.Image.Digest.String(), Code: true},
	}
	if len(r.Tags) > 0 {
		out = append(out, page.Fact{Label: "Tags", Value: strings.Join(r.Tags, ", "), Code: true})
	}
	switch {
	case r.Signature.Record != nil:
		out = append(out, page.Fact{Label: "Signed by", Value: "key " + r.Signature.KeyID})
	default:
		out = append(out, page.Fact{Label: "Signed by", Value: "nobody"})
	}
	for _, st := range r.Attestations {
		out = append(out, page.Fact{Label: "Attestation", Value: st.PredicateType + " of " + st.Subject.String()})
	}
	for _, n := range r.Notes {
		out = append(out, page.Fact{Label: "Note", Value: n})
	}
	return append(out, page.Fact{Label: "Moved", Value: Size(r.Bytes.Pulled) + " pulled, " + Size(r.Bytes.Pushed) + " pushed, " +
		Size(r.Bytes.Mounted) + " mounted, " + Size(r.Bytes.Artifacts) + " of packages"})
}
