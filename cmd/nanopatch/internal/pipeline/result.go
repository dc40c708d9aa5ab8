package pipeline

import (
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/rebuild"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/sbom/diff"
	"github.com/nanopatch/nanopatch/sign/cosign"
)

// Result is what a rebuild did: the JSON document of `nanopatch rebuild -o json`.
type Result struct {
	APIVersion string      `json:"apiVersion"`
	Kind       string      `json:"kind"`
	Source     NamedDigest `json:"source"`
	// Image has the source's digest where nothing changed.
	Image NamedDigest `json:"image"`
	// Tags are all references that now name the image.
	Tags      []string         `json:"tags"`
	Platforms []PlatformResult `json:"platforms"`
	// Notes say what else became of the source, such as stale attestations that were left out.
	Notes []string `json:"notes"`
	// Signature is that of the image or index itself at the first destination.
	Signature Signature `json:"signature"`
	// Signatures and Attestations are all that the image, and the images of an index, carry at every destination by the
	// key that signed.
	Signatures   []Statement `json:"signatures"`
	Attestations []Statement `json:"attestations"`
	// Attached are the SBOMs and package files that lie beside the images without a signature of their own.
	Attached []Attachment       `json:"attached"`
	Bytes    Bytes              `json:"bytes"`
	Seconds  map[string]float64 `json:"seconds"`
}

// Attachment is an artifact that refers to an image.
type Attachment struct {
	Repository   string  `json:"repository"`
	Platform     string  `json:"platform"`
	Subject      v1.Hash `json:"subject"`
	ArtifactType string  `json:"artifactType"`
	Digest       v1.Hash `json:"digest"`
}

// Signature is a signature's record, {} where there is none.
type Signature struct{ *cosign.Record }

// Statement is a signed statement and what it is about.
type Statement struct {
	Repository string `json:"repository"`
	// Platform is empty for an index.
	Platform string  `json:"platform,omitempty"`
	Subject  v1.Hash `json:"subject"`
	cosign.Record
}

// NamedDigest is an image by name and by content.
type NamedDigest struct {
	Ref    string  `json:"ref"`
	Digest v1.Hash `json:"digest"`
}

// PlatformResult is what became of one platform's image.
type PlatformResult struct {
	Platform  string           `json:"platform"`
	Distro    plan.Distro      `json:"distro"`
	OldDigest v1.Hash          `json:"oldDigest"`
	NewDigest v1.Hash          `json:"newDigest"`
	Updates   []plan.Update    `json:"updates"`
	Held      []plan.Hold      `json:"held"`
	Unmanaged []plan.Unmanaged `json:"unmanaged"`
	// EOL, Overridden and KeptFiles are the plan's.
	EOL        *plan.Date             `json:"eol"`
	Overridden []plan.Override        `json:"overridden"`
	KeptFiles  []plan.KeptFile        `json:"keptFiles"`
	Layers     []rebuild.AppliedLayer `json:"layers"`
	// Repositories are the indexes that the updates were chosen from.
	Repositories []plan.Repository `json:"repositories"`
	// Diff names both sides and is otherwise empty where nothing was to update: the packages are not counted then.
	Diff *diff.Diff `json:"diff"`
}

// Bytes counts what moved over the network, in bytes. Mounted is what did not have to: a registry took it over from
// another of its repositories.
type Bytes struct {
	Pulled     int64 `json:"pulled"`
	Pushed     int64 `json:"pushed"`
	Mounted    int64 `json:"mounted"`
	Artifacts  int64 `json:"artifacts"`
	Repository int64 `json:"repository"`
}

// Changed tells whether the rebuild made another image.
func (r *Result) Changed() bool { return r.Image.Digest != r.Source.Digest }

func (s *Session) bytes() Bytes {
	images, packages := s.images.Traffic(), s.packages.Bytes()
	return Bytes{
		Pulled: images.Pulled, Pushed: images.Pushed, Mounted: images.Mounted,
		Artifacts: packages.Artifacts, Repository: packages.Repository,
	}
}

// Plans are what the platforms' plans came to.
func (r *Result) Plans() []*plan.Plan {
	plans := make([]*plan.Plan, 0, len(r.Platforms))
	for i := range r.Platforms {
		plans = append(plans, r.Platforms[i].plan(r.Source.Ref))
	}
	return plans
}

// plan is as much of the plan as the result tells.
func (p *PlatformResult) plan(ref string) *plan.Plan {
	out := &plan.Plan{
		APIVersion: plan.APIVersion, Kind: "Plan", Image: plan.Image{Ref: ref, Digest: p.OldDigest, Platform: p.Platform}, Distro: p.Distro,
		Updates: p.Updates, Held: p.Held, Unmanaged: p.Unmanaged, EOL: p.EOL, Overridden: p.Overridden, KeptFiles: p.KeptFiles,
		Repositories: p.Repositories,
	}
	for _, l := range p.Layers {
		out.Layers = append(out.Layers, plan.Layer{Index: l.Index, Digest: l.OldDigest, Size: l.OldSize, CreatedBy: l.CreatedBy, Action: l.Action})
	}
	return out
}
