package image

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Transport is where an image lives.
type Transport string

// The transports.
const (
	// Registry is "repo/name:tag" or "repo/name@sha256:…".
	Registry Transport = "registry"
	// Layout is "oci:DIR[:TAG]" or "oci:DIR@sha256:…", a directory in the format of the OCI image layout.
	Layout Transport = "oci"
)

// laterTransports are names that are reserved for the command line but not served yet.
var laterTransports = map[string]bool{"oci-archive": true, "docker-archive": true, "docker-daemon": true}

// Ref names an image, or a place for one. The zero value names nothing; [Parse] makes them.
type Ref struct {
	Transport Transport
	// Repository is the registry's host and repository in full ("index.docker.io/library/debian"), or the layout's
	// directory as written.
	Repository string
	// Tag is the tag. A registry's is "latest" where nothing is said; a layout's is then empty. It is empty in a
	// reference by digest.
	Tag string
	// Digest is zero unless the reference is by digest.
	Digest v1.Hash

	text string
}

// Parse reads a reference. Its errors are [ErrUsage].
//
// A layout's directory ends at the first colon, as with skopeo, so it cannot contain one.
func Parse(s string) (Ref, error) {
	scheme, rest, found := strings.Cut(s, ":")
	switch {
	case s == "":
		return Ref{}, usageError(`""`, "an empty image name", "give repo/name:tag or oci:DIR:TAG")
	case found && scheme == string(Layout):
		return parseLayout(s, rest)
	case found && laterTransports[scheme]:
		return Ref{}, usageError(s, "images of "+scheme+": are not supported yet",
			"copy it first: skopeo copy "+s+" oci:DIR:TAG")
	case found && strings.HasPrefix(rest, "//"):
		return Ref{}, usageError(s, "an image name has no "+scheme+"://", "write "+strings.TrimPrefix(rest, "//"))
	}
	return parseRegistry(s)
}

func parseRegistry(s string) (Ref, error) {
	parsed, err := name.ParseReference(s)
	if err != nil {
		return Ref{}, &Error{
			Kind: ErrUsage, Ref: s, What: "not an image name: " + badName(s), Cause: err,
			Hint: "give repo/name:tag, repo/name@sha256:… or oci:DIR:TAG",
		}
	}
	ref := Ref{Transport: Registry, Repository: parsed.Context().Name(), text: s}
	switch parsed := parsed.(type) {
	case name.Tag:
		ref.Tag = parsed.TagStr()
	case name.Digest:
		if ref.Digest, err = v1.NewHash(parsed.DigestStr()); err != nil {
			return Ref{}, &Error{Kind: ErrUsage, Ref: s, What: "not a digest: " + parsed.DigestStr(), Cause: err}
		}
	}
	return ref, nil
}

// badName finds out what the parser does not like: it tries tags and digests and reports neither's error.
func badName(s string) string {
	if strings.Contains(s, "@") {
		if _, err := name.NewDigest(s); err != nil {
			return err.Error()
		}
	}
	if _, err := name.NewTag(s); err != nil {
		return err.Error()
	}
	return "unknown form"
}

// layoutTag is the grammar of org.opencontainers.image.ref.name (OCI image spec, annotations.md).
var layoutTag = regexp.MustCompile(`^[A-Za-z0-9]+((--|[-._:@+])[A-Za-z0-9]+)*(/[A-Za-z0-9]+((--|[-._:@+])[A-Za-z0-9]+)*)*$`)

func parseLayout(s, rest string) (Ref, error) {
	ref := Ref{Transport: Layout, text: s}
	if i := strings.LastIndex(rest, "@"); i >= 0 && strings.Contains(rest[i:], ":") {
		digest, err := v1.NewHash(rest[i+1:])
		if err != nil {
			return Ref{}, &Error{
				Kind: ErrUsage, Ref: s, What: "not a digest: " + rest[i+1:], Cause: err,
				Hint: "give oci:DIR@sha256:… with 64 hexadecimal digits",
			}
		}
		ref.Digest, rest = digest, rest[:i]
	}
	dir, tag, hasTag := strings.Cut(rest, ":")
	if dir == "" {
		return Ref{}, usageError(s, "no directory", "give oci:DIR or oci:DIR:TAG")
	}
	ref.Repository = dir
	if hasTag && !layoutTag.MatchString(tag) {
		return Ref{}, usageError(s, fmt.Sprintf("%q is not a tag", tag), "give oci:DIR:TAG")
	}
	if ref.Digest == (v1.Hash{}) {
		ref.Tag = tag
	}
	return ref, nil
}

// String is the reference as it was written.
func (r Ref) String() string { return r.text }

// ByDigest tells whether the reference names one content for ever.
func (r Ref) ByDigest() bool { return r.Digest != (v1.Hash{}) }

// WithDigest names a digest in the same repository.
func (r Ref) WithDigest(digest v1.Hash) Ref {
	return Ref{Transport: r.Transport, Repository: r.Repository, Digest: digest, text: r.place() + "@" + digest.String()}
}

// WithTag names a tag in the same repository.
func (r Ref) WithTag(tag string) Ref {
	return Ref{Transport: r.Transport, Repository: r.Repository, Tag: tag, text: r.place() + ":" + tag}
}

// place is the repository with its transport.
func (r Ref) place() string {
	if r.Transport == Layout {
		return string(Layout) + ":" + r.Repository
	}
	return r.Repository
}

// Destination is one repository to write to and the tags to move there.
type Destination struct {
	// Ref names the repository; its tag is the first of Tags.
	Ref  Ref
	Tags []string
}

// defaultTag is what a destination without a tag gets.
const defaultTag = name.DefaultTag

// Destinations groups references to write to by their repository, in order of first mention and each tag once.
// A reference by digest is [ErrUsage]: what a digest names cannot be chosen.
func Destinations(refs []Ref) ([]Destination, error) {
	var out []Destination
	at := make(map[string]int)
	seen := make(map[string]bool)
	for _, ref := range refs {
		if ref.ByDigest() {
			return nil, usageError(ref.String(), "a destination cannot be a digest", "give a tag")
		}
		tag := ref.Tag
		if tag == "" {
			tag = defaultTag
		}
		i, ok := at[ref.place()]
		if !ok {
			i = len(out)
			at[ref.place()] = i
			out = append(out, Destination{Ref: ref})
		}
		if key := ref.place() + ":" + tag; !seen[key] {
			seen[key] = true
			out[i].Tags = append(out[i].Tags, tag)
		}
	}
	return out, nil
}
