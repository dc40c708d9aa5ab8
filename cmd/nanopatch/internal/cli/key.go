package cli

import (
	"context"
	"errors"
	"slices"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/sign/attest"
	"github.com/nanopatch/nanopatch/sign/cosign"
)

// signer is what signs, nil under --no-sign. Neither is a mistake: nobody forgets to sign unnoticed.
func (o *keyOptions) signer(ctx context.Context, g *globalOptions) (cosign.Signer, error) {
	switch {
	case o.keyless && (o.key != "" || o.noSign):
		return nil, usagef("--keyless excludes --key and --no-sign")
	case o.noSign && o.key != "":
		return nil, usagef("--key and --no-sign contradict each other")
	case o.noSign:
		return nil, nil //nolint:nilnil // unsigned on purpose
	case o.key == "" && !o.keyless:
		return nil, usagef("what should sign the result? give --key, --keyless, or --no-sign")
	}
	if o.keyless {
		return o.keylessSigner(g)
	}
	var s cosign.Signer
	var err error
	if cosign.IsKMS(o.key) {
		if s, err = cosign.LoadKMS(ctx, o.key); err != nil {
			return nil, err
		}
	} else if s, err = cosign.LoadSigner(o.key, password(g.env)); err != nil {
		return nil, usagef("--key: %w", err)
	}
	if !o.tlog {
		return s, nil
	}
	services, err := cosign.LoadServices(o.signingConfig, g.env.Now(), true)
	if err != nil {
		return nil, err
	}
	return cosign.WithServices(s, services), nil
}

// format is how signatures are to be stored at the places named. The classic one takes tags beside the image.
func (o *keyOptions) format(places ...image.Ref) (cosign.Format, error) {
	f, err := cosign.ParseFormat(o.signatureFormat)
	if err != nil {
		return "", usagef("--signature-format: %w", err)
	}
	for _, ref := range places {
		if f == cosign.FormatClassic && ref.Transport != image.Registry && ref.Transport != image.Layout {
			return "", usagef("--signature-format %s: %s has no place for tags beside an image; name a registry or oci:", f, ref)
		}
	}
	return f, nil
}

// keylessSigner signs as the CI job that the program runs in. A transparency log sees it unless --tlog=false.
func (o *keyOptions) keylessSigner(g *globalOptions) (cosign.Signer, error) {
	root, err := trustedRoot(o.trustedRoot, g.offline)
	if err != nil {
		return nil, err
	}
	log := o.tlog || !g.typed["tlog"]
	services, err := cosign.LoadServices(o.signingConfig, g.env.Now(), log)
	if err != nil {
		return nil, err
	}
	s, err := cosign.NewKeyless(services, root, cosign.AmbientToken, g.env.Now)
	if err != nil {
		return nil, usagef("--keyless: %w", err)
	}
	return s, nil
}

// password gives the key's password from the environment, where cosign looks for it too. An empty one is a password as
// cosign sees it, and as CI systems set it; only a missing one is a mistake.
func password(env Env) func() ([]byte, error) {
	return func() ([]byte, error) {
		p, ok := env.LookupEnv("COSIGN_PASSWORD")
		if !ok {
			return nil, errors.New("set COSIGN_PASSWORD to the key's password, which may be empty")
		}
		return []byte(p), nil
	}
}

// sboms are the predicate types of --sbom-format.
func (o *keyOptions) sboms() ([]string, error) {
	kinds := map[string]string{"spdx-json": attest.PredicateSPDX, "cyclonedx-json": attest.PredicateCycloneDX}
	var all []string
	for _, format := range o.sbomFormats {
		kind, ok := kinds[format]
		if !ok {
			return nil, usagef("--sbom-format %s: want spdx-json, cyclonedx-json, or both", format)
		}
		if !slices.Contains(all, kind) {
			all = append(all, kind)
		}
	}
	return all, nil
}

// attachments tells which forms --attach-sbom names.
func (o *keyOptions) attachments() (referrers, inIndex bool, err error) {
	for _, form := range o.attachSBOM {
		switch form {
		case "oci":
			referrers = true
		case "docker":
			inIndex = true
		default:
			return false, false, usagef("--attach-sbom %s: want oci, docker, or both", form)
		}
	}
	return referrers, inIndex, nil
}
