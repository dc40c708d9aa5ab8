package cli

import (
	"context"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/pipeline"
	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/sbom/generate"
	"github.com/nanopatch/nanopatch/sbom/report"
)

func newSBOMCmd(g *globalOptions) *cobra.Command {
	scope, trust := string(generate.Squashed), trustOptions{}
	cmd := &cobra.Command{
		Use:   "sbom IMAGE",
		Short: "Make the SBOM of an image, every package with the layer it lives in",
		Long: `Make the SBOM of an image, every package with the layer it lives in. The same image gives
the same document, byte for byte. Of an index, choose one platform.

--scope squashed lists what a container of the image sees; all-layers lists what any layer holds, packages that a
layer above removed or replaced among them.

With --key or --identity, an SBOM that this signer attached to the image is used as it is if it
verifies and is of that very digest; else one is made.

` + ExitHelp,
		Example: `  nanopatch sbom registry.example/base:12
  nanopatch sbom oci:image:latest -o spdx-json=sbom.spdx.json -o table`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			return g.sbom(cmd.Context(), a[0], generate.Scope(scope), &trust)
		},
	}
	cmd.Flags().StringVar(&scope, "scope", scope, "what to list: squashed or all-layers")
	trust.register(cmd.Flags())
	return cmd
}

func (g *globalOptions) sbom(ctx context.Context, source string, scope generate.Scope, trust *trustOptions) error {
	if !slices.Contains(generate.Scopes(), scope) {
		return usagef("--scope %s: it is squashed or all-layers", scope)
	}
	formats := []string{"table", "json", "markdown"}
	for _, f := range generate.Formats() {
		formats = append(formats, string(f))
	}
	outs, err := parseOutputs(g.outputs, formats...)
	if err != nil {
		return err
	}
	var doc *generate.Document
	err = g.during(func(s *pipeline.Session) error {
		if trust.given() {
			doc, err = g.attachedDocument(ctx, s, source, scope, trust)
		}
		if doc == nil && err == nil {
			doc, err = g.imageDocument(ctx, s, source, scope)
		}
		return err
	})
	if err != nil {
		return err
	}
	return write(g.env, outs, sbomPrinters(doc, g.colour(g.env.Stdout)))
}

// imageDocument makes the SBOM of the one image that a name and --platform choose.
func (g *globalOptions) imageDocument(
	ctx context.Context, s *pipeline.Session, source string, scope generate.Scope,
) (*generate.Document, error) {
	img, err := g.oneImage(ctx, s, source)
	if err != nil {
		return nil, err
	}
	return s.Document(ctx, source, img.Image, scope)
}

// attachedDocument is the SBOM that the signer attached to the image; nil where there is none.
func (g *globalOptions) attachedDocument(
	ctx context.Context, s *pipeline.Session, source string, scope generate.Scope, trust *trustOptions,
) (*generate.Document, error) {
	if scope != generate.Squashed {
		return nil, usagef("an attached SBOM lists what a container sees: whom to trust goes with --scope %s", generate.Squashed)
	}
	verifier, err := trust.verifier(ctx, false)
	if err != nil {
		return nil, err
	}
	ref, err := image.Parse(source)
	if err != nil {
		return nil, err
	}
	img, err := g.oneImage(ctx, s, source)
	if err != nil {
		return nil, err
	}
	return s.Attached(ctx, ref, img.Descriptor.Digest, verifier)
}

// oneImage opens the one image that a name and --platform choose.
func (g *globalOptions) oneImage(ctx context.Context, s *pipeline.Session, source string) (*image.PlatformImage, error) {
	ref, err := image.Parse(source)
	if err != nil {
		return nil, err
	}
	platforms, err := image.ParsePlatforms(g.platforms)
	if err != nil {
		return nil, err
	}
	src, err := s.OpenImage(ctx, ref, platforms)
	if err != nil {
		return nil, err
	}
	if len(src.Images) != 1 {
		names := ""
		for _, pi := range src.Images {
			names += " " + pi.Platform.String()
		}
		return nil, usagef("%s is for several platforms; choose one with --platform:%s", source, names)
	}
	return &src.Images[0], nil
}

func sbomPrinters(doc *generate.Document, colour bool) map[string]printer {
	printers := map[string]printer{
		"table":    func(w io.Writer) error { return report.SBOMTable(w, doc.Image, doc.Packages, colour) },
		"markdown": func(w io.Writer) error { return report.SBOMMarkdown(w, doc.Image, doc.Packages) },
		"json":     func(w io.Writer) error { return report.SBOMJSON(w, doc.Image, doc.Packages) },
	}
	for _, f := range generate.Formats() {
		printers[string(f)] = func(w io.Writer) error { return doc.Encode(w, f) }
	}
	return printers
}
