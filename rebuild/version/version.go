package version

import "fmt"

// Scheme is a package manager's idea of versions. Implementations are stateless.
type Scheme interface {
	// Compare returns a negative number if a is older than b, a positive one if it is newer, 0 if they rank the
	// same. The error is an *InvalidError.
	Compare(a, b string) (int, error)
	// Level is the size of the step between two versions, whatever its direction; Major where one is not valid.
	Level(from, to string) Level
}

// InvalidError says that a string is not a version.
type InvalidError struct {
	Version string
	Err     error
}

func (e *InvalidError) Error() string { return fmt.Sprintf("invalid version %q: %v", e.Version, e.Err) }
func (e *InvalidError) Unwrap() error { return e.Err }
