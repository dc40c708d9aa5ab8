package pipeline

import (
	"context"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/sign/cosign"
)

// Sign signs what a digest names and, of an index, every image in it.
func (s *Session) Sign(ctx context.Context, ref image.Ref, signer cosign.Signer, format cosign.Format) ([]cosign.Record, error) {
	src, err := s.OpenImage(ctx, ref, nil)
	if err != nil {
		return nil, err
	}
	repo, err := s.place(ref)
	if err != nil {
		return nil, err
	}
	subjects := []v1.Descriptor{src.Descriptor}
	if src.Index != nil {
		for _, pi := range src.Images {
			subjects = append(subjects, pi.Descriptor)
		}
	}
	done := s.stage("sign")
	var records []cosign.Record
	for _, d := range subjects {
		r, err := cosign.Sign(ctx, repo, v1.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size},
			cosign.SignOptions{Signer: signer, Format: format, Repository: repo.name(), Logger: s.cfg.Logger})
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	done(count(len(records), "signature") + ", " + records[0].By())
	return records, nil
}
