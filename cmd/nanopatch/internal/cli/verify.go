package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/config"
	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/pipeline"
	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/render"
	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/plan"
)

type verifyOptions struct {
	*globalOptions
	trust          trustOptions
	policy         string
	require        []string
	maxAge         string
	sources        []string
	source         string
	signaturesOnly bool
	reproduce      bool
	artifacts      []string
}

func newVerifyCmd(g *globalOptions) *cobra.Command {
	o := &verifyOptions{globalOptions: g}
	cmd := &cobra.Command{
		Use:   "verify IMAGE",
		Short: "Verify an image's signature, and that what is attested of it is so",
		Long: `Verify that an image carries a valid signature by a key or an identity, and hold what the same
signer says of it against the image: the SBOM and the diff are made again, layers and
configuration compared with the source's, the files of every update with its package file,
and the lineage followed to the first source. --reproduce does the whole rebuild again.
An attestation alone is not a signature. One failed check fails the whole (exit 4); without
a key or an identity nothing passes.

` + ExitHelp,
		Example: `  nanopatch verify registry.example/base:12-patched --key cosign.pub
  nanopatch verify registry.example/base:12-patched --policy policy.yaml --reproduce
  nanopatch verify oci:image:new --key cosign.pub --offline`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error { return o.run(cmd.Context(), cmd.Flags().Changed, a[0]) },
	}
	f := cmd.Flags()
	o.trust.register(f)
	f.StringVar(&o.policy, "policy", "", "YAML file of whom and what to trust; flags come on top")
	f.StringSliceVar(&o.require, "require", nil, "predicate type that every image must carry an attestation of (repeatable)")
	f.StringVar(&o.maxAge, "max-age", "", "refuse an image that was signed longer ago: 72h, 7d; without a log or timestamp its creation counts")
	f.StringSliceVar(&o.sources, "allow-source", nil, "glob of names that the first source may have (repeatable)")
	f.StringVar(&o.source, "source", "", "where the source images are, instead of where the provenance says: an image name, whose tag does not matter")
	f.BoolVar(&o.signaturesOnly, "signatures-only", false, "do not read the image: believe what is signed")
	f.BoolVar(&o.reproduce, "reproduce", false, "do the rebuild again from the lockfile in the provenance and compare the digest")
	f.StringArrayVar(&o.artifacts, "artifacts-from", nil, artifactsUsage)
	return cmd
}

const artifactsUsage = "URL or directory that may have package files which their repository has no more; " +
	"{archive}, {timestamp} and {sha256} are filled in (repeatable; the distribution's own archive is asked last)"

func (o *verifyOptions) run(ctx context.Context, typed func(string) bool, name string) error {
	outs, err := parseOutputs(o.outputs, "table", "json", "markdown")
	if err != nil {
		return err
	}
	ref, err := image.Parse(name)
	if err != nil {
		return err
	}
	platforms, err := image.ParsePlatforms(o.platforms)
	if err != nil {
		return err
	}
	demands, err := o.demands(ctx, typed)
	if err != nil {
		return err
	}
	if o.offline && ref.Transport == image.Registry {
		return usagef("--offline: %s is in a registry; copy it with what refers to it to an oci: layout", ref)
	}
	var v *pipeline.Verification
	err = o.during(func(s *pipeline.Session) error {
		v, err = s.Verify(ctx, ref, platforms, demands)
		return err
	})
	if v == nil {
		return err
	}
	if printing := write(o.env, outs, verifyPrinters(v, o.colour(o.env.Stdout))); printing != nil {
		return printing
	}
	return err
}

// demands puts the policy file and the flags together.
func (o *verifyOptions) demands(ctx context.Context, typed func(string) bool) (pipeline.Demands, error) {
	d := pipeline.Demands{SignaturesOnly: o.signaturesOnly, Reproduce: o.reproduce}
	if o.signaturesOnly && o.reproduce {
		return d, usagef("--signatures-only and --reproduce contradict each other")
	}
	if o.policy != "" {
		p, err := config.LoadPolicy(o.policy)
		if err != nil {
			return d, usagef("--policy: %w", err)
		}
		if !typed("key") && !typed("identity") && !typed("identity-regexp") {
			o.trust.from(p)
		}
		o.require = append(o.require, p.Require...)
		o.sources = append(o.sources, p.Sources...)
		if !typed("max-age") {
			o.maxAge = p.MaxAge
		}
	}
	var err error
	if d.MaxAge, err = config.ParseAge(o.maxAge); err != nil {
		return d, usagef("--max-age: %w", err)
	}
	for _, glob := range o.sources {
		if _, err := filepath.Match(glob, ""); err != nil {
			return d, usagef("--allow-source %s: %w", glob, err)
		}
	}
	if o.source != "" {
		if d.Source, err = image.Parse(o.source); err != nil {
			return d, err
		}
	}
	d.Require, d.Sources = o.require, o.sources
	if d.Archives, err = archives(o.artifacts); err != nil {
		return d, err
	}
	d.Trust, err = o.trust.verifier(ctx, o.offline)
	return d, err
}

// archives are the places that --artifacts-from names; a directory is given as an absolute path.
func archives(named []string) ([]pipeline.Archive, error) {
	var all []pipeline.Archive
	for _, place := range named {
		if !strings.Contains(place, "://") {
			there := place
			if before, _, filled := strings.Cut(place, "{"); filled {
				there = filepath.Dir(before + ".") // the directory that the first name to be filled in lies in
			}
			info, err := os.Stat(there)
			if err != nil {
				return nil, usagef("--artifacts-from: %w", err)
			}
			if !info.IsDir() {
				return nil, usagef("--artifacts-from %s: it is no directory", place)
			}
			whole, err := filepath.Abs(place)
			if err != nil {
				return nil, fmt.Errorf("--artifacts-from: %w", err)
			}
			place = "file://" + whole
		}
		all = append(all, pipeline.Archive(place))
	}
	return all, nil
}

func verifyPrinters(v *pipeline.Verification, colour bool) map[string]printer {
	return map[string]printer{
		"table":    func(w io.Writer) error { return render.VerificationTable(w, v, colour) },
		"markdown": func(w io.Writer) error { return render.VerificationMarkdown(w, v) },
		"json":     func(w io.Writer) error { return plan.WriteJSON(w, v) },
	}
}
