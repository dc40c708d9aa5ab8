package layer

import (
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// ErrNotKept says that an index knows a regular file but did not keep its bytes; Store.Open has them.
var ErrNotKept = errors.New("content is not kept in the layer index")

// ErrLinkTarget says that a hard link among the edits names a path that the edited layer does not hold.
// A runtime could not unpack such a layer: what a hard link names must lie in the same layer.
var ErrLinkTarget = errors.New("hard link to a path outside the layer")

// ErrDigest is what every DigestError is, for errors.Is.
var ErrDigest = errors.New("layer does not match its digest")

// FormatError says that a layer is not a tar archive that a runtime could unpack, or that its compressed
// stream is corrupt.
type FormatError struct {
	// Layer is the layer's diffID or digest, as far as known: the zero Hash otherwise.
	Layer v1.Hash
	// Entry is the name of the entry at fault as the archive spells it, or of the one before the fault.
	Entry string
	// Offset counts bytes from the start of the uncompressed archive.
	Offset int64
	// Err says what is wrong.
	Err error
}

func (e *FormatError) Error() string {
	where := "layer"
	if e.Layer != (v1.Hash{}) {
		where = "layer " + e.Layer.String()
	}
	if e.Entry != "" {
		where += fmt.Sprintf(", entry %q", e.Entry)
	}
	return fmt.Sprintf("%s, offset %d: %v", where, e.Offset, e.Err)
}

func (e *FormatError) Unwrap() error { return e.Err }

// DigestError says that a layer's bytes are not those that its manifest or its image's configuration name.
type DigestError struct {
	// Layer is the digest by which the layer is named in its manifest.
	Layer v1.Hash
	// What is compared: "digest", "size" or "diffID".
	What      string
	Want, Got string
}

func (e *DigestError) Error() string {
	return fmt.Sprintf("layer %s: %s is %s, want %s", e.Layer, e.What, e.Got, e.Want)
}

// Is makes every DigestError an ErrDigest.
func (e *DigestError) Is(target error) bool { return target == ErrDigest }

// EditError says that an edit cannot be applied to a layer.
type EditError struct {
	Path string
	Err  error
}

func (e *EditError) Error() string { return fmt.Sprintf("editing %s: %v", e.Path, e.Err) }

func (e *EditError) Unwrap() error { return e.Err }
