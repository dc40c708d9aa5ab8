package cosign

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// VerifyOptions say whom to trust. Their zero value trusts nobody and fails.
type VerifyOptions struct {
	// Verifier is the trusted key. It must be set.
	Verifier *Verifier
	// Format is the only one to look for; empty is both, which is what a stranger's image may carry.
	Format Format
	// Require lists predicate types of which there must be a valid attestation besides the signature.
	Require []string
	// Logger gets debug lines; nil is silent.
	Logger *slog.Logger
}

// ErrNoVerifier says that Verify was not told whom to trust.
var ErrNoVerifier = errors.New("no key to verify with")

// Verify verifies what is attached to an image against one key.
//
// It reads nothing but referrers and, in a Repository that is a Tagger, the classic lists: that the image under the digest is intact is for whoever reads the image.
// An image that fails a check gives the report and a *VerificationError; a repository that cannot be read,
// or missing options, an error and no report.
func Verify(ctx context.Context, repo Repository, subject v1.Hash, opts VerifyOptions) (*Report, error) {
	if opts.Verifier == nil {
		return nil, ErrNoVerifier
	}
	if _, err := v1.NewHash(subject.String()); err != nil {
		return nil, fmt.Errorf("verifying an image: %w", err)
	}
	findings, err := examine(ctx, repo, subject, opts.Verifier, opts.Format, nil)
	if err != nil {
		return nil, fmt.Errorf("verifying %s: %w", subject, err)
	}
	report := newReport(subject, opts.Verifier, findings, opts.Require)
	if opts.Logger != nil {
		for _, c := range report.Checks {
			opts.Logger.DebugContext(ctx, "checked", "subject", subject, "check", c.Name, "ok", c.OK, "detail", c.Detail)
		}
	}
	return report, report.err()
}
