package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/cache"
	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/pipeline"
	"github.com/nanopatch/nanopatch/rebuild/plan"
)

func newCacheCmd(g *globalOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use: "cache", Short: "Show or clean the cache",
		Long: `Show or clean the cache of layers' indexes, packages and SBOMs. Every run cleans it when it is
over --cache-size; what is in use by other runs stays.

` + ExitHelp,
		Args: noSuchCommand, RunE: showHelp,
	}
	var all bool
	clean := &cobra.Command{
		Use: "clean", Short: "Forget what was used longest ago until the cache is below --cache-size",
		Long: "Forget what was used longest ago until the cache is below --cache-size.\n\n" + ExitHelp,
		Args: args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error { return g.cleanCache(all) },
	}
	clean.Flags().BoolVar(&all, "all", false, "forget everything that no other run uses")
	show := &cobra.Command{
		Use: "show", Short: "Show what the cache holds", Long: "Show what the cache holds.\n\n" + ExitHelp,
		Args: args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error { return g.showCache() },
	}
	for _, c := range []*cobra.Command{clean, show} {
		c.PreRunE = func(cmd *cobra.Command, _ []string) error { return g.configure(cmd) }
		cmd.AddCommand(c)
	}
	return cmd
}

// cacheResult is what the commands print as JSON.
type cacheResult struct {
	APIVersion string                   `json:"apiVersion"`
	Kind       string                   `json:"kind"`
	Dir        string                   `json:"dir"`
	Limit      int64                    `json:"limit"`
	Parts      map[string]cache.Content `json:"parts"`
	Removed    *cache.Content           `json:"removed,omitempty"`
	Busy       bool                     `json:"busy,omitempty"`
}

func (g *globalOptions) cleanCache(all bool) error {
	outs, err := parseOutputs(g.outputs, "table", "json")
	if err != nil {
		return err
	}
	limit := g.cacheBytes
	switch {
	case all:
		limit = 0
	case limit == 0:
		return usagef("--cache-size 0 is no limit: nothing to clean; --all forgets everything")
	}
	report, err := pipeline.CleanCache(g.cacheDir, limit)
	if err != nil {
		return err
	}
	if report.Busy {
		g.logger(g.env.Stderr).Warn("other runs use the cache; what they may need was left")
	}
	return g.writeCache(outs, report)
}

func (g *globalOptions) showCache() error {
	outs, err := parseOutputs(g.outputs, "table", "json")
	if err != nil {
		return err
	}
	return g.writeCache(outs, nil)
}

// writeCache prints what the cache holds, and what was removed from it.
func (g *globalOptions) writeCache(outs []output, report *cache.Report) error {
	parts, err := pipeline.MeasureCache(g.cacheDir)
	if err != nil {
		return err
	}
	result := cacheResult{APIVersion: plan.APIVersion, Kind: "Cache", Dir: g.cacheDir, Limit: g.cacheBytes, Parts: parts}
	if report != nil {
		result.Removed, result.Busy = &report.Removed, report.Busy
	}
	return write(g.env, outs, map[string]printer{
		"json":  func(w io.Writer) error { return plan.WriteJSON(w, result) },
		"table": func(w io.Writer) error { return cacheTable(w, result) },
	})
}

func cacheTable(w io.Writer, r cacheResult) error {
	line := func(what string, c cache.Content) error {
		_, err := fmt.Fprintf(w, "%-9s %7d files %12s\n", what, c.Files, units.BytesSize(float64(c.Bytes)))
		return err
	}
	if r.Removed != nil {
		if err := line("removed", *r.Removed); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Parts)) {
		if err := line(name, r.Parts[name]); err != nil {
			return err
		}
	}
	return nil
}
