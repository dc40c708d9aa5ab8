package cli

import (
	"errors"
	"slices"

	"github.com/nanopatch/nanopatch/sign/attest"
	"github.com/nanopatch/nanopatch/sign/cosign"
)

// signer loads the key that signs, nil under --no-sign. Neither is a mistake: nobody forgets to sign unnoticed.
func (o *keyOptions) signer(env Env) (cosign.Signer, error) {
	switch {
	case o.noSign && o.key != "":
		return nil, usagef("--key and --no-sign contradict each other")
	case o.noSign:
		return nil, nil //nolint:nilnil // unsigned on purpose
	case o.key == "":
		return nil, usagef("what should sign the result? give --key FILE, or --no-sign")
	case o.signatureFormat != "bundle":
		return nil, usagef("--signature-format %s: want bundle", o.signatureFormat)
	}
	s, err := cosign.LoadSigner(o.key, password(env))
	if err != nil {
		return nil, usagef("--key: %w", err)
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
