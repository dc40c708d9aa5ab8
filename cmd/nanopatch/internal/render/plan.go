package render

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/nanopatch/nanopatch/rebuild/plan"
)

// PlanTable shows plans on a terminal.
func PlanTable(w io.Writer, plans []*plan.Plan, now time.Time, colour bool) error {
	return asTables(w, planSections(plans, now), colour)
}

// PlanMarkdown shows plans in markdown.
func PlanMarkdown(w io.Writer, plans []*plan.Plan, now time.Time) error {
	return asMarkdown(w, planSections(plans, now))
}

func planSections(plans []*plan.Plan, now time.Time) []section {
	var all []section
	for _, p := range plans {
		title := fmt.Sprintf("%s (%s, %s): %s", p.Image.Ref, p.Image.Platform, distro(p.Distro), summary(p))
		all = append(all, section{title: title}, updates(p.Updates, now), held(p.Held), unmanaged(p.Unmanaged), overridden(p.Overridden, p.KeptFiles), layers(p))
		all = append(all, unsupported(p.EOL)...)
	}
	return all
}

// unsupported warns of a release past its end of life.
func unsupported(eol *plan.Date) []section {
	if eol == nil {
		return nil
	}
	return []section{{title: "\nThis release has been without support since " + eol.Format(time.DateOnly) + ": it gets no more fixes."}}
}

func distro(d plan.Distro) string { return strings.TrimSpace(d.ID + " " + d.VersionID) }

func summary(p *plan.Plan) string {
	parts := []string{fmt.Sprintf("%d to update", len(p.Updates))}
	if p.Empty() {
		parts[0] = "nothing to update"
	}
	if n := len(p.Held); n > 0 {
		parts = append(parts, fmt.Sprintf("%d held", n))
	}
	if n := len(p.Unmanaged); n > 0 {
		parts = append(parts, fmt.Sprintf("%d unmanaged", n))
	}
	return strings.Join(append(parts, fmt.Sprintf("%d of %d layers to rewrite", p.Rewritten(), len(p.Layers))), ", ")
}

func updates(list []plan.Update, now time.Time) section {
	s := section{title: "Updates", columns: []string{"package", "arch", "from", "to", "level", "layer", "security", "waiting", "fixes"}}
	for _, u := range list {
		level := u.Level
		if u.NumberLevel != "" && u.NumberLevel != u.Level {
			level += " (by number " + u.NumberLevel + ")"
		}
		s.add(u.Name, u.Arch, u.From, u.To, level, fmt.Sprint(u.Layer), yes(u.Security), days(u.Artifact.Date, now), fixes(u.CVEs))
	}
	return s
}

// fixes names a single CVE and counts several.
func fixes(cves []string) string {
	switch len(cves) {
	case 0:
		return ""
	case 1:
		return cves[0]
	}
	return fmt.Sprintf("%d CVEs", len(cves))
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}

func held(list []plan.Hold) section {
	s := section{title: "Held", columns: []string{"package", "from", "candidate", "reason", "detail"}}
	for _, h := range list {
		s.add(h.Name, h.From, h.Candidate, string(h.Reason), h.Detail)
	}
	return s
}

func unmanaged(list []plan.Unmanaged) section {
	s := section{title: "Unmanaged: no configured repository serves these", columns: []string{"package", "version", "why"}}
	for _, u := range list {
		s.add(u.Name, u.Version, u.Why)
	}
	return s
}

func overridden(overrides []plan.Override, kept []plan.KeptFile) section {
	s := section{title: "Files that stay as their author left them", fold: true, columns: []string{"path", "package", "where"}}
	for _, o := range overrides {
		s.add(o.Path, o.Package, fmt.Sprintf("replaced in layer %d", o.Layer))
	}
	for _, k := range kept {
		s.add(k.Path, k.Package, "changed configuration file")
	}
	return s
}

func layers(p *plan.Plan) section {
	s := section{title: "Layers", fold: true, columns: []string{"layer", "digest", "size", "action", "created by"}}
	for _, l := range p.Layers {
		s.add(fmt.Sprint(l.Index), short(l.Digest.Hex), Size(l.Size), string(l.Action), l.CreatedBy)
	}
	return s
}

func short(hex string) string {
	if len(hex) > 12 {
		return hex[:12]
	}
	return hex
}

// Size is a number of bytes for people: "72.4 MB".
func Size(n int64) string {
	const unit = 1000
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	f, prefix := float64(n)/unit, 0
	for f >= unit && prefix < 3 {
		f /= unit
		prefix++
	}
	return fmt.Sprintf("%.1f %cB", f, "kMGT"[prefix])
}
