package cli

import (
	"github.com/spf13/pflag"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/config"
	"github.com/nanopatch/nanopatch/sign/cosign"
)

// trustOptions say whose signatures count: a key's, or those of an identity that an authority vouches for.
type trustOptions struct {
	// prefix tells the flags of two signers apart: "" or "source-".
	prefix string
	key    string
}

func (o *trustOptions) register(f *pflag.FlagSet) {
	f.StringVar(&o.key, o.prefix+"key", "", "public key to verify with: a file")
}

// from takes what a policy says.
func (o *trustOptions) from(p *config.Policy) { o.key = p.Key }

// verifier is whom to trust. Nobody is an error: nothing may pass unnoticed.
func (o *trustOptions) verifier(*globalOptions) (*cosign.Verifier, error) {
	if o.key == "" {
		return nil, usagef("whom do you trust? give --%skey FILE with the public key", o.prefix)
	}
	v, err := cosign.LoadVerifier(o.key)
	if err != nil {
		return nil, usagef("--%skey: %w", o.prefix, err)
	}
	return v, nil
}
