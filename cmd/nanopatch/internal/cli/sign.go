package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/sign/cosign"
)

func newSignCmd(g *globalOptions) *cobra.Command {
	var keys keyOptions
	cmd := &cobra.Command{
		Use:   "sign IMAGE@DIGEST",
		Short: "Sign an image that is already published",
		Long: `Sign an image that is already published and, of an index, every image in it. A digest is
needed: a tag may name something else by the time it is signed. A valid signature by the
same key is not made twice.

` + ExitHelp,
		Example: `  nanopatch sign registry.example/base@sha256:… --key cosign.key`,
		Args:    args(cobra.ExactArgs(1)),
		RunE:    func(cmd *cobra.Command, a []string) error { return g.sign(cmd.Context(), a[0], &keys) },
	}
	cmd.Flags().StringVar(&keys.key, "key", "", "private key file to sign with; its password is in COSIGN_PASSWORD")
	cmd.Flags().StringVar(&keys.signatureFormat, "signature-format", "bundle", "how signatures are stored: bundle")
	return cmd
}

func (g *globalOptions) sign(ctx context.Context, name string, keys *keyOptions) error {
	outs, err := parseOutputs(g.outputs, "table", "json")
	if err != nil {
		return err
	}
	ref, err := image.Parse(name)
	if err != nil {
		return err
	}
	if !ref.ByDigest() {
		return usagef("%s: sign a digest, not a tag: NAME@sha256:…", name)
	}
	if keys.key == "" {
		return usagef("what should sign it? give --key FILE")
	}
	signer, err := keys.signer(g.env)
	if err != nil {
		return err
	}
	s, closeSession, err := g.open()
	if err != nil {
		return err
	}
	defer closeSession() //nolint:errcheck // only temporary files are left
	records, err := s.Sign(ctx, ref, signer)
	if err != nil {
		return err
	}
	return write(g.env, outs, map[string]printer{
		"table": func(w io.Writer) error { return printRecords(w, records) },
		"json":  func(w io.Writer) error { return plan.WriteJSON(w, records) },
	})
}

func printRecords(w io.Writer, records []cosign.Record) error {
	for _, r := range records {
		verb := "signed"
		if r.Reused {
			verb = "was signed already"
		}
		if _, err := fmt.Fprintf(w, "%s: signature %s, key %s\n", verb, r.Digest, r.KeyID); err != nil {
			return err
		}
	}
	return nil
}
