package cosign

import (
	"context"
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Format is how signatures and attestations lie beside an image.
type Format string

const (
	// FormatBundle is sigstore bundles as OCI 1.1 referrers: what cosign 3 makes unless it is told otherwise.
	FormatBundle Format = "bundle"
	// FormatClassic is the two images that cosign 1 and 2 keep under the tags sha256-HEX.sig and sha256-HEX.att, whose
	// layers are the signatures and attestations (github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md).
	FormatClassic Format = "classic"
)

// ErrFormat says that a format is unknown, or cannot be used here.
var ErrFormat = errors.New("signature format")

// ParseFormat reads a format's name. It returns ErrFormat for another.
func ParseFormat(s string) (Format, error) {
	switch f := Format(s); f {
	case FormatBundle, FormatClassic:
		return f, nil
	default:
		return "", fmt.Errorf("%w %q: want %s or %s", ErrFormat, s, FormatBundle, FormatClassic)
	}
}

// ErrMalformed says that what a tag names is no list of signatures.
var ErrMalformed = errors.New("malformed list of signatures")

// Tagger is what a Repository must be as well to hold the classic format. In one that is not, nothing is looked for in it.
type Tagger interface {
	// Tagged returns the image that a tag names, nil where it names none. ErrMalformed says that it names something that cannot be read.
	Tagged(ctx context.Context, tag string) (v1.Image, error)
	// PutTagged writes an image and lets the tag name it. What another writes in between is lost; the caller looks again.
	PutTagged(ctx context.Context, tag string, image v1.Image) error
}
