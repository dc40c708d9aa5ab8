package pipeline

import (
	"context"
	"fmt"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/sign/attest"
)

// attachable is something to put beside an image, and its artifact type.
type attachable struct {
	kind string
	v1.Image
}

// billMedia are the media types of SBOMs by their predicate types, as IANA and the tools that look for them have them, and the
// names under which they are saved.
var billMedia = map[string]struct{ mediaType, file string }{
	attest.PredicateSPDX:      {"application/spdx+json", "sbom.spdx.json"},
	attest.PredicateCycloneDX: {"application/vnd.cyclonedx+json", "sbom.cdx.json"},
}

// artifacts makes what is asked for to lie beside the platforms' images, as artifacts that refer to them.
func (s *Session) artifacts(platforms []*rebuilt, r *Request) func(context.Context, v1.Descriptor) ([]attachable, error) {
	return func(ctx context.Context, of v1.Descriptor) ([]attachable, error) {
		// Two platforms may be the same image.
		at := slices.IndexFunc(platforms, func(b *rebuilt) bool { return b.digest == of.Digest })
		if at < 0 {
			return nil, nil
		}
		var all []attachable
		if r.Referrers {
			var err error
			if all, err = s.billArtifacts(ctx, platforms[at], r, of); err != nil {
				return nil, err
			}
		}
		if r.Packages {
			files, err := s.packageFiles(ctx, platforms[at], of)
			if err != nil {
				return nil, err
			}
			if files != nil {
				all = append(all, attachable{packagesType, files})
			}
		}
		return all, nil
	}
}

// billArtifacts are an image's SBOMs as artifacts: their type is the document's media type, their only blob the document,
// under a file name.
func (s *Session) billArtifacts(ctx context.Context, b *rebuilt, r *Request, of v1.Descriptor) ([]attachable, error) {
	doc, err := s.bill(ctx, b, r)
	if err != nil {
		return nil, err
	}
	var all []attachable
	for _, kind := range r.bills() {
		raw, err := encode(doc, billFormats[kind])
		if err != nil {
			return nil, err
		}
		media := billMedia[kind]
		made, err := image.NewArtifact(media.mediaType, of,
			map[string]string{"org.opencontainers.image.created": doc.Created.UTC().Format(time.RFC3339)},
			image.Blob{
				MediaType: types.MediaType(media.mediaType), Content: raw,
				Annotations: map[string]string{"org.opencontainers.image.title": media.file},
			})
		if err != nil {
			return nil, err
		}
		all = append(all, attachable{media.mediaType, made})
	}
	return all, nil
}

// attach puts a publication's artifacts beside its images. What is there already is not written again.
func (s *Session) attach(ctx context.Context, repo image.Repository, p *publication, subjects []subject, out *published) error {
	if p.artifacts == nil {
		return nil
	}
	done := s.stage("attach")
	for _, sub := range subjects {
		artifacts, err := p.artifacts(ctx, sub.descriptor)
		if err != nil {
			return err
		}
		for _, a := range artifacts {
			if err := repo.Attach(ctx, sub.descriptor, a); err != nil {
				return err
			}
			digest, err := a.Digest()
			if err != nil {
				return fmt.Errorf("hashing an artifact: %w", err)
			}
			out.attached = append(out.attached, Attachment{
				Repository: repo.String(), Platform: sub.platform, Subject: sub.descriptor.Digest, ArtifactType: a.kind, Digest: digest,
			})
		}
	}
	done(count(len(out.attached), "artifact"))
	return nil
}

// indexStatements are the SBOMs of the platforms' images as an index holds them; none where they are not asked for. The
// documents call the images by digest alone: the index is to be the same wherever it is written.
func (s *Session) indexStatements(ctx context.Context, platforms []*rebuilt, r *Request) (map[v1.Hash][]image.Statement, error) {
	if !r.InIndex || !slices.ContainsFunc(platforms, func(b *rebuilt) bool { return !b.job.Plan.Empty() }) {
		return nil, nil //nolint:nilnil // an index that stays as it is gets none
	}
	all := make(map[v1.Hash][]image.Statement)
	for _, b := range platforms {
		doc, err := s.document(ctx, "image@"+b.digest.String(), b.applied.Image, b.applied.Tree)
		if err != nil {
			return nil, err
		}
		// docker shows SPDX only.
		statements, err := statementsOf(doc, b.digest, []string{attest.PredicateSPDX})
		if err != nil {
			return nil, err
		}
		for _, st := range statements {
			st.Type = attest.TypeV01 // as BuildKit writes them
			raw, err := st.Encode()
			if err != nil {
				return nil, err
			}
			all[b.digest] = append(all[b.digest], image.Statement{PredicateType: st.PredicateType, Content: raw})
		}
	}
	return all, nil
}
