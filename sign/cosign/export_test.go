package cosign

import "context"

// SealUnchecked makes a bundle that its signer does not verify: what an attacker with a certificate that has ended does.
func SealUnchecked(ctx context.Context, k *Keyless, payload []byte) ([]byte, error) {
	pair, options, err := k.prepare(ctx)
	if err != nil {
		return nil, err
	}
	options.TrustedRoot = nil
	return bundleBytes(pair, options, payload)
}
