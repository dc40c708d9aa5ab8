package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/goccy/go-yaml"
)

// Policy is the file of `verify --policy`: whom and what to trust.
type Policy struct {
	// Key is the public key whose signatures count. It excludes Identity.
	Key string `yaml:"key,omitempty"`
	// Identity is who must have signed, where a certificate authority vouches for identities.
	Identity *Identity `yaml:"identity,omitempty"`
	// Require lists predicate types of attestations that every image must carry.
	Require []string `yaml:"require,omitempty"`
	// MaxAge is how long ago an image may have been signed: "72h", "7d".
	MaxAge string `yaml:"maxAge,omitempty"`
	// Sources are globs of names that the first source may have.
	Sources []string `yaml:"sources,omitempty"`
}

// Identity is a subject together with who vouches for it: either alone says nothing.
type Identity struct {
	// Subject is the certificate's subject alternative name, a URI or e-mail address; SubjectRegexp may stand for it.
	Subject       string `yaml:"subject,omitempty"`
	SubjectRegexp string `yaml:"subjectRegexp,omitempty"`
	// Issuer is the URL of the OpenID Connect issuer.
	Issuer string `yaml:"issuer"`
	// TrustedRoot is a file of sigstore's trusted root format; empty is the public good instance's.
	TrustedRoot string `yaml:"trustedRoot,omitempty"`
}

// LoadPolicy reads a policy file. An unknown key is an error with its line, and so is a policy that trusts nobody or
// that leaves open who is trusted.
func LoadPolicy(name string) (*Policy, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if len(b) > maxSize {
		return nil, fmt.Errorf("%w: %s: more than %d bytes", ErrInvalid, name, maxSize)
	}
	p := &Policy{}
	if len(bytes.TrimSpace(b)) > 0 {
		if err := yaml.UnmarshalWithOptions(b, p, yaml.Strict()); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrInvalid, name, errors.New(oneLine(err)))
		}
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrInvalid, name, err)
	}
	return p, nil
}

func (p *Policy) check() error {
	switch i := p.Identity; {
	case p.Key == "" && i == nil:
		return errors.New("it trusts nobody: name a key or an identity")
	case p.Key != "" && i != nil:
		return errors.New("a key and an identity exclude each other")
	case i != nil && (i.Issuer == "" || (i.Subject == "") == (i.SubjectRegexp == "")):
		return errors.New("an identity is an issuer with either a subject or a subjectRegexp")
	}
	_, err := ParseAge(p.MaxAge)
	return err
}
