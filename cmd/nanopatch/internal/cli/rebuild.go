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
	"github.com/nanopatch/nanopatch/sbom/diff"
)

type rebuildOptions struct {
	*globalOptions
	updates updateOptions
	keys    keyOptions
	source  trustOptions
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
	o.updates.register(cmd, append(slices.Clone(planKinds), diffKinds...)...)
	o.keys.register(cmd)
	o.source = trustOptions{prefix: "source-"}
	o.source.register(cmd.Flags())
	cmd.Flags().StringArrayVarP(&o.tags, "tag", "t", nil, "image name to publish the result as (repeatable)")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "only show the plan")
	return cmd
}

func (o *rebuildOptions) run(cmd *cobra.Command, source string) error {
	if o.dryRun {
		p := &planOptions{globalOptions: o.globalOptions, updates: o.updates}
		return p.run(cmd.Context(), source)
	}
	outs, err := parseOutputs(o.outputs, "table", "json", "markdown", "html", "sarif")
	if err != nil {
		return err
	}
	what, err := o.updates.request(o.globalOptions, source)
	if err != nil {
		return err
	}
	if o.source.given() {
		o.source.root = o.keys.trustedRoot
		if what.updates.Source, err = o.source.verifier(cmd.Context(), o.offline); err != nil {
			return err
		}
	}
	o.builderID = o.keys.builderID
	request, err := o.request(cmd.Context())
	if err != nil {
		return err
	}
	var planned *pipeline.Planned
	var result *pipeline.Result
	err = o.during(func(s *pipeline.Session) error {
		var err error
		if o.updates.lock == "" { // a lockfile tells of a plan
			if result = s.Unchanged(cmd.Context(), what.source, what.platforms, what.updates, request); result != nil {
				return nil
			}
		}
		if planned, err = what.plan(cmd.Context(), s); err != nil {
			return err
		}
		// Before anything is published: a lockfile that cannot be written must not leave an image without one.
		if err = o.updates.writeLock(planned); err != nil {
			return err
		}
		result, err = s.Rebuild(cmd.Context(), planned, request)
		return err
	})
	if err != nil {
		return err
	}
	if err := write(o.env, outs, resultPrinters(result, o.reportRun(), o.colour(o.env.Stdout))); err != nil {
		return err
	}
	var diffs []*diff.Diff
	for _, p := range result.Platforms {
		diffs = append(diffs, p.Diff)
	}
	return o.updates.failOn.found(result.Plans(), diffs...)
}

func (o *rebuildOptions) request(ctx context.Context) (pipeline.Request, error) {
	r := pipeline.Request{Attest: !o.keys.noAttest}
	if len(o.tags) == 0 {
		return r, usagef("where should the result go? name it with -t DEST")
	}
	var refs []image.Ref
	for _, t := range o.tags {
		ref, err := image.Parse(t)
		if err != nil {
			return r, err
		}
		refs = append(refs, ref)
	}
	var err error
	if r.SBOMs, err = o.keys.sboms(); err != nil {
		return r, err
	}
	if r.Destinations, err = image.Destinations(refs); err != nil {
		return r, err
	}
	if r.Format, err = o.keys.format(refs...); err != nil {
		return r, err
	}
	if r.Referrers, r.InIndex, err = o.keys.attachments(); err != nil {
		return r, err
	}
	r.Packages = o.keys.attachPackages
	if r.Signer, err = o.keys.signer(ctx, o.globalOptions); err != nil {
		return r, err
	}
	for _, ref := range refs {
		switch {
		case ref.Transport.KeepsReferrers():
		case r.Signer != nil:
			return r, usagef("%s: there is no place for signatures; write to a registry, oci: or oci-archive:, or give --no-sign", ref)
		case r.Referrers || r.InIndex || r.Packages:
			return r, usagef("%s: there is no place for what --attach-sbom and --attach-packages add; write to a registry, oci: or oci-archive:", ref)
		}
	}
	return r, nil
}

func resultPrinters(r *pipeline.Result, run render.Run, colour bool) map[string]printer {
	return map[string]printer{
		"table":    func(w io.Writer) error { return render.ResultTable(w, r, run.Now, colour) },
		"markdown": func(w io.Writer) error { return render.ResultMarkdown(w, r, run.Now) },
		"html":     func(w io.Writer) error { return render.ResultHTML(w, r, run) },
		"sarif":    func(w io.Writer) error { return render.SARIF(w, r.Plans(), run.Version) },
		"json":     func(w io.Writer) error { return plan.WriteJSON(w, r) },
	}
}
