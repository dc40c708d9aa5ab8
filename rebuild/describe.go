package rebuild

import (
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/rebuild/policy"
)

// describe writes the decision and its edits into the plan.
func (l *loop) describe(d *policy.Decision) error {
	p := l.job.Plan
	p.Distro = l.repos.Distro()
	if day, over := l.repos.EOL(); over {
		p.EOL = &day
	}
	p.Updates = make([]plan.Update, 0, len(d.Updates))
	for _, u := range d.Updates {
		p.Updates = append(p.Updates, l.update(u))
	}
	p.Held = make([]plan.Hold, 0, len(d.Held))
	for _, h := range d.Held {
		p.Held = append(p.Held, plan.Hold{
			Name: h.Package.Name, Arch: h.Package.Arch, Type: l.backend.ecosystem.Type(), From: h.Package.Version,
			Candidate: h.Candidate.Version, Security: h.Candidate.Origin != nil && h.Candidate.Origin.Security,
			Reason: h.Reason, Detail: h.Detail,
		})
	}
	p.Unmanaged = make([]plan.Unmanaged, 0, len(d.Unmanaged))
	for _, u := range d.Unmanaged {
		p.Unmanaged = append(p.Unmanaged, plan.Unmanaged{
			Name: u.Package.Name, Arch: u.Package.Arch, Type: l.backend.ecosystem.Type(), Version: u.Package.Version, Why: u.Why,
		})
	}
	p.Repositories = make([]plan.Repository, 0)
	for _, o := range l.repos.Origins() {
		p.Repositories = append(p.Repositories, plan.Repository{
			URI: o.URI, Suite: o.Suite, Component: o.Component, Digest: "sha256:" + hex.EncodeToString(o.Digest[:]),
			Signer: o.Signer, Date: o.Date,
		})
	}
	return l.describeEdits()
}

func (l *loop) update(u policy.Update) plan.Update {
	return plan.Update{
		Name: u.From.Name, Arch: u.From.Arch, Type: l.backend.ecosystem.Type(), Source: u.To.Source,
		From: u.From.Version, To: u.To.Version, Level: u.Level.String(), NumberLevel: u.NumberLevel.String(),
		Security: u.Security, CVEs: []string{}, Layer: l.homes[u.From.Key],
		PURL: purl(l.backend.ecosystem.Type(), l.repos.Distro(), u.To.Package),
		Artifact: plan.Artifact{
			URL: u.To.Artifact.URL, SHA256: hex.EncodeToString(u.To.Artifact.SHA256[:]), Size: u.To.Artifact.Size,
			Date: l.payloads[u.To.Artifact].Date().UTC(),
		},
	}
}

// purl is the package URL of a distribution's package (package-url/purl-spec, types deb and apk).
func purl(kind string, d plan.Distro, p ecosystem.Package) string {
	q := url.Values{}
	if p.Arch != "" {
		q.Set("arch", p.Arch)
	}
	if d.ID != "" {
		q.Set("distro", strings.TrimSuffix(d.ID+"-"+d.VersionID, "-"))
	}
	name := url.PathEscape(p.Name)
	return fmt.Sprintf("pkg:%s/%s/%s@%s?%s", kind, d.ID, strings.ReplaceAll(name, "+", "%2B"), url.QueryEscape(p.Version), q.Encode())
}

// describeEdits fills in what the edits say of layers and files.
func (l *loop) describeEdits() error {
	p, edits := l.job.Plan, l.job.edits
	p.Overridden = append([]plan.Override{}, edits.Overridden...)
	p.KeptFiles = append([]plan.KeptFile{}, edits.KeptFiles...)
	for i := range p.Layers {
		if len(edits.Layers[i]) == 0 {
			continue
		}
		p.Layers[i].Action = plan.Rewrite
		for _, key := range edits.Because[i] {
			k := slices.IndexFunc(p.Updates, func(u plan.Update) bool { return u.Key() == key })
			if k < 0 {
				return fmt.Errorf("layer %d is edited because of %s, which is not updated", i, key)
			}
			u := p.Updates[k]
			p.Layers[i].Because = append(p.Layers[i].Because, u.Name+" "+u.From+" → "+u.To)
		}
	}
	return nil
}
