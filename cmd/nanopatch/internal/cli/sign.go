package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/pipeline"
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
	keys.registerSigner(cmd.Flags())
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
	if keys.key == "" && !keys.keyless {
		return usagef("what should sign it? give --key or --keyless")
	}
	format, err := keys.format(ref)
	if err != nil {
		return err
	}
	signer, err := keys.signer(ctx, g)
	if err != nil {
		return err
	}
	var records []cosign.Record
	err = g.during(func(s *pipeline.Session) error {
		records, err = s.Sign(ctx, ref, signer, format)
		return err
	})
	if err != nil {
		return err
	}
	return write(g.env, outs, map[string]printer{
		"table": func(w io.Writer) error { return printRecords(w, records) },
		"json":  func(w io.Writer) error { return plan.WriteJSON(w, newSignatureList(records)) },
	})
}

// signatureList is the JSON document of `nanopatch sign -o json`: of an index, its own signature comes first.
type signatureList struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Items      []cosign.Record `json:"items"`
}

func newSignatureList(records []cosign.Record) signatureList {
	return signatureList{APIVersion: plan.APIVersion, Kind: "SignatureList", Items: records}
}

func printRecords(w io.Writer, records []cosign.Record) error {
	for _, r := range records {
		verb := "signed"
		if r.Reused {
			verb = "was signed already"
		}
		if _, err := fmt.Fprintf(w, "%s: signature %s, %s\n", verb, r.Digest, r.By()); err != nil {
			return err
		}
	}
	return nil
}
