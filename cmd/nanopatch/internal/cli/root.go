package cli

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/term"
)

// Version is the program's version; the release build sets it by -ldflags.
var Version = "0.1.0-dev"

// Main runs one command line and returns its exit code.
func Main(ctx context.Context, args []string, env Env) int {
	defer runtime.KeepAlive(heapFloor)
	root, g := newRoot(env) //nolint:contextcheck // commands get the context from cobra
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if code := new(exitError); errors.As(err, &code) {
		return code.code
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = &interruptError{err}
	}
	code := exitCode(err)
	if err != nil {
		g.complain(err, code)
	}
	return code
}

// complain writes the error that ends the program: one line, or one record for machines.
func (g *globalOptions) complain(err error, code int) {
	message := term.Line(err.Error())
	if g.logFormat == "json" {
		g.logger(g.env.Stderr).Error(message, "exitCode", code)
		return
	}
	_, _ = fmt.Fprintf(g.env.Stderr, "nanopatch: %s\n", message)
}

// New builds the command tree. It is exported for the generator of the reference pages.
func New(env Env) *cobra.Command {
	root, _ := newRoot(env)
	return root
}

func newRoot(env Env) (*cobra.Command, *globalOptions) {
	root := &cobra.Command{
		Use:   "nanopatch",
		Short: "Keep container images current by the smallest possible change",
		Long: `nanopatch finds the packages of an image that have a patch update, rewrites only the
layers they live in, signs the result and shows the difference between the old and the
new SBOM. It needs no daemon and no root, and runs nothing that is in the image.

` + ExitHelp,
		Args:              noSuchCommand,
		RunE:              showHelp,
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
	for _, cmd := range []*cobra.Command{
		newPlanCmd(g), newRebuildCmd(g), newSBOMCmd(g), newDiffCmd(g), newSignCmd(g), newVerifyCmd(g), newExplainCmd(g),
		newCacheCmd(g),
	} {
		// Only what works on images reads the config file: a broken one must not keep anybody from checking it.
		cmd.PreRunE = func(cmd *cobra.Command, _ []string) error { return g.configure(cmd) }
		root.AddCommand(cmd)
	}
	root.AddCommand(newKeygenCmd(g), newConfigCmd(g), newVersionCmd(g))
	return root, g
}

func newVersionCmd(g *globalOptions) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Long: "Print the version.\n\n" + ExitHelp, Args: args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(g.env.Stdout, "nanopatch", Version)
			return err
		},
	}
}

// noSuchCommand is the check of arguments of a command that only holds others: an argument is a misspelt command.
func noSuchCommand(cmd *cobra.Command, a []string) error {
	if len(a) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2 // letters
	meant := ""
	if names := cmd.SuggestionsFor(a[0]); len(names) > 0 {
		meant = "; did you mean " + strings.Join(names, " or ") + "?"
	}
	return usagef("unknown command %q%s (see '%s --help')", a[0], meant, cmd.CommandPath())
}

// showHelp is what a command that only holds others does.
func showHelp(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// args turns cobra's complaint about arguments into a usage error.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, a []string) error {
		if err := check(cmd, a); err != nil {
			return usagef("%w (see '%s --help')", err, cmd.CommandPath())
		}
		return nil
	}
}
