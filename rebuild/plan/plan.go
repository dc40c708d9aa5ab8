package plan

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/rebuild/advisory"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
)

// APIVersion is the version of every JSON document of this package.
const APIVersion = "nanopatch/v1"

// Plan says what a rebuild would change in one image, per layer, and what it would not and why.
// It is the JSON document of `nanopatch plan -o json`; times are RFC 3339, sizes are bytes.
type Plan struct {
	APIVersion string      `json:"apiVersion"`
	Kind       string      `json:"kind"`
	Image      Image       `json:"image"`
	Distro     Distro      `json:"distro"`
	Updates    []Update    `json:"updates"`
	Held       []Hold      `json:"held"`
	Unmanaged  []Unmanaged `json:"unmanaged"`
	// EOL is the day on which the distribution's support of the release ended, nil while it is supported.
	EOL        *Date      `json:"eol"`
	Overridden []Override `json:"overridden"`
	// KeptFiles are changed configuration files that keep the administrator's content.
	KeptFiles []KeptFile `json:"keptFiles"`
	// WrittenFiles are files of updated packages that the packages' own scripts write anew when they are configured.
	WrittenFiles []WrittenFile `json:"writtenFiles,omitempty"`
	Layers       []Layer       `json:"layers"`
	Repositories []Repository  `json:"repositories"`
	// Choices are the editing rules' choices that are not the default.
	Choices Choices `json:"choices"`
}

// Date is a day; its JSON is "2026-11-23" (RFC 3339, full-date).
type Date struct{ time.Time }

// MarshalJSON implements json.Marshaler.
func (d Date) MarshalJSON() ([]byte, error) { return []byte(`"` + d.Format(time.DateOnly) + `"`), nil }

// UnmarshalJSON implements json.Unmarshaler.
func (d *Date) UnmarshalJSON(b []byte) error {
	t, err := time.Parse(`"`+time.DateOnly+`"`, string(b))
	d.Time = t
	return err
}

// Image names the image that a plan is for.
type Image struct {
	Ref      string  `json:"ref"`
	Digest   v1.Hash `json:"digest"`
	Platform string  `json:"platform"`
}

// Distro is the image's distribution as its os-release names it.
type Distro struct {
	ID        string `json:"id"`
	VersionID string `json:"versionId"`
	// Codename is the release's name ("bookworm"), where it has one.
	Codename string `json:"codename,omitempty"`
}

// Update is one package that the rebuild brings to a newer version.
type Update struct {
	Name string `json:"name"`
	Type string `json:"type"`
	Arch string `json:"arch"`
	// ToArch is the new version's architecture, where it is another ("all" became "amd64").
	ToArch string `json:"toArch,omitempty"`
	Source string `json:"source"`
	From   string `json:"from"`
	To     string `json:"to"`
	// Level is how far the policy counts the update; NumberLevel is what the version numbers alone say.
	Level       string `json:"level"`
	NumberLevel string `json:"numberLevel"`
	Security    bool   `json:"security"`
	// CVEs are those that the update fixes, as the advisories say; never guessed.
	CVEs []string `json:"cves"`
	// Advisories are what each source says of the update. A package of which none knows has none; that is not to say that
	// nothing was fixed.
	Advisories []advisory.Statement `json:"advisories"`
	// Layer is the index of the package's home layer, 0 is the lowest.
	Layer    int      `json:"layer"`
	PURL     string   `json:"purl"`
	Artifact Artifact `json:"artifact"`
}

// Key names the updated package in its database.
func (u *Update) Key() ecosystem.Key { return ecosystem.Key{Name: u.Name, Arch: u.Arch} }

// NewArch is the architecture of the new version.
func (u *Update) NewArch() string { return cmp.Or(u.ToArch, u.Arch) }

// SetAdvisories records what is said of the update.
func (u *Update) SetAdvisories(s []advisory.Statement) {
	u.Advisories, u.CVEs = append([]advisory.Statement{}, s...), advisory.CVEs(s)
}

// Artifact is the package file that an update installs.
type Artifact struct {
	URL    string `json:"url"`
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
	// Date is when the package was built.
	Date time.Time `json:"date"`
}

// Hold is a newer version that is not taken, and why.
type Hold struct {
	Name      string           `json:"name"`
	Type      string           `json:"type"`
	Arch      string           `json:"arch"`
	From      string           `json:"from"`
	Candidate string           `json:"candidate"`
	Security  bool             `json:"security"`
	Reason    ecosystem.Reason `json:"reason"`
	Detail    string           `json:"detail"`
}

// Unmanaged is an installed package that no configured repository serves.
type Unmanaged struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	Arch    string `json:"arch"`
	Version string `json:"version"`
	Why     string `json:"why"`
}

// Override is a path of an updated package that a layer above its home layer replaced: the author's copy stays.
type Override struct {
	Path    string `json:"path"`
	Package string `json:"package"`
	Layer   int    `json:"layer"`
}

// KeptFile is a configuration file whose local changes an update leaves alone.
type KeptFile struct {
	Path    string `json:"path"`
	Package string `json:"package"`
}

// WrittenFile is a file that a package ships and a script has other content for.
type WrittenFile struct {
	Path    string `json:"path"`
	Package string `json:"package"`
	// SHA256 is that of the content in the layer where the package is at home, in hexadecimal.
	SHA256 string `json:"sha256"`
}

// Action is what happens to a layer.
type Action string

// The actions on a layer.
const (
	Keep    Action = "keep"
	Rewrite Action = "rewrite"
)

// Layer is one layer of the source image and what happens to it.
type Layer struct {
	Index     int     `json:"index"`
	Digest    v1.Hash `json:"digest"`
	DiffID    v1.Hash `json:"diffId"`
	Size      int64   `json:"size"`
	CreatedBy string  `json:"createdBy"`
	Action    Action  `json:"action"`
	// Because names the updates ("openssl 3.0.17-1 → 3.0.19-1") for which the layer is rewritten.
	Because []string `json:"because"`
}

// Repository is a verified repository index that the plan was made from.
type Repository struct {
	URI       string    `json:"uri"`
	Suite     string    `json:"suite"`
	Component string    `json:"component"`
	Digest    string    `json:"digest"`
	Signer    string    `json:"signer"`
	Date      time.Time `json:"date"`
}

// Empty tells whether the plan changes nothing.
func (p *Plan) Empty() bool { return len(p.Updates) == 0 }

// Rewritten counts the layers that the plan rewrites.
func (p *Plan) Rewritten() int {
	n := 0
	for _, l := range p.Layers {
		if l.Action == Rewrite {
			n++
		}
	}
	return n
}

// Digest names the change that the plan makes: a SHA-256 over the source's digest and, for each update, what is
// replaced by which artifact; with the editing rules' choices, where they are not the default. Where the artifacts came
// from, what is held, and the day of the run are not in it: the same change has the same digest from any mirror on any
// day.
func (p *Plan) Digest() (v1.Hash, error) {
	type change struct {
		Type, Name, Arch, From, To, SHA256 string
		Layer                              int
		ToArch                             string `json:",omitempty"`
	}
	doc := struct {
		Source  string
		Updates []change
		Choices Choices `json:",omitzero"`
	}{Source: p.Image.Digest.String(), Updates: make([]change, 0, len(p.Updates)), Choices: p.Choices}
	for _, u := range p.Updates {
		doc.Updates = append(doc.Updates, change{u.Type, u.Name, u.Arch, u.From, u.To, u.Artifact.SHA256, u.Layer, u.ToArch})
	}
	b, err := json.Marshal(doc)
	if err != nil {
		return v1.Hash{}, fmt.Errorf("encoding the plan: %w", err)
	}
	h, _, err := v1.SHA256(bytes.NewReader(b))
	return h, err
}

// List is the plans of an index, one for each platform.
type List struct {
	APIVersion string  `json:"apiVersion"`
	Kind       string  `json:"kind"`
	Items      []*Plan `json:"items"`
}

// NewList wraps the plans of an index's platforms.
func NewList(plans []*Plan) *List {
	return &List{APIVersion: APIVersion, Kind: "PlanList", Items: plans}
}

// WriteJSON writes a document of this package, indented, with a final newline.
func WriteJSON(w io.Writer, document any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(document)
}
