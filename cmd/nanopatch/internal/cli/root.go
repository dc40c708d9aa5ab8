package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// Version is the program's version; the release build sets it by -ldflags.
var Version = "0.1.0-dev"

// Main runs one command line and returns its exit code.
func Main(ctx context.Context, args []string, env Env) int {
	root := New(env)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if ctx.Err() != nil && err != nil {
		err = errors.New("interrupted; nothing was published")
	}
	if code := new(exitError); errors.As(err, &code) {
		return code.code
	}
	if err != nil {
		_, _ = fmt.Fprintf(env.Stderr, "nanopatch: %s\n", oneLine(err))
	}
	return exitCode(err)
}

// New builds the command tree. It is exported for the generator of the reference pages.
func New(env Env) *cobra.Command {
	root := &cobra.Command{
		Use:   "nanopatch",
		Short: "Keep container images current by the smallest possible change",
		Long: `nanopatch finds the packages of an image that have a patch update, rewrites only the
layers they live in, signs the result and shows the difference between the old and the
new SBOM. It needs no daemon and no root, and runs nothing that is in the image.

` + ExitHelp,
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
		Version:           Version,
	}
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%w (see '%s --help')", err, cmd.CommandPath())
	})
	g := &globalOptions{env: env}
	g.register(root)
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return g.settle(cmd) }
	root.AddCommand(
		newPlanCmd(g), newRebuildCmd(g), newSBOMCmd(g), newDiffCmd(g), newSignCmd(g), newVerifyCmd(g),
		newExplainCmd(g), newKeygenCmd(g), newConfigCmd(g), newVersionCmd(g),
	)
	return root
}

func newVersionCmd(g *globalOptions) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(g.env.Stdout, "nanopatch", Version)
			return err
		},
	}
}

// args turns cobra's complaint about arguments into a usage error.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, a []string) error {
		if err := check(cmd, a); err != nil {
			return usagef("%w (see '%s --help')", err, cmd.CommandPath())
		}
		return nil
	}
}

// oneLine keeps an error's message on one line whatever a library put into it.
func oneLine(err error) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(err.Error(), "\n", " ")), " ")
}
