package cli

import (
	"context"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/pipeline"
	"github.com/nanopatch/nanopatch/sbom/generate"
	"github.com/nanopatch/nanopatch/sbom/report"
)

func newDiffCmd(g *globalOptions) *cobra.Command {
	return &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Compare the packages of two images or SBOM files",
		Long: `Compare the packages of two images or SBOM files, in any combination. A file that exists is read
as an SBOM (SPDX, CycloneDX or syft JSON); anything else is an image.

` + ExitHelp,
		Example: `  nanopatch diff registry.example/base:12 registry.example/base:12-patched
  nanopatch diff old.spdx.json oci:image:new -o markdown`,
		Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, a []string) error { return g.diff(cmd.Context(), a[0], a[1]) },
	}
}

func (g *globalOptions) diff(ctx context.Context, older, newer string) error {
	outs, err := parseOutputs(g.outputs, "table", "json", "markdown")
	if err != nil {
		return err
	}
	var before, after *generate.Document
	err = g.during(func(s *pipeline.Session) error {
		if before, err = g.anyDocument(ctx, s, older); err != nil {
			return err
		}
		after, err = g.anyDocument(ctx, s, newer)
		return err
	})
	if err != nil {
		return err
	}
	d := pipeline.Compare(before, after)
	return write(g.env, outs, map[string]printer{
		"table":    func(w io.Writer) error { return report.DiffTable(w, d, g.colour(g.env.Stdout)) },
		"markdown": func(w io.Writer) error { return report.DiffMarkdown(w, d) },
		"json":     func(w io.Writer) error { return report.DiffJSON(w, d) },
	})
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
