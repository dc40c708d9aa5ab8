package pkgrepo

import (
	"errors"
	"fmt"
)

// The kinds of failure a caller tells apart; test with errors.Is.
var (
	// ErrUnreachable says that a repository did not answer, or refused to.
	ErrUnreachable = errors.New("repository unreachable")
	// ErrLogin says that the server wants a login and none is known for it. It is an ErrUnreachable too.
	ErrLogin = errors.New("login wanted")
	// ErrNotFound says that the server answered and has no such file (404, 410, or no such local file).
	ErrNotFound = errors.New("not found")
	// ErrVerification says that what came is not what was promised: a checksum, a size, a signature, a date.
	ErrVerification = errors.New("verification failed")
)

// Error is a failure with one file of a repository.
type Error struct {
	// Kind is ErrUnreachable, ErrNotFound or ErrVerification.
	Kind error
	// URL names the file; a password in it is left out.
	URL string
	// Err says what happened.
	Err error
}

func (e *Error) Error() string {
	verb := "fetching"
	if errors.Is(e.Kind, ErrVerification) {
		verb = "verifying"
	}
	return fmt.Sprintf("%s %s: %v", verb, e.URL, e.Err)
}

// Unwrap makes both the kind and the cause visible to errors.Is and errors.As.
func (e *Error) Unwrap() []error { return []error{e.Kind, e.Err} }

// MissingError lists artifacts that an index names and the server does not have. It is an ErrNotFound.
type MissingError struct {
	Artifacts []Artifact
}

func (e *MissingError) Error() string {
	if len(e.Artifacts) == 1 {
		return fmt.Sprintf("%s is listed by its repository but not there", e.Artifacts[0].URL)
	}
	return fmt.Sprintf("%s and %d more are listed by their repository but not there",
		e.Artifacts[0].URL, len(e.Artifacts)-1)
}

// Unwrap makes it an ErrNotFound.
func (e *MissingError) Unwrap() error { return ErrNotFound }

// CacheError is a failure to use the cache directory: no space, no permission, or others may write to it.
type CacheError struct {
	// Dir is the cache directory.
	Dir string
	Err error
}

func (e *CacheError) Error() string { return fmt.Sprintf("using the cache %s: %v", e.Dir, e.Err) }

func (e *CacheError) Unwrap() error { return e.Err }
