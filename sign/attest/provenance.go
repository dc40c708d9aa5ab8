package attest

import (
	"encoding/json"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// BuildTypeRebuild is the build type of an image that nanopatch rebuilt: a source image whose packages were
// updated in the layers that hold them.
const BuildTypeRebuild = "https://nanopatch.dev/rebuild/v1"

// Names by which a provenance tells its resources apart.
const (
	// NameSource is the resolved dependency that is the source image.
	NameSource = "source"
	// NamePlan is the by-product that is the plan the rebuild followed.
	NamePlan = "plan"
)

// Provenance says how an image was built and from what: SLSA provenance v1 without its time stamps, which
// would make two runs of the same build say different things.
type Provenance struct {
	// BuilderID is the URI of who ran the build.
	BuilderID string
	// BuilderVersion maps the builder's parts to their versions: "nanopatch": "1.2.0".
	BuilderVersion map[string]string
	// BuildType is the URI that says how to read the parameters: BuildTypeRebuild.
	BuildType string
	// ExternalParameters is a JSON object: what the user asked for. It must not be empty.
	ExternalParameters json.RawMessage
	// ResolvedDependencies is everything the build read, in the order given: the source image, artifacts.
	ResolvedDependencies []Resource
	// Byproducts is what the build made besides the image: the plan.
	Byproducts []Resource
}

// Resource is an in-toto resource descriptor. At least one of name, URI and digest is set.
type Resource struct {
	Name string `json:"name,omitempty"`
	URI  string `json:"uri,omitempty"`
	// Digest maps an algorithm to a hexadecimal digest.
	Digest           map[string]string `json:"digest,omitempty"`
	MediaType        string            `json:"mediaType,omitempty"`
	DownloadLocation string            `json:"downloadLocation,omitempty"`
	Annotations      map[string]any    `json:"annotations,omitempty"`
}

// Digest is the digest set of one hash, as a Resource and a Subject want it.
func Digest(h v1.Hash) map[string]string { return map[string]string{h.Algorithm: h.Hex} }

// Source returns the source image among the resolved dependencies.
func (p Provenance) Source() (Resource, bool) { return named(p.ResolvedDependencies, NameSource) }

// Dependency returns the resolved dependency of a name.
func (p Provenance) Dependency(name string) (Resource, bool) {
	return named(p.ResolvedDependencies, name)
}

// Plan returns the plan among the by-products.
func (p Provenance) Plan() (Resource, bool) { return named(p.Byproducts, NamePlan) }

func named(list []Resource, name string) (Resource, bool) {
	i := slices.IndexFunc(list, func(r Resource) bool { return r.Name == name })
	if i < 0 {
		return Resource{}, false
	}
	return list[i], true
}

// provenance is the wire form.
type provenance struct {
	BuildDefinition struct {
		BuildType            string          `json:"buildType"`
		ExternalParameters   json.RawMessage `json:"externalParameters"`
		ResolvedDependencies []Resource      `json:"resolvedDependencies,omitempty"`
	} `json:"buildDefinition"`
	RunDetails struct {
		Builder struct {
			ID      string            `json:"id"`
			Version map[string]string `json:"version,omitempty"`
		} `json:"builder"`
		Byproducts []Resource `json:"byproducts,omitempty"`
	} `json:"runDetails"`
}

// NewProvenance makes the statement that the image was built as p says. It returns ErrInvalid if p lacks a
// field that SLSA requires.
func NewProvenance(image v1.Hash, p Provenance) (Statement, error) {
	if err := p.validate(); err != nil {
		return Statement{}, err
	}
	if parameters, err := object(p.ExternalParameters); err != nil || len(parameters) == 0 {
		return Statement{}, fmt.Errorf("%w: provenance without external parameters", ErrInvalid)
	}
	var w provenance
	w.BuildDefinition.BuildType = p.BuildType
	w.BuildDefinition.ExternalParameters = p.ExternalParameters
	w.BuildDefinition.ResolvedDependencies = p.ResolvedDependencies
	w.RunDetails.Builder.ID = p.BuilderID
	w.RunDetails.Builder.Version = p.BuilderVersion
	w.RunDetails.Byproducts = p.Byproducts
	predicate, err := encode(w)
	if err != nil {
		return Statement{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return New(image, PredicateProvenance, predicate)
}

// ParseProvenance reads the predicate of a provenance statement. Fields that Provenance does not have are
// ignored.
func ParseProvenance(st Statement) (Provenance, error) {
	if st.PredicateType != PredicateProvenance {
		return Provenance{}, fmt.Errorf("%w: predicate type %.80q is not provenance", ErrInvalid, st.PredicateType)
	}
	var w provenance
	if err := json.Unmarshal(st.Predicate, &w); err != nil {
		return Provenance{}, fmt.Errorf("%w: provenance: %w", ErrInvalid, err)
	}
	p := Provenance{
		BuilderID:            w.RunDetails.Builder.ID,
		BuilderVersion:       w.RunDetails.Builder.Version,
		BuildType:            w.BuildDefinition.BuildType,
		ExternalParameters:   w.BuildDefinition.ExternalParameters,
		ResolvedDependencies: w.BuildDefinition.ResolvedDependencies,
		Byproducts:           w.RunDetails.Byproducts,
	}
	return p, p.validate()
}

func (p Provenance) validate() error {
	switch {
	case p.BuilderID == "":
		return fmt.Errorf("%w: provenance without a builder id", ErrInvalid)
	case p.BuildType == "":
		return fmt.Errorf("%w: provenance without a build type", ErrInvalid)
	case !isObject(p.ExternalParameters):
		return fmt.Errorf("%w: provenance whose external parameters are not a JSON object", ErrInvalid)
	}
	for _, r := range slices.Concat(p.ResolvedDependencies, p.Byproducts) {
		if r.Name == "" && r.URI == "" && len(r.Digest) == 0 {
			return fmt.Errorf("%w: provenance with a resource that has neither name, URI nor digest", ErrInvalid)
		}
	}
	return nil
}
