package image

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/distribution/reference"
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
	// LayoutArchive is "oci-archive:FILE[:TAG]" or "oci-archive:FILE@sha256:…", the same in a tar archive.
	LayoutArchive Transport = "oci-archive"
	// DockerArchive is "docker-archive:FILE[:NAME:TAG]", what docker save writes.
	DockerArchive Transport = "docker-archive"
	// DockerDaemon is "docker-daemon:NAME[:TAG]", an image in the store of a Docker or Podman service.
	DockerDaemon Transport = "docker-daemon"
)

// KeepsReferrers tells whether signatures and attestations can live beside an image there.
func (t Transport) KeepsReferrers() bool { return t != DockerArchive && t != DockerDaemon }

// Ref names an image, or a place for one. The zero value names nothing; [Parse] makes them.
type Ref struct {
	Transport Transport
	// Repository is the registry's host and repository in full ("index.docker.io/library/debian"), the layout's
	// directory or the archive's file as written, or the name that a daemon knows an image by ("debian").
	Repository string
	// Tag is the tag. A registry's and a daemon's is "latest" where nothing is said; a layout's is then empty. A
	// docker archive's has the name in it: "debian:12". It is empty in a reference by digest.
	Tag string
	// Digest is zero unless the reference is by digest.
	Digest v1.Hash

	text string
}

// Parse reads a reference. Its errors are [ErrUsage].
//
// A layout's directory and an archive's file end at the first colon, as with skopeo, so they cannot contain one.
func Parse(s string) (Ref, error) {
	scheme, rest, found := strings.Cut(s, ":")
	switch transport := Transport(scheme); {
	case s == "":
		return Ref{}, usageError(`""`, "an empty image name", "give repo/name:tag or oci:DIR:TAG")
	case found && (transport == Layout || transport == LayoutArchive):
		return parsePath(s, rest, transport, layoutTagOf)
	case found && transport == DockerArchive:
		return parsePath(s, rest, transport, dockerTagOf)
	case found && transport == DockerDaemon:
		return parseDaemon(s, rest)
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

func layoutTagOf(tag string) (string, error) {
	if !layoutTag.MatchString(tag) {
		return "", fmt.Errorf("%q is not a tag", tag)
	}
	return tag, nil
}

// dockerTagOf is a name with its tag as docker shows it.
func dockerTagOf(tag string) (string, error) {
	named, err := dockerName(tag)
	if err != nil {
		return "", err
	}
	return reference.FamiliarString(named), nil
}

func dockerName(s string) (reference.NamedTagged, error) {
	named, err := reference.ParseNormalizedNamed(s)
	if err != nil {
		return nil, fmt.Errorf("%q is not an image name: %w", s, err)
	}
	tagged, ok := reference.TagNameOnly(named).(reference.NamedTagged)
	if _, digested := named.(reference.Digested); digested || !ok {
		return nil, fmt.Errorf("%q is not a name with a tag", s)
	}
	return tagged, nil
}

func parseDaemon(s, rest string) (Ref, error) {
	named, err := dockerName(rest)
	if err != nil {
		return Ref{}, usageError(s, err.Error(), "give docker-daemon:NAME:TAG")
	}
	return Ref{Transport: DockerDaemon, Repository: reference.FamiliarName(named), Tag: named.Tag(), text: s}, nil
}

// parsePath reads what lies in the file system.
func parsePath(s, rest string, transport Transport, tagOf func(string) (string, error)) (Ref, error) {
	ref := Ref{Transport: transport, text: s}
	hint := fmt.Sprintf("give %s:PATH or %[1]s:PATH:TAG", transport)
	if i := strings.LastIndex(rest, "@"); i >= 0 && strings.Contains(rest[i:], ":") {
		digest, err := v1.NewHash(rest[i+1:])
		if err != nil {
			return Ref{}, &Error{
				Kind: ErrUsage, Ref: s, What: "not a digest: " + rest[i+1:], Cause: err,
				Hint: fmt.Sprintf("give %s:PATH@sha256:… with 64 hexadecimal digits", transport),
			}
		}
		ref.Digest, rest = digest, rest[:i]
	}
	path, tag, hasTag := strings.Cut(rest, ":")
	if path == "" {
		return Ref{}, usageError(s, "no path", hint)
	}
	ref.Repository = path
	if !hasTag {
		return ref, nil
	}
	tag, err := tagOf(tag)
	if err != nil {
		return Ref{}, usageError(s, err.Error(), hint)
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

// WithTag names a tag in the same repository; none is no tag, which a docker archive may do without.
func (r Ref) WithTag(tag string) Ref {
	out := Ref{Transport: r.Transport, Repository: r.Repository, Tag: tag, text: r.place()}
	if tag != "" {
		out.text += ":" + tag
	}
	return out
}

// place is the repository with its transport.
func (r Ref) place() string {
	if r.Transport == Registry {
		return r.Repository
	}
	return string(r.Transport) + ":" + r.Repository
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
		if tag == "" && ref.Transport != DockerArchive {
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
