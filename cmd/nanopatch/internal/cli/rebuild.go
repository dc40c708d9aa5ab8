package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/pipeline"
	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/render"
	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/sign/cosign"
)

type rebuildOptions struct {
	*globalOptions
	updates updateOptions
	keys    keyOptions
	tags    []string
	dryRun  bool
}

func newRebuildCmd(g *globalOptions) *cobra.Command {
	o := &rebuildOptions{globalOptions: g}
	cmd := &cobra.Command{
		Use:   "rebuild IMAGE -t DEST",
		Short: "Update an image's packages in place, sign the result and publish it",
		Long: `Update an image's packages in the layers they live in, check that nothing else changed,
push by digest, sign, attest, read back what was written, and only then move the tags.
DEST may equal IMAGE. With nothing to update, DEST names the source itself.

` + ExitHelp,
		Example: `  nanopatch rebuild registry.example/base:12 -t registry.example/base:12-patched --key cosign.key
  nanopatch rebuild oci:image:old -t oci:image:new --no-sign -o json`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error { return o.run(cmd, a[0]) },
	}
	o.updates.register(cmd)
	o.keys.register(cmd)
	cmd.Flags().StringArrayVarP(&o.tags, "tag", "t", nil, "image name to publish the result as (repeatable)")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "only show the plan")
	return cmd
}

func (o *rebuildOptions) run(cmd *cobra.Command, source string) error {
	if o.dryRun {
		p := &planOptions{globalOptions: o.globalOptions, updates: o.updates}
		return p.run(cmd.Context(), source)
	}
	outs, err := parseOutputs(o.outputs, "table", "json", "markdown")
	if err != nil {
		return err
	}
	request, err := o.request(source)
	if err != nil {
		return err
	}
	result, err := o.rebuild(cmd.Context(), request)
	if err != nil {
		return err
	}
	if err := o.updates.writeLock(result.Source.Digest, result.Plans, request.Updates.Edits); err != nil {
		return err
	}
	if err := write(o.env, outs, resultPrinters(result, o.colour(o.env.Stdout))); err != nil {
		return err
	}
	if code := o.updates.found(result.Plans); code != exitOK {
		return &exitError{code}
	}
	return nil
}

func (o *rebuildOptions) request(source string) (pipeline.Request, error) {
	r, err := o.updates.request(o.globalOptions, source)
	if err != nil {
		return r, err
	}
	if len(o.tags) == 0 {
		return r, usagef("where should the result go? name it with -t DEST")
	}
	for _, t := range o.tags {
		ref, err := image.Parse(t)
		if err != nil {
			return r, err
		}
		r.Destinations = append(r.Destinations, ref)
	}
	r.Signer, err = o.keys.signer(o.env)
	r.Attest = !o.keys.noAttest
	return r, err
}

func (o *rebuildOptions) rebuild(ctx context.Context, r pipeline.Request) (*pipeline.Result, error) {
	s, closeSession, err := o.open()
	if err != nil {
		return nil, err
	}
	result, err := s.Rebuild(ctx, r)
	if closing := closeSession(); err == nil {
		err = closing
	}
	return result, err
}

func resultPrinters(r *pipeline.Result, colour bool) map[string]printer {
	return map[string]printer{
		"table":    func(w io.Writer) error { return render.ResultTable(w, r, colour) },
		"markdown": func(w io.Writer) error { return render.ResultMarkdown(w, r) },
		"json":     func(w io.Writer) error { return plan.WriteJSON(w, r) },
	}
}

// signer loads the key that signs, nil under --no-sign. Neither is a mistake: nobody forgets to sign unnoticed.
func (o *keyOptions) signer(env Env) (cosign.Signer, error) {
	switch {
	case o.noSign && o.key != "":
		return nil, usagef("--key and --no-sign contradict each other")
	case o.noSign:
		return nil, nil //nolint:nilnil // unsigned on purpose
	case o.key == "":
		return nil, usagef("what should sign the result? give --key FILE, or --no-sign")
	case o.signatureFormat != "bundle":
		return nil, usagef("--signature-format %s: want bundle", o.signatureFormat)
	}
	s, err := cosign.LoadSigner(o.key, password(env))
	if err != nil {
		return nil, usagef("--key: %w", err)
	}
	return s, nil
}

// password gives the key's password from the environment, where cosign looks for it too.
func password(env Env) func() ([]byte, error) {
	return func() ([]byte, error) {
		p := env.Getenv("COSIGN_PASSWORD")
		if p == "" {
			return nil, fmt.Errorf("set COSIGN_PASSWORD to the key's password")
		}
		return []byte(p), nil
	}
}
