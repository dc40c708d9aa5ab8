package cli

import (
	"context"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/pipeline"
	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/render"
	"github.com/nanopatch/nanopatch/sbom/diff"
	"github.com/nanopatch/nanopatch/sbom/generate"
	"github.com/nanopatch/nanopatch/sbom/report"
)

type diffOptions struct {
	*globalOptions
	advisories []string
	failOn     failOn
}

func newDiffCmd(g *globalOptions) *cobra.Command {
	o := &diffOptions{globalOptions: g}
	cmd := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Compare the packages of two images or SBOM files",
		Long: `Compare the packages of two images or SBOM files, in any combination. A file that exists is read
as an SBOM (SPDX, CycloneDX or syft JSON); anything else is an image.

` + ExitHelp,
		Example: `  nanopatch diff registry.example/base:12 registry.example/base:12-patched
  nanopatch diff old.spdx.json oci:image:new -o markdown -o html=diff.html --fail-on downgraded`,
		Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, a []string) error { return o.run(cmd.Context(), a[0], a[1]) },
	}
	registerAdvisories(cmd.Flags(), &o.advisories)
	cmd.Flags().StringSliceVar((*[]string)(&o.failOn), "fail-on", nil, failOnHelp(diffKinds))
	return cmd
}

func (o *diffOptions) run(ctx context.Context, older, newer string) error {
	outs, err := parseOutputs(o.outputs, "table", "json", "markdown", "html")
	if err != nil {
		return err
	}
	if err := o.failOn.check(diffKinds...); err != nil {
		return err
	}
	var d *diff.Diff
	var before, after *generate.Document
	err = o.during(func(s *pipeline.Session) error {
		var err error
		if before, err = o.anyDocument(ctx, s, older); err != nil {
			return err
		}
		if after, err = o.anyDocument(ctx, s, newer); err != nil {
			return err
		}
		d = pipeline.Compare(before, after)
		return s.Advise(ctx, d, after, o.advisories)
	})
	if err != nil {
		return err
	}
	err = write(o.env, outs, map[string]printer{
		"table":    func(w io.Writer) error { return report.DiffTable(w, d, o.colour(o.env.Stdout)) },
		"markdown": func(w io.Writer) error { return report.DiffMarkdown(w, d) },
		"json":     func(w io.Writer) error { return report.DiffJSON(w, d) },
		"html":     func(w io.Writer) error { return render.DiffHTML(w, d, before.Layers, after.Layers, o.reportRun()) },
	})
	if err != nil {
		return err
	}
	return o.failOn.found(nil, d)
}

// anyDocument reads an SBOM file, or makes the SBOM of an image.
func (g *globalOptions) anyDocument(ctx context.Context, s *pipeline.Session, name string) (*generate.Document, error) {
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() {
		return g.imageDocument(ctx, s, name, generate.Squashed)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, usagef("%w", err)
	}
	defer f.Close()
	return generate.Read(f, name)
}
