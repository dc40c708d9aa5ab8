package render

import (
	"fmt"
	"io"
	"time"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/pipeline"
	"github.com/nanopatch/nanopatch/rebuild/plan"
)

// ResultTable shows a rebuild's result on a terminal.
func ResultTable(w io.Writer, r *pipeline.Result, now time.Time, colour bool) error {
	return asTables(w, resultSections(r, now), colour)
}

// ResultMarkdown shows a rebuild's result in markdown.
func ResultMarkdown(w io.Writer, r *pipeline.Result, now time.Time) error {
	return asMarkdown(w, resultSections(r, now))
}

func resultSections(r *pipeline.Result, now time.Time) []section {
	line := fmt.Sprintf("%s@%s", r.Image.Ref, r.Image.Digest)
	if !r.Changed() {
		line += ": nothing to update, the image is the source itself"
	}
	all := []section{{title: line}}
	for _, p := range r.Platforms {
		if len(r.Platforms) > 1 {
			all = append(all, section{title: "\n" + p.Platform})
		}
		all = append(all, updates(p.Updates, now), held(p.Held), unmanaged(p.Unmanaged), overridden(p.Overridden, p.KeptFiles), appliedLayers(p))
		all = append(all, unsupported(p.EOL)...)
	}
	signed := section{title: "Signed", columns: []string{"statement", "of", "referrer"}}
	for _, st := range r.Signatures {
		signed.add("signature", st.Repository+"@"+short(st.Subject.Hex), st.Digest.String())
	}
	for _, st := range r.Attestations {
		signed.add(st.PredicateType, st.Repository+"@"+short(st.Subject.Hex), st.Digest.String())
	}
	moved := section{title: fmt.Sprintf("\nMoved: %s pulled, %s pushed, %s mounted, %s of packages, %s of repository indexes.",
		Size(r.Bytes.Pulled), Size(r.Bytes.Pushed), Size(r.Bytes.Mounted), Size(r.Bytes.Artifacts), Size(r.Bytes.Repository))}
	all = append(all, signed)
	for _, n := range r.Notes {
		all = append(all, section{title: "Note: " + clean(n)})
	}
	return append(all, moved)
}

func appliedLayers(p pipeline.PlatformResult) section {
	s := section{title: "Layers", fold: true, columns: []string{"layer", "action", "old digest", "new digest", "old size", "new size"}}
	for _, l := range p.Layers {
		after, size := "same", ""
		if l.Action == plan.Rewrite {
			after, size = short(l.NewDigest.Hex), Size(l.NewSize)
		}
		s.add(fmt.Sprint(l.Index), string(l.Action), short(l.OldDigest.Hex), after, Size(l.OldSize), size)
	}
	return s
}
