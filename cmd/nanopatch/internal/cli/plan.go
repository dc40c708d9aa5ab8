package cli

import (
	"context"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/pipeline"
	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/render"
	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/plan"
)

type planOptions struct {
	*globalOptions
	updates  updateOptions
	detailed bool
}

func newPlanCmd(g *globalOptions) *cobra.Command {
	o := &planOptions{globalOptions: g}
	cmd := &cobra.Command{
		Use:   "plan IMAGE",
		Short: "Show what a rebuild would change, per layer, and what is held and why",
		Long: `Show what a rebuild would change, per layer, and what is held and why. Nothing is changed.
Package files are downloaded, because some reasons to hold an update show only in them.

` + ExitHelp,
		Example: `  nanopatch plan registry.example/base:12
  nanopatch plan oci:image:latest -o json --detailed-exitcode`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error { return o.run(cmd.Context(), a[0]) },
	}
	o.updates.register(cmd)
	cmd.Flags().BoolVar(&o.detailed, "detailed-exitcode", false, "exit 10 if there are updates")
	return cmd
}

func (o *planOptions) run(ctx context.Context, source string) error {
	outs, err := parseOutputs(o.outputs, "table", "json", "markdown")
	if err != nil {
		return err
	}
	request, err := o.updates.request(o.globalOptions, source)
	if err != nil {
		return err
	}
	s, closeSession, err := o.open()
	if err != nil {
		return err
	}
	planned, err := s.Plan(ctx, request.Source, request.Platforms, request.Updates)
	if closing := closeSession(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	if err := o.updates.writeLock(planned.Source.Descriptor.Digest, planned.Plans(), request.Updates.Edits); err != nil {
		return err
	}
	if err := write(o.env, outs, planPrinters(planned, o.colour(o.env.Stdout))); err != nil {
		return err
	}
	if code := o.updates.found(planned.Plans()); code != exitOK {
		return &exitError{code}
	}
	if o.detailed && !planned.Empty() {
		return &exitError{exitUpdates}
	}
	return nil
}

// planPrinters print a plan, or the list of an index's plans.
func planPrinters(planned *pipeline.Planned, colour bool) map[string]printer {
	plans := planned.Plans()
	return map[string]printer{
		"table":    func(w io.Writer) error { return render.PlanTable(w, plans, colour) },
		"markdown": func(w io.Writer) error { return render.PlanMarkdown(w, plans) },
		"json": func(w io.Writer) error {
			if planned.Source.Index == nil {
				return plan.WriteJSON(w, plans[0])
			}
			return plan.WriteJSON(w, plan.NewList(plans))
		},
	}
}

// found is the exit code for what --fail-on names.
func (o *updateOptions) found(plans []*plan.Plan) int {
	for _, p := range plans {
		if slices.Contains(o.failOn, "held") && len(p.Held) > 0 ||
			slices.Contains(o.failOn, "unmanaged") && len(p.Unmanaged) > 0 ||
			slices.Contains(o.failOn, "eol") && p.EOL != nil {
			return exitFound
		}
	}
	return exitOK
}

// request turns the flags that plan and rebuild share into what the pipeline wants.
func (o *updateOptions) request(g *globalOptions, source string) (pipeline.Request, error) {
	var r pipeline.Request
	if err := o.check(); err != nil {
		return r, err
	}
	var err error
	if r.Source, err = image.Parse(source); err != nil {
		return r, err
	}
	if r.Platforms, err = image.ParsePlatforms(g.platforms); err != nil {
		return r, err
	}
	if r.Updates.Rules, err = o.rules(g.config, g.env.Now()); err != nil {
		return r, err
	}
	if r.Updates.Edits, err = o.edits(g.env.Getenv("SOURCE_DATE_EPOCH")); err != nil {
		return r, err
	}
	r.Updates.Repositories, r.Updates.Keyrings = o.repoOverride, o.keyring
	r.Updates.Locked, err = o.readLock()
	return r, err
}
