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
	// Signature is nil where the image was not signed.
	Signature    *cosign.Record     `json:"signature"`
	Attestations []cosign.Record    `json:"attestations"`
	Bytes        Bytes              `json:"bytes"`
	Seconds      map[string]float64 `json:"seconds"`

	// Plans are the plans that were followed, for whoever writes the lockfile.
	Plans []*plan.Plan `json:"-"`
}

// NamedDigest is an image by name and by content.
type NamedDigest struct {
	Ref    string  `json:"ref"`
	Digest v1.Hash `json:"digest"`
}

// PlatformResult is what became of one platform's image.
type PlatformResult struct {
	Platform  string                 `json:"platform"`
	OldDigest v1.Hash                `json:"oldDigest"`
	NewDigest v1.Hash                `json:"newDigest"`
	Updates   []plan.Update          `json:"updates"`
	Held      []plan.Hold            `json:"held"`
	Unmanaged []plan.Unmanaged       `json:"unmanaged"`
	Layers    []rebuild.AppliedLayer `json:"layers"`
	Diff      *diff.Diff             `json:"diff"`
}

// Bytes counts what moved over the network, in bytes; Mounted counts blobs.
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
