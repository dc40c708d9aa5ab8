package cli

import (
	"errors"
	"fmt"

	"github.com/nanopatch/nanopatch/cmd/nanopatch/internal/pipeline"
	"github.com/nanopatch/nanopatch/rebuild"
	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/sbom/diff"
	"github.com/nanopatch/nanopatch/sbom/generate"
	"github.com/nanopatch/nanopatch/sign/cosign"
)

// The exit codes are part of the command-line contract.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 3
	exitUnverified  = 4
	exitFound       = 5
	exitUpdates     = 10
)

// ExitHelp is the part of the help text that explains exit codes.
const ExitHelp = `Exit codes: 0 done or nothing to do; 1 failed; 2 wrong usage or config; 3 source, registry
or repository unreachable or refused; 4 verification failed; 5 done, but something that
--fail-on names was found; 10 updates are available (plan --detailed-exitcode).`

// usageError is a mistake in the command line or the config.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// exitError ends the program with a code after a result that was printed in full.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// interruptError says that a signal ended the program. What had been done by then is for the error itself to say. It is
// no error of what it interrupted: a request that was given up does not make a registry unreachable.
type interruptError struct{ err error }

func (e *interruptError) Error() string { return "interrupted: " + e.err.Error() }

// exitCode finds the code of an error by what it is.
func exitCode(err error) int {
	var (
		usage  *usageError
		gate   *diff.GateError
		format *generate.FormatError
	)
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage), errors.As(err, &format), errors.Is(err, image.ErrUsage), errors.Is(err, plan.ErrLock),
		errors.Is(err, rebuild.ErrOptions):
		return exitUsage
	case errors.Is(err, image.ErrUnreachable), errors.Is(err, image.ErrUnauthorized), errors.Is(err, pkgrepo.ErrUnreachable):
		// First: what cannot be reached was not found to be wrong.
		return exitUnreachable
	case errors.As(err, &gate), errors.Is(err, pkgrepo.ErrVerification), errors.Is(err, cosign.ErrVerification),
		errors.Is(err, pipeline.ErrNotVerified), errors.Is(err, image.ErrVerification), errors.Is(err, layer.ErrDigest):
		return exitUnverified
	case errors.Is(err, image.ErrNotFound), errors.Is(err, image.ErrImmutableTag), errors.Is(err, pkgrepo.ErrNotFound):
		return exitUnreachable
	}
	return exitFailed
}
