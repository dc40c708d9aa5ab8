package cli

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/pipeline"
	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/render"
	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/sign/cosign"
)

type verifyOptions struct {
	*globalOptions
	key     string
	require []string
}

func newVerifyCmd(g *globalOptions) *cobra.Command {
	o := &verifyOptions{globalOptions: g}
	cmd := &cobra.Command{
		Use:   "verify IMAGE",
		Short: "Verify an image's signature and attestations",
		Long: `Verify that an image carries a valid signature by a key, and what else the same key says of it:
who signed what, made from what. An attestation alone is not a signature. One failed check
fails the whole; without a key nothing passes.

` + ExitHelp,
		Example: `  nanopatch verify registry.example/base:12-patched --key cosign.pub
  nanopatch verify oci:image:new --key cosign.pub --require https://spdx.dev/Document`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error { return o.run(cmd.Context(), a[0]) },
	}
	cmd.Flags().StringVar(&o.key, "key", "", "public key file to verify with")
	cmd.Flags().StringSliceVar(&o.require, "require", nil, "predicate type that every image must carry an attestation of (repeatable)")
	return cmd
}

func (o *verifyOptions) run(ctx context.Context, name string) error {
	outs, err := parseOutputs(o.outputs, "table", "json", "markdown")
	if err != nil {
		return err
	}
	ref, err := image.Parse(name)
	if err != nil {
		return err
	}
	platforms, err := image.ParsePlatforms(o.platforms)
	if err != nil {
		return err
	}
	if o.key == "" {
		return usagef("whom do you trust? give --key FILE with the public key")
	}
	key, err := cosign.LoadVerifier(o.key)
	if err != nil {
		return usagef("--key: %w", err)
	}
	var v *pipeline.Verification
	err = o.during(func(s *pipeline.Session) error {
		v, err = s.Verify(ctx, ref, platforms, key, o.require)
		return err
	})
	if v == nil {
		return err
	}
	if printing := write(o.env, outs, verifyPrinters(v, o.colour(o.env.Stdout))); printing != nil {
		return printing
	}
	return err
}

func verifyPrinters(v *pipeline.Verification, colour bool) map[string]printer {
	return map[string]printer{
		"table":    func(w io.Writer) error { return render.VerificationTable(w, v, colour) },
		"markdown": func(w io.Writer) error { return render.VerificationMarkdown(w, v) },
		"json":     func(w io.Writer) error { return plan.WriteJSON(w, v) },
	}
}
