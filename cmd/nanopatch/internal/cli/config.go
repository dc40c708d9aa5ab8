package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/config"
)

func newConfigCmd(g *globalOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use: "config", Short: "Describe or check the config file",
		Long: "Describe or check the config file.\n\n" + ExitHelp, Args: noSuchCommand, RunE: showHelp,
	}
	cmd.AddCommand(
		&cobra.Command{
			Use: "schema", Short: "Print the JSON Schema of " + config.DefaultFile,
			Long: "Print the JSON Schema of " + config.DefaultFile + ".\n\n" + ExitHelp, Args: args(cobra.NoArgs),
			RunE: func(*cobra.Command, []string) error {
				schema, err := config.Schema()
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(g.env.Stdout, "%s\n", schema)
				return err
			},
		},
		&cobra.Command{
			Use: "check [FILE]", Short: "Read a config file and say what is wrong with it",
			Long: "Read a config file, " + config.DefaultFile + " where none is named, and say what is wrong with it.\n\n" + ExitHelp,
			Args: args(cobra.MaximumNArgs(1)),
			RunE: func(_ *cobra.Command, a []string) error {
				file := config.DefaultFile
				if len(a) == 1 {
					file = a[0]
				}
				if _, err := config.Load(file); err != nil {
					return &usageError{err}
				}
				_, err := fmt.Fprintln(g.env.Stdout, file, "is valid")
				return err
			},
		},
	)
	return cmd
}
