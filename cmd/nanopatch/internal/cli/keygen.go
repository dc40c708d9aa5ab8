package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/nanopatch/nanopatch/sign/cosign"
)

func newKeygenCmd(g *globalOptions) *cobra.Command {
	var prefix string
	cmd := &cobra.Command{
		Use:   "keygen",
		Short: "Make a key pair, as cosign does",
		Long: `Make a key pair: PREFIX.key, encrypted with the password in COSIGN_PASSWORD, which may be
empty, and PREFIX.pub. Files that exist are never overwritten. The stock cosign reads both.

` + ExitHelp,
		Args: args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			secret, err := password(g.env)()
			if err != nil {
				return &usageError{err}
			}
			pair, err := cosign.Generate(secret)
			if err != nil {
				return err
			}
			if err := pair.WriteFiles(prefix); err != nil {
				return err
			}
			_, err = fmt.Fprintf(g.env.Stdout, "%s.key\n%s.pub\n", prefix, prefix)
			return err
		},
	}
	cmd.Flags().StringVar(&prefix, "output-prefix", "cosign", "path of the files, without .key and .pub")
	return cmd
}
