package pipeline

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/nanopatch/nanopatch/rebuild"
	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
)

// packagesType is the artifact type of the package files that an image was updated with. They refer to the image, each is a
// blob, and nobody signs them: the lockfile in the signed provenance has their digests.
const packagesType = "application/vnd.nanopatch.packages.v1"

// packageMedia are the media types of package files by the types of purls; debs' is IANA's.
var packageMedia = map[string]types.MediaType{"deb": "application/vnd.debian.binary-package"}

// packageFiles makes an image's package files an artifact that refers to it; nil where nothing was updated. They are in the
// cache: the rebuild has just used them.
func (s *Session) packageFiles(ctx context.Context, b *rebuilt, of v1.Descriptor) (v1.Image, error) {
	var wanted []pkgrepo.Artifact
	for _, u := range b.job.Plan.Updates {
		a, err := rebuild.ArtifactOf(u)
		if err != nil {
			return nil, err
		}
		wanted = append(wanted, a)
	}
	if len(wanted) == 0 {
		return nil, nil //nolint:nilnil // see above
	}
	files, err := s.packages.Fetch(ctx, wanted, gathering)
	if err != nil {
		return nil, fmt.Errorf("attaching the package files of %s: %w", of.Digest, err)
	}
	var blobs []image.Blob
	for i, u := range b.job.Plan.Updates {
		media, ok := packageMedia[u.Type]
		if !ok {
			media = "application/octet-stream"
		}
		blobs = append(blobs, image.Blob{MediaType: media, File: files[i], Annotations: map[string]string{
			"org.opencontainers.image.title": titleOf(u.Artifact.URL, u.Artifact.SHA256),
		}})
	}
	return image.NewArtifact(packagesType, of, nil, blobs...)
}

// titleOf is the file name that a package file is saved under.
func titleOf(from, digest string) string {
	if parsed, err := url.Parse(from); err == nil {
		if name := path.Base(parsed.Path); filepath.IsLocal(name) && name != "." && !strings.ContainsAny(name, "\\\x00") {
			return name
		}
	}
	return digest
}

// packagesBeside finds package files among what refers to an image, when it is first asked for one.
type packagesBeside struct {
	repo    *place
	subject v1.Hash

	once  sync.Once
	err   error
	found map[v1.Hash]v1.Layer
}

// beside are the package files that lie beside the image.
func (e *evidence) beside() *packagesBeside {
	return &packagesBeside{repo: e.repo, subject: e.pi.Descriptor.Digest}
}

// keep brings a package file into the cache, if it lies beside the image. One that is not what it is said to be is no
// better than none: another place may have the right one.
func (p *packagesBeside) keep(ctx context.Context, client *pkgrepo.Client, a pkgrepo.Artifact) (bool, error) {
	if p == nil {
		return false, nil
	}
	p.once.Do(func() { p.found, p.err = p.list(ctx) })
	if p.err != nil {
		return false, p.err
	}
	blob, ok := p.found[v1.Hash{Algorithm: "sha256", Hex: fmt.Sprintf("%x", a.SHA256)}]
	if !ok {
		return false, nil
	}
	content, err := blob.Compressed()
	if err == nil {
		defer content.Close()
		err = client.Keep(ctx, a, content)
	}
	if errors.Is(err, image.ErrUnreachable) {
		return false, fmt.Errorf("reading package files beside %s: %w", p.subject, err)
	}
	if err != nil {
		return false, ctx.Err()
	}
	return true, nil
}

// maxPackages bounds how many package files one artifact may have.
const maxPackages = 10_000

func (p *packagesBeside) list(ctx context.Context) (map[v1.Hash]v1.Layer, error) {
	images, err := p.repo.Referrers(ctx, p.subject)
	if err != nil {
		return nil, err
	}
	found := make(map[v1.Hash]v1.Layer)
	for _, img := range images {
		manifest, err := img.Manifest()
		if err != nil || manifest.ArtifactType != packagesType || len(manifest.Layers) > maxPackages {
			continue // another kind of thing, or none of ours
		}
		for _, l := range manifest.Layers {
			if blob, err := img.LayerByDigest(l.Digest); err == nil {
				found[l.Digest] = blob
			}
		}
	}
	return found, nil
}
