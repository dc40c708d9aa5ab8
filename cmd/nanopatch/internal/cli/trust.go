package cli

import (
	"context"

	"github.com/spf13/pflag"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/config"
	"github.com/nanopatch/nanopatch/sign/cosign"
)

// trustOptions say whose signatures count: a key's, or those of an identity that an authority vouches for.
type trustOptions struct {
	// prefix tells the flags of two signers apart: "" or "source-".
	prefix           string
	key              string
	identity, regexp string
	issuer           string
	root             string
	noLog            bool
}

func (o *trustOptions) register(f *pflag.FlagSet) {
	of := "whose signatures count"
	if o.prefix != "" {
		of = "that must have signed the source"
	}
	f.StringVar(&o.key, o.prefix+"key", "", "public key "+of+": a file or a KMS reference")
	f.StringVar(&o.identity, o.prefix+"identity", "", "identity "+of+": the certificate's subject; with --"+o.prefix+"issuer")
	f.StringVar(&o.regexp, o.prefix+"identity-regexp", "", "pattern of identities "+of+"; with --"+o.prefix+"issuer")
	f.StringVar(&o.issuer, o.prefix+"issuer", "", "OpenID Connect issuer that must vouch for the identity")
	if o.prefix == "" {
		f.StringVar(&o.root, "trusted-root", "", "trusted root file of a Sigstore instance (default: the public one, fetched)")
		f.BoolVar(&o.noLog, "insecure-ignore-tlog", false, "with an identity: a timestamp is enough, no transparency log is asked for")
	}
}

// from takes what a policy says.
func (o *trustOptions) from(p *config.Policy) {
	o.key = p.Key
	if i := p.Identity; i != nil {
		o.identity, o.regexp, o.issuer = i.Subject, i.SubjectRegexp, i.Issuer
		if o.root == "" {
			o.root = i.TrustedRoot
		}
	}
}

// given tells whether anybody is named.
func (o *trustOptions) given() bool { return o.key+o.identity+o.regexp+o.issuer != "" }

// verifier is whom to trust. Nobody is an error: nothing may pass unnoticed.
func (o *trustOptions) verifier(ctx context.Context, offline bool) (*cosign.Verifier, error) {
	switch {
	case !o.given():
		return nil, usagef("whom do you trust? give --%[1]skey with the public key, or --%[1]sidentity and --%[1]sissuer", o.prefix)
	case o.key != "" && o.identity+o.regexp+o.issuer != "":
		return nil, usagef("--%[1]skey and --%[1]sidentity exclude each other", o.prefix)
	case o.key != "":
		return o.keyVerifier(ctx, offline)
	case o.issuer == "" || (o.identity == "") == (o.regexp == ""):
		return nil, usagef("--%[1]sissuer belongs to one of --%[1]sidentity and --%[1]sidentity-regexp: neither alone says who signed", o.prefix)
	}
	root, err := trustedRoot(o.root, offline)
	if err != nil {
		return nil, err
	}
	id := cosign.Identity{Subject: o.identity, SubjectRegexp: o.regexp, Issuer: o.issuer}
	v, err := cosign.NewIdentityVerifier(id, root, !o.noLog)
	if err != nil {
		return nil, usagef("--%sidentity: %w", o.prefix, err)
	}
	return v, nil
}

func (o *trustOptions) keyVerifier(ctx context.Context, offline bool) (*cosign.Verifier, error) {
	if cosign.IsKMS(o.key) {
		if offline {
			return nil, usagef("--%skey %s is not asked --offline; give the public key's file", o.prefix, o.key)
		}
		k, err := cosign.LoadKMS(ctx, o.key)
		if err != nil {
			return nil, err
		}
		return cosign.NewVerifier(k.Public())
	}
	v, err := cosign.LoadVerifier(o.key)
	if err != nil {
		return nil, usagef("--%skey: %w", o.prefix, err)
	}
	return v, nil
}

// trustedRoot reads the trusted root file, or fetches that of the public instance.
func trustedRoot(file string, offline bool) (*cosign.TrustedRoot, error) {
	switch {
	case file != "":
		root, err := cosign.LoadTrustedRoot(file)
		if err != nil {
			return nil, usagef("--trusted-root: %w", err)
		}
		return root, nil
	case offline:
		return nil, usagef("--offline: name the trusted root with --trusted-root FILE")
	}
	return cosign.PublicTrustedRoot()
}
