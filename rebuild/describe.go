package rebuild

import (
	"cmp"
	"context"
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
func (l *loop) describe(ctx context.Context, d *policy.Decision) error {
	p := l.job.Plan
	p.Updates = make([]plan.Update, 0, len(d.Updates))
	for _, u := range d.Updates {
		p.Updates = append(p.Updates, l.update(u))
	}
	if err := l.advise(ctx, d.Updates); err != nil {
		return err
	}
	p.Held = l.held(d)
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
	return l.describeEdits(d)
}

// describeWritten finds the files of updates that come out as scripts wrote them, not as their packages ship them. Any other
// difference is left for the check of files to find.
func (l *loop) describeWritten(updates []policy.Update) error {
	p := l.job.Plan
	c := newFilesCheck(l.job.edits.New, p.KeptFiles)
	for i, u := range updates {
		if err := c.add(p.Updates[i], l.backend.ecosystem, l.payloads[u.To.Artifact]); err != nil {
			return err
		}
	}
	for _, u := range c.updates {
		differing, err := c.check(u)
		if err != nil {
			return err
		}
		for _, f := range differing {
			if f.SHA256 != "" && l.job.edits.Scripted[f.Path] {
				p.WrittenFiles = append(p.WrittenFiles, f)
			}
		}
	}
	return nil
}

// held lists what is not taken: whole packages, and the versions beyond those that are.
func (l *loop) held(d *policy.Decision) []plan.Hold {
	held := make([]plan.Hold, 0, len(d.Held))
	add := func(h policy.Hold) {
		held = append(held, plan.Hold{
			Name: h.Package.Name, Arch: h.Package.Arch, Type: l.backend.ecosystem.Type(), From: h.Package.Version,
			Candidate: h.Candidate.Version, Security: h.Security, Reason: h.Reason, Detail: h.Detail,
		})
	}
	for _, h := range d.Held {
		add(h)
	}
	for _, u := range d.Updates {
		if u.Beyond != nil {
			add(*u.Beyond)
		}
	}
	slices.SortStableFunc(held, func(a, b plan.Hold) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Arch, b.Arch))
	})
	return held
}

func (l *loop) update(u policy.Update) plan.Update {
	payload, artifact := l.payloads[u.To.Artifact], l.resolved[u.To.Artifact]
	out := plan.Update{
		Name: u.From.Name, Arch: u.From.Arch, Type: l.backend.ecosystem.Type(), Source: payload.Package().Source,
		From: u.From.Version, To: u.To.Version, Level: u.Level.String(), NumberLevel: u.NumberLevel.String(),
		Security: u.Security, Layer: l.homes[u.From.Key],
		PURL: purl(l.backend.ecosystem.Type(), l.job.Plan.Distro, u.To.Package),
		Artifact: plan.Artifact{
			URL: artifact.URL, SHA256: hex.EncodeToString(artifact.SHA256[:]), Size: artifact.Size,
			Date: payload.Date().UTC(),
		},
	}
	if u.To.Arch != u.From.Arch {
		out.ToArch = u.To.Arch
	}
	return out
}

// purl is the package URL of a distribution's package (package-url/purl-spec, types deb and apk). The namespace is the
// distribution, and left out where the image does not name one.
func purl(kind string, d plan.Distro, p ecosystem.Package) string {
	q := url.Values{}
	if p.Arch != "" {
		q.Set("arch", p.Arch)
	}
	if d.ID != "" {
		q.Set("distro", strings.TrimSuffix(d.ID+"-"+d.VersionID, "-"))
	}
	path := strings.ReplaceAll(url.PathEscape(p.Name), "+", "%2B")
	if d.ID != "" {
		path = url.PathEscape(d.ID) + "/" + path
	}
	out := "pkg:" + kind + "/" + path + "@" + url.QueryEscape(p.Version)
	if len(q) > 0 {
		out += "?" + q.Encode()
	}
	return out
}

// describeEdits fills in what the edits say of layers and files.
func (l *loop) describeEdits(d *policy.Decision) error {
	p, edits := l.job.Plan, l.job.edits
	p.Overridden = append([]plan.Override{}, edits.Overridden...)
	p.KeptFiles = append([]plan.KeptFile{}, edits.KeptFiles...)
	if err := l.describeWritten(d.Updates); err != nil {
		return err
	}
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
