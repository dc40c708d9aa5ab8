package cli

import (
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/config"
	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/policy"
	"github.com/nanopatch/nanopatch/rebuild/version"
)

// updateOptions are the flags that decide which updates are taken; plan and rebuild share them.
type updateOptions struct {
	level, levelBy string
	only, hold     []string
	securityOnly   bool
	minAge         string
	phased         string
	lock, locked   string
	artifacts      []string
	onModified     string
	restoreMissing bool
	repoOverride   []string
	keyring        []string
	advisories     []string
	failOn         failOn
	// kinds are the values that --fail-on may have.
	kinds []string
}

func (o *updateOptions) register(cmd *cobra.Command, kinds ...string) {
	f := cmd.Flags()
	f.StringVar(&o.level, "level", "patch", "farthest update to take: revision, patch, minor or major")
	f.StringVar(&o.levelBy, "level-by", "policy", "judge levels by the release's policy, or by number")
	f.StringSliceVar(&o.only, "only", nil, "update only packages that match GLOB (repeatable)")
	f.StringSliceVar(&o.hold, "hold", nil, "keep packages that match GLOB as they are (repeatable)")
	f.BoolVar(&o.securityOnly, "security-only", false, "take updates from security repositories only")
	f.StringVar(&o.minAge, "min-age", "", "take only packages built at least this long ago: 72h, 7d")
	f.StringVar(&o.phased, "phased", "include", "Ubuntu's phased updates: include all, or respect the phase")
	f.StringVar(&o.lock, "lock", "", "write the lockfile to FILE")
	f.StringVar(&o.locked, "locked", "", "do exactly what the lockfile FILE says")
	f.StringArrayVar(&o.artifacts, "artifacts-from", nil, "with --locked: "+artifactsUsage)
	f.StringVar(&o.onModified, "on-modified", "hold", "when a package's file was changed: hold, overwrite or keep")
	f.BoolVar(&o.restoreMissing, "restore-missing", false, "bring back package files that the image deleted")
	f.StringArrayVar(&o.repoOverride, "repo-override", nil,
		"use this repository instead of the image's: a sources file, a line of one, a base URL or a directory (repeatable)")
	f.StringArrayVar(&o.keyring, "keyring", nil, "file or directory of keys that repositories must be signed with (repeatable)")
	registerAdvisories(f, &o.advisories)
	o.kinds = kinds
	f.StringSliceVar((*[]string)(&o.failOn), "fail-on", nil, failOnHelp(kinds))
}

func registerAdvisories(f *pflag.FlagSet, names *[]string) {
	f.StringArrayVar(names, "advisories", nil,
		"file, or https: URL, that says which CVEs updates fix: Alpine's or Wolfi's secdb, Debian's tracker, OSV, a grype or trivy\n"+
			"report; or \"published\" for the distribution's own (repeatable). Debian's changelogs are always read")
}

func (o *updateOptions) check() error {
	if err := o.failOn.check(o.kinds...); err != nil {
		return err
	}
	if o.lock != "" && o.locked != "" {
		return usagef("--lock writes a lockfile and --locked obeys one: give one of them")
	}
	switch ecosystem.OnModified(o.onModified) {
	case ecosystem.HoldModified, ecosystem.OverwriteModified, ecosystem.KeepModified:
	default:
		return usagef("--on-modified %s: want hold, overwrite or keep", o.onModified)
	}
	return nil
}

// rules turns the flags, and the holds and exceptions of the config file, into the policy's rules.
func (o *updateOptions) rules(c *config.Config, now time.Time) (policy.Rules, error) {
	level, age, err := limits(o.level, o.minAge)
	if err != nil {
		return policy.Rules{}, err
	}
	r := policy.Rules{
		Level: level, LevelBy: policy.LevelBy(o.levelBy), Only: o.only, SecurityOnly: o.securityOnly, MinAge: age,
		Phased: policy.Phased(o.phased), MachineID: machineID, Now: now,
	}
	for _, glob := range o.hold {
		r.Hold = append(r.Hold, policy.HoldRule{Glob: glob, Reason: "--hold " + glob})
	}
	for _, h := range c.Hold {
		until, err := h.UntilTime()
		if err != nil {
			return policy.Rules{}, usagef("config file: hold %s: %w", h.Name, err)
		}
		r.Hold = append(r.Hold, policy.HoldRule{Glob: h.Name, Until: until, Reason: h.Reason})
	}
	for _, x := range c.Rules {
		level, age, err := limits(x.Level, x.MinAge)
		if err != nil {
			return policy.Rules{}, err
		}
		r.Packages = append(r.Packages, policy.PackageRule{Glob: x.Match, Level: level, MinAge: age})
	}
	if err := r.Validate(); err != nil {
		return policy.Rules{}, usagef("%w", err)
	}
	return r, nil
}

// machineID stands for this program in the lottery of phased updates: the same for every run and machine, so that the
// same plan comes out everywhere.
const machineID = "nanopatch"

// limits reads a level and an age, "" for none.
func limits(level, minAge string) (version.Level, time.Duration, error) {
	var l version.Level
	if level != "" {
		var err error
		if l, err = version.ParseLevel(level); err != nil {
			return 0, 0, usagef("%w", err)
		}
	}
	age, err := config.ParseAge(minAge)
	if err != nil {
		return 0, 0, usagef("minimum age: %w", err)
	}
	return l, age, nil
}

// keyOptions name the key that signs, and whether to sign at all.
type keyOptions struct {
	key             string
	noSign          bool
	noAttest        bool
	sbomFormats     []string
	attachSBOM      []string
	attachPackages  bool
	keyless, tlog   bool
	signingConfig   string
	trustedRoot     string
	builderID       string
	signatureFormat string
}

func (o *keyOptions) register(cmd *cobra.Command) {
	f := cmd.Flags()
	o.registerSigner(f)
	f.BoolVar(&o.noSign, "no-sign", false, "publish without a signature")
	f.BoolVar(&o.noAttest, "no-attest", false, "publish without attestations")
	f.StringSliceVar(&o.sbomFormats, "sbom-format", []string{"spdx-json"}, "SBOM to attest: spdx-json, cyclonedx-json, or both")
	f.StringSliceVar(&o.attachSBOM, "attach-sbom", nil, "put SBOMs, unsigned, where others look for them as well: oci (beside each image: "+
		"oras, Trivy), docker (in the index: docker buildx), or both")
	f.BoolVar(&o.attachPackages, "attach-packages", false, "put the package files of the updates beside each image, so that verify needs no mirror")
	f.StringVar(&o.builderID, "builder-id", "", "URI of who runs the rebuild, for its provenance")
}

// registerSigner has the flags that rebuild and sign share.
func (o *keyOptions) registerSigner(f *pflag.FlagSet) {
	f.StringVar(&o.key, "key", "", "private key to sign with: a file, whose password is in COSIGN_PASSWORD, or a KMS reference "+
		"(awskms://, azurekms://, gcpkms://, hashivault://)")
	f.BoolVar(&o.keyless, "keyless", false, "sign as the CI job this runs in, with a certificate for its identity token")
	f.BoolVar(&o.tlog, "tlog", false, "let a transparency log see signatures (default true with --keyless)")
	f.StringVar(&o.signingConfig, "signing-config", "", "signing config file of a Sigstore instance (default: the public one, fetched)")
	f.StringVar(&o.trustedRoot, "trusted-root", "", "with --keyless: trusted root file of a Sigstore instance (default: the public one, fetched)")
	f.StringVar(&o.signatureFormat, "signature-format", "bundle", "how signatures are stored: bundle (OCI referrers) or classic (the tags .sig and .att, as cosign 1 and 2 make them)")
}
