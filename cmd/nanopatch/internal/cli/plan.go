package cli

import (
	"context"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
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
	o.updates.register(cmd, planKinds...)
	cmd.Flags().BoolVar(&o.detailed, "detailed-exitcode", false, "exit 10 if there are updates")
	return cmd
}

func (o *planOptions) run(ctx context.Context, source string) error {
	outs, err := parseOutputs(o.outputs, "table", "json", "markdown", "html", "sarif")
	if err != nil {
		return err
	}
	what, err := o.updates.request(o.globalOptions, source)
	if err != nil {
		return err
	}
	var planned *pipeline.Planned
	err = o.during(func(s *pipeline.Session) (err error) {
		planned, err = what.plan(ctx, s)
		return err
	})
	if err != nil {
		return err
	}
	if err := o.updates.writeLock(planned); err != nil {
		return err
	}
	if err := write(o.env, outs, planPrinters(planned, o.reportRun(), o.colour(o.env.Stdout))); err != nil {
		return err
	}
	if err := o.updates.failOn.found(planned.Plans()); err != nil {
		return err
	}
	if o.detailed && !planned.Empty() {
		return &exitError{exitUpdates}
	}
	return nil
}

// planPrinters print a plan, or the list of an index's plans.
func planPrinters(planned *pipeline.Planned, run render.Run, colour bool) map[string]printer {
	plans := planned.Plans()
	return map[string]printer{
		"table":    func(w io.Writer) error { return render.PlanTable(w, plans, run.Now, colour) },
		"markdown": func(w io.Writer) error { return render.PlanMarkdown(w, plans, run.Now) },
		"html":     func(w io.Writer) error { return render.PlanHTML(w, plans, run) },
		"sarif":    func(w io.Writer) error { return render.SARIF(w, plans, run.Version) },
		"json": func(w io.Writer) error {
			if planned.Source.Index == nil {
				return plan.WriteJSON(w, plans[0])
			}
			return plan.WriteJSON(w, plan.NewList(plans))
		},
	}
}

// planRequest is what plan and rebuild ask of a plan.
type planRequest struct {
	source    image.Ref
	platforms []v1.Platform
	updates   pipeline.Updates
}

func (r *planRequest) plan(ctx context.Context, s *pipeline.Session) (*pipeline.Planned, error) {
	return s.Plan(ctx, r.source, r.platforms, r.updates)
}

// request turns the flags that plan and rebuild share into what the pipeline wants.
func (o *updateOptions) request(g *globalOptions, source string) (*planRequest, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := o.checkLocked(g.typed); err != nil {
		return nil, err
	}
	r := &planRequest{}
	var err error
	if r.source, err = image.Parse(source); err != nil {
		return nil, err
	}
	if r.platforms, err = image.ParsePlatforms(g.platforms); err != nil {
		return nil, err
	}
	if r.updates.Rules, err = o.rules(g.config, g.env.Now()); err != nil {
		return nil, err
	}
	if r.updates.Edits, err = o.edits(g.env.Getenv("SOURCE_DATE_EPOCH")); err != nil {
		return nil, err
	}
	r.updates.Repositories, r.updates.Keyrings, r.updates.Advisories = o.repoOverride, o.keyring, o.advisories
	if r.updates.Archives, err = archives(o.artifacts); err != nil {
		return nil, err
	}
	r.updates.Locked, err = o.readLock()
	return r, err
}
