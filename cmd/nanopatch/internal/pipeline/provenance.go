package pipeline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/rebuild/policy"
	"github.com/nanopatch/nanopatch/sign/attest"
	"github.com/nanopatch/nanopatch/sign/cosign"
)

// builderID names nanopatch as the builder where nothing more is known of who ran it.
const builderID = "https://nanopatch.dev/builder/v1"

// annotationRef is the annotation of a source in a provenance that holds its name as the user wrote it.
const annotationRef = "ref"

// parameters is what a rebuild was asked for, in its provenance: the lockfile, from which anybody can repeat it, and what the
// lock's updates were chosen by.
type parameters struct {
	Lock *plan.Lock `json:"lock"`
	// Rules are what the updates were chosen by; a lockfile chose them where Locked is set.
	Rules  *parameterRules `json:"rules,omitempty"`
	Locked bool            `json:"locked,omitempty"`
}

type parameterRules struct {
	Level        string               `json:"level"`
	LevelBy      policy.LevelBy       `json:"levelBy,omitempty"`
	Only         []string             `json:"only,omitempty"`
	Hold         []string             `json:"hold,omitempty"`
	Packages     []parameterException `json:"packages,omitempty"`
	SecurityOnly bool                 `json:"securityOnly,omitempty"`
	MinAge       string               `json:"minAge,omitempty"`
	Phased       policy.Phased        `json:"phased,omitempty"`
	// Repositories replaced those of the image.
	Repositories []string `json:"repositories,omitempty"`
}

type parameterException struct {
	Match  string `json:"match"`
	Level  string `json:"level,omitempty"`
	MinAge string `json:"minAge,omitempty"`
}

func (u *Updates) parameters() *parameterRules {
	if u.Locked != nil {
		return nil
	}
	r := u.Rules
	out := &parameterRules{
		Level: r.Level.String(), LevelBy: r.LevelBy, Only: r.Only, SecurityOnly: r.SecurityOnly, MinAge: age(r.MinAge),
		Phased: r.Phased,
	}
	for _, repository := range u.Repositories {
		out.Repositories = append(out.Repositories, anonymous(repository))
	}
	for _, h := range r.Hold {
		out.Hold = append(out.Hold, h.Glob)
	}
	for _, p := range r.Packages {
		x := parameterException{Match: p.Glob, MinAge: age(p.MinAge)}
		if p.Level != 0 {
			x.Level = p.Level.String()
		}
		out.Packages = append(out.Packages, x)
	}
	return out
}

func age(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

// provenance says from what an image, or an index of several, was made.
func (s *Session) provenance(digest v1.Hash, planned *Planned, platforms ...*rebuilt) (attest.Statement, error) {
	source := planned.Source
	asked := parameters{
		Lock: public(planned.Lock(s.cfg.Version)), Rules: planned.updates.parameters(), Locked: planned.updates.Locked != nil,
	}
	p := attest.Provenance{
		BuilderID: s.builder(), BuilderVersion: map[string]string{"nanopatch": s.cfg.Version}, BuildType: attest.BuildTypeRebuild,
		ResolvedDependencies: []attest.Resource{{
			Name: attest.NameSource, URI: uri(source.Ref, source.Descriptor.Digest), Digest: attest.Digest(source.Descriptor.Digest),
			Annotations: map[string]any{annotationRef: source.Ref.String()},
		}},
	}
	seen := make(map[string]bool)
	add := func(r attest.Resource) {
		if key := r.Name + " " + r.URI + " " + r.Digest["sha256"]; !seen[key] {
			seen[key] = true
			p.ResolvedDependencies = append(p.ResolvedDependencies, r)
		}
	}
	for _, b := range platforms {
		made := b.job.Plan
		products, err := byproducts(b, len(platforms) > 1)
		if err != nil {
			return attest.Statement{}, err
		}
		p.Byproducts = append(p.Byproducts, products...)
		if source.Index != nil {
			add(attest.Resource{Name: attest.NameSource + " " + made.Image.Platform, Digest: attest.Digest(made.Image.Digest)})
		}
		for _, u := range made.Updates {
			add(artifact(u))
		}
		if !asked.Locked { // a lockfile's are hearsay
			for _, r := range made.Repositories {
				add(repository(r))
			}
		}
	}
	var err error
	if p.ExternalParameters, err = json.Marshal(asked); err != nil {
		return attest.Statement{}, fmt.Errorf("encoding the provenance: %w", err)
	}
	return attest.NewProvenance(digest, p)
}

// annotationReplaces is the annotation of a rewritten layer in a provenance that holds the digest it had in the source.
const annotationReplaces = "replaces"

// byproducts are the plan that one platform's rebuild followed and the layers that it rewrote.
func byproducts(b *rebuilt, several bool) ([]attest.Resource, error) {
	digest, err := b.job.Plan.Digest()
	if err != nil {
		return nil, err
	}
	suffix := ""
	if several {
		suffix = " " + b.job.Plan.Image.Platform
	}
	products := []attest.Resource{{Name: attest.NamePlan + suffix, Digest: attest.Digest(digest)}}
	for _, l := range b.applied.Layers {
		if l.OldDigest != l.NewDigest {
			products = append(products, attest.Resource{
				Name: fmt.Sprintf("layer %d%s", l.Index, suffix), Digest: attest.Digest(l.NewDigest),
				Annotations: map[string]any{annotationReplaces: l.OldDigest.String()},
			})
		}
	}
	return products, nil
}

// Lock is the lockfile of what is planned.
func (p *Planned) Lock(version string) *plan.Lock {
	lock := plan.NewLock(version, p.Source.Descriptor.Digest)
	for _, made := range p.Plans() {
		lock.Add(made)
	}
	return lock
}

// builder is who runs the rebuild: the CI job where one is known, else nanopatch itself.
func (s *Session) builder() string {
	if s.cfg.BuilderID != "" {
		return s.cfg.BuilderID
	}
	return builderID
}

func artifact(u plan.Update) attest.Resource {
	return attest.Resource{
		Name: u.PURL, DownloadLocation: anonymous(u.Artifact.URL), Digest: map[string]string{"sha256": u.Artifact.SHA256},
	}
}

// repository is a verified repository index, by the digest of its signed file.
func repository(r plan.Repository) attest.Resource {
	return attest.Resource{
		Name: "repository", URI: anonymous(r.URI), Digest: map[string]string{"sha256": strings.TrimPrefix(r.Digest, "sha256:")},
		Annotations: map[string]any{"suite": r.Suite, "component": r.Component, "signer": r.Signer},
	}
}

// uri names an image's content: the package URL of one in a registry (purl type oci), any other by its reference.
func uri(ref image.Ref, digest v1.Hash) string {
	if ref.Transport != image.Registry {
		return ref.String()
	}
	q := url.Values{"repository_url": {ref.Repository}}
	if ref.Tag != "" {
		q.Set("tag", ref.Tag)
	}
	return "pkg:oci/" + url.PathEscape(path.Base(ref.Repository)) + "@" + url.QueryEscape(digest.String()) + "?" + q.Encode()
}

// tells tells whether a report holds a provenance of the same lineage as st: the same source by the same plans. What
// the repositories looked like on the day is not worth a new one every night.
func tells(r *cosign.Report, st attest.Statement) bool {
	lineage := func(st attest.Statement) string {
		p, err := attest.ParseProvenance(st)
		if err != nil {
			return ""
		}
		source, _ := p.Source()
		parts := []string{p.BuildType, source.Digest["sha256"]}
		for _, b := range p.Byproducts {
			parts = append(parts, b.Name+" "+b.Digest["sha256"])
		}
		if _, err := lockOf(p); err != nil {
			parts = append(parts, err.Error()) // it cannot be reproduced from
		}
		return strings.Join(parts, "\n")
	}
	want := lineage(st)
	return slices.ContainsFunc(r.Statements(attest.PredicateProvenance), func(old attest.Statement) bool { return lineage(old) == want })
}

// lockOf is the lockfile in a provenance.
func lockOf(p attest.Provenance) (*plan.Lock, error) {
	var in struct {
		Lock json.RawMessage `json:"lock"`
	}
	if err := json.Unmarshal(p.ExternalParameters, &in); err != nil {
		return nil, fmt.Errorf("%w: %w", plan.ErrLock, err)
	}
	if len(in.Lock) == 0 {
		return nil, fmt.Errorf("%w: the provenance has none", plan.ErrLock)
	}
	return plan.ReadLock(bytes.NewReader(in.Lock))
}

// public is a lockfile without the credentials that its URLs may hold: provenance is for everyone.
func public(l *plan.Lock) *plan.Lock {
	out := *l
	out.Platforms = slices.Clone(l.Platforms)
	for i := range out.Platforms {
		p := &out.Platforms[i]
		p.Updates, p.Repositories = slices.Clone(p.Updates), slices.Clone(p.Repositories)
		for j := range p.Updates {
			p.Updates[j].Artifact.URL = anonymous(p.Updates[j].Artifact.URL)
		}
		for j := range p.Repositories {
			p.Repositories[j].URI = anonymous(p.Repositories[j].URI)
		}
	}
	return &out
}

// anonymous is a URL without user and password. What is no URL cannot be told apart from a secret.
func anonymous(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	u.User = nil
	return u.String()
}
