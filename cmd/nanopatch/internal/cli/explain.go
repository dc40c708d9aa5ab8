package cli

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/pipeline"
	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/render"
	"github.com/nanopatch/nanopatch/rebuild"
	"github.com/nanopatch/nanopatch/rebuild/plan"
)

func newExplainCmd(g *globalOptions) *cobra.Command {
	return &cobra.Command{
		Use:   "explain IMAGE PACKAGE|PATH",
		Short: "Show which layer a package or path comes from, and what shadows it",
		Long: `Show which layer a package or path comes from, by which instruction, and what lower layers
hold of it. What starts with a slash is a path. A package is one of the image's package manager,
or a module of npm, Python, Go or Java that the image's SBOM knows: NAME, or TYPE/NAME as in package URLs.

` + ExitHelp,
		Example: `  nanopatch explain registry.example/base:12 openssl
  nanopatch explain oci:image:latest npm/lodash
  nanopatch explain oci:image:latest /etc/nginx/nginx.conf`,
		Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, a []string) error { return g.explain(cmd.Context(), a[0], a[1]) },
	}
}

func (g *globalOptions) explain(ctx context.Context, source, what string) error {
	outs, err := parseOutputs(g.outputs, "table", "json", "markdown")
	if err != nil {
		return err
	}
	var x *rebuild.Explanation
	err = g.during(func(s *pipeline.Session) error {
		img, err := g.oneImage(ctx, s, source)
		if err != nil {
			return err
		}
		x, err = s.Explain(ctx, source, img.Image, what)
		return err
	})
	if err != nil {
		return err
	}
	return write(g.env, outs, explainPrinters(x, g.colour(g.env.Stdout)))
}

func explainPrinters(x *rebuild.Explanation, colour bool) map[string]printer {
	return map[string]printer{
		"table":    func(w io.Writer) error { return render.ExplanationTable(w, x, colour) },
		"markdown": func(w io.Writer) error { return render.ExplanationMarkdown(w, x) },
		"json":     func(w io.Writer) error { return plan.WriteJSON(w, x) },
	}
}
