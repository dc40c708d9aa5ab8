package plan

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
)

// ErrLock says that a lockfile cannot be obeyed: it is not one, or it is for another image.
var ErrLock = errors.New("unusable lockfile")

// ErrNotLocked says that a lockfile does not name an image; it is an ErrLock.
var ErrNotLocked = fmt.Errorf("%w: it does not name this image", ErrLock)

// maxLock bounds a lockfile, in bytes: 64 platforms with 2000 updates each come to less.
const maxLock = 64 << 20

// Lock is everything that a rebuild's output depends on. The same source and lock give the same digests, whatever the
// repositories hold by then.
type Lock struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// Tool is the version of nanopatch that wrote the lock: compression is part of the output.
	Tool string `json:"tool"`
	// Source is the digest of the image or index that was rebuilt.
	Source    v1.Hash        `json:"source"`
	Platforms []PlatformLock `json:"platforms"`
}

// PlatformLock is the lock of one platform's image.
type PlatformLock struct {
	Platform string  `json:"platform"`
	Image    v1.Hash `json:"image"`
	// Updates holds what to install. Names, versions, architectures and artifacts are obeyed; level, security and
	// advisories repeated as they were recorded; everything else is found out again from the image and the package files.
	Updates []Update `json:"updates"`
	Choices
	// KeptFiles are the changed files that the updates leave alone.
	KeptFiles []KeptFile `json:"keptFiles,omitempty"`
	// WrittenFiles are those that scripts write anew: for whoever holds the result against the package files.
	WrittenFiles []WrittenFile `json:"writtenFiles,omitempty"`
	// Repositories are the verified indexes that the updates were chosen from: for the record.
	Repositories []Repository `json:"repositories"`
}

// Choices are the options of the edits as plans and lockfiles record them; what is the default is left out.
type Choices struct {
	OnModified     ecosystem.OnModified `json:"onModified,omitempty"`
	RestoreMissing bool                 `json:"restoreMissing,omitempty"`
	// SourceDateEpoch is the time of generated entries where it was set from outside.
	SourceDateEpoch *time.Time `json:"sourceDateEpoch,omitempty"`
}

// ChoicesOf records options.
func ChoicesOf(o Options) Choices {
	c := Choices{OnModified: o.OnModified, RestoreMissing: o.RestoreMissing}
	if c.OnModified == ecosystem.HoldModified {
		c.OnModified = ""
	}
	if !o.SourceDateEpoch.IsZero() {
		t := o.SourceDateEpoch.UTC()
		c.SourceDateEpoch = &t
	}
	return c
}

// Options are the options that were recorded.
func (c Choices) Options() Options {
	o := Options{OnModified: c.OnModified, RestoreMissing: c.RestoreMissing}
	if c.SourceDateEpoch != nil {
		o.SourceDateEpoch = *c.SourceDateEpoch
	}
	return o
}

// NewLock starts a lock for a source.
func NewLock(tool string, source v1.Hash) *Lock {
	return &Lock{APIVersion: APIVersion, Kind: "Lock", Tool: tool, Source: source}
}

// Add records one platform's plan.
func (l *Lock) Add(p *Plan) {
	l.Platforms = append(l.Platforms, PlatformLock{
		Platform: p.Image.Platform, Image: p.Image.Digest, Updates: p.Updates, Repositories: p.Repositories, Choices: p.Choices,
		KeptFiles: p.KeptFiles, WrittenFiles: p.WrittenFiles,
	})
}

// For finds the lock of one image by its digest; the error is ErrNotLocked.
func (l *Lock) For(image v1.Hash) (*PlatformLock, error) {
	for i := range l.Platforms {
		if l.Platforms[i].Image == image {
			return &l.Platforms[i], nil
		}
	}
	return nil, fmt.Errorf("%w, %s", ErrNotLocked, image)
}

// ReadLock reads a lockfile.
func ReadLock(r io.Reader) (*Lock, error) {
	dec := json.NewDecoder(io.LimitReader(r, maxLock))
	dec.DisallowUnknownFields()
	var l Lock
	if err := dec.Decode(&l); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLock, err)
	}
	if l.APIVersion != APIVersion || l.Kind != "Lock" {
		return nil, fmt.Errorf("%w: it is %q %q, want %q \"Lock\"", ErrLock, l.APIVersion, l.Kind, APIVersion)
	}
	return &l, nil
}
