package render

import (
	"fmt"
	"io"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/pipeline"
)

// VerificationTable shows a verification on a terminal.
func VerificationTable(w io.Writer, v *pipeline.Verification, colour bool) error {
	return asTables(w, verificationSections(v), colour)
}

// VerificationMarkdown shows a verification in markdown.
func VerificationMarkdown(w io.Writer, v *pipeline.Verification) error {
	return asMarkdown(w, verificationSections(v))
}

func verificationSections(v *pipeline.Verification) []section {
	verdict := "verified"
	if !v.OK {
		verdict = "NOT verified"
	}
	all := []section{{title: fmt.Sprintf("%s@%s: %s", v.Image.Ref, v.Image.Digest, verdict)}}
	for _, sub := range v.Subjects {
		name := sub.Platform
		if name == "" {
			name = "index"
		}
		s := section{title: name + " " + sub.Subject.String(), columns: []string{"", "check", "detail"}}
		for _, c := range sub.Checks {
			s.add(mark(c.OK), c.Name, c.Detail)
		}
		if sub.From != nil {
			s.add("", "made from", sub.From.Source+"@"+sub.From.Digest)
			s.add("", "updates", fmt.Sprintf("%d, plan %s", sub.From.Updates, sub.From.Plan))
		}
		for _, i := range sub.Ignored {
			s.add("-", "ignored", i.Digest.String()+": "+i.Reason)
		}
		for _, n := range sub.Notes {
			s.add("-", "note", n)
		}
		all = append(all, s)
	}
	return all
}

func mark(ok bool) string {
	if ok {
		return "✓"
	}
	return "✗"
}
