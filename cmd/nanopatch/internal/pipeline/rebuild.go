package pipeline

import (
	"context"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/nanopatch/nanopatch/rebuild"
	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/sbom"
	"github.com/nanopatch/nanopatch/sbom/diff"
	"github.com/nanopatch/nanopatch/sbom/generate"
	"github.com/nanopatch/nanopatch/sign/cosign"
)

// Request is what becomes of a planned rebuild.
type Request struct {
	Destinations []image.Destination
	// Signer is nil for an unsigned result.
	Signer cosign.Signer
	// Format is how signatures and attestations are stored.
	Format cosign.Format
	// Attest adds SBOM, diff, provenance and, where CVEs are known to be fixed, VEX to the signature.
	Attest bool
	// SBOMs are the predicate types of the SBOMs to attest; none is SPDX alone.
	SBOMs []string
	// Referrers puts the SBOMs, unsigned, beside each image as well, where oras and Trivy look for them.
	Referrers bool
	// Packages puts the package files of the updates beside each image, so that it can be verified and reproduced when
	// nobody else has them any more.
	Packages bool
	// InIndex puts them, unsigned, into the index that holds the images as well, where docker looks for them; a single image
	// that changes gets an index of its own.
	InIndex bool
}

// name is how documents call an image of the result: by its digest, in the first destination. Tags come and go.
func (r *Request) name(digest v1.Hash) string {
	return r.Destinations[0].Ref.WithDigest(digest).String()
}

// rebuilt is one platform on its way from source to result.
type rebuilt struct {
	job     *rebuild.Job
	applied *rebuild.Applied
	digest  v1.Hash
	diff    *diff.Diff
	// document is the new image's SBOM; of an unchanged image it is made when it is needed.
	document *generate.Document
}

// Rebuild is the main job, from the plan on.
func (s *Session) Rebuild(ctx context.Context, planned *Planned, r Request) (*Result, error) {
	platforms := make([]*rebuilt, len(planned.Jobs))
	// The images are read when the group is done, so its context must not end with it.
	var g errgroup.Group
	g.SetLimit(parallelPlatforms)
	for i, job := range planned.Jobs {
		g.Go(func() (err error) {
			platforms[i], err = s.rebuildOne(ctx, planned, job, &r)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	p, notes, err := s.assemble(ctx, planned, platforms, &r)
	if err != nil {
		return nil, err
	}
	out, err := s.publish(ctx, r.Destinations, p)
	if err != nil {
		return nil, err
	}
	result := s.result(planned, platforms, &r, out, notes)
	if err := s.remember(ctx, planned, &r, out.descriptor, result); err != nil {
		return nil, err
	}
	result.Bytes = s.bytes()
	return result, nil
}

// rebuildOne rewrites one platform's image and holds what came out against its plan.
func (s *Session) rebuildOne(ctx context.Context, planned *Planned, job *rebuild.Job, r *Request) (*rebuilt, error) {
	done := s.stage("rewrite")
	if job.Plan.Empty() {
		applied, err := job.Apply(ctx)
		if err != nil {
			return nil, err
		}
		done(updated(job.Plan))
		name := job.Plan.Image
		same := func(ref string) diff.Side {
			return diff.Side{Image: sbom.Image{Ref: ref, Digest: name.Digest.String(), Platform: name.Platform}}
		}
		nothing := diff.Compare(same(name.Ref), same(r.name(name.Digest)), versions{})
		return &rebuilt{job: job, applied: applied, digest: name.Digest, diff: nothing}, nil
	}
	// The old image's document needs one processor for as long as the rewrite needs the other.
	type made struct {
		doc      *generate.Document
		attached bool
		err      error
	}
	old := make(chan made, 1)
	go func() {
		doc, attached, err := s.before(ctx, planned, job, r)
		old <- made{doc, attached, err}
	}()
	applied, err := job.Apply(ctx)
	before := <-old
	if err != nil {
		return nil, err
	}
	if before.err != nil {
		return nil, before.err
	}
	out := &rebuilt{job: job, applied: applied}
	if out.digest, err = applied.Image.Digest(); err != nil {
		return nil, err
	}
	done(fmt.Sprintf("%d of %s: %s", job.Plan.Rewritten(), count(len(job.Plan.Layers), "layer"), updated(job.Plan)))
	done = s.stage("sbom")
	if out.document, err = s.document(ctx, r.name(out.digest), applied.Image, applied.Tree); err != nil {
		return nil, err
	}
	if out.diff, err = s.difference(ctx, before.doc, out.document, before.attached, job); err != nil {
		return nil, err
	}
	advisePlanned(out.diff, job.Plan)
	done(fmt.Sprintf("%s, %d changed as planned", count(len(out.document.Packages), "package"), len(out.diff.Changed)))
	return out, nil
}

// assemble puts the platforms' images together as the source had them: one image, or an index. Statements go into the index,
// which a single image is given for them.
func (s *Session) assemble(ctx context.Context, planned *Planned, platforms []*rebuilt, r *Request) (*publication, []string, error) {
	statements, err := s.indexStatements(ctx, platforms, r)
	if err != nil {
		return nil, nil, err
	}
	p := &publication{source: planned.Source, signer: r.Signer, format: r.Format, claims: make(map[v1.Hash]claims)}
	notes := append([]string{}, planned.Notes...)
	changes := make(map[v1.Hash]v1.Image)
	for _, b := range platforms {
		notes = append(notes, b.applied.Notes...)
		if !b.job.Plan.Empty() {
			changes[b.job.Plan.Image.Digest] = b.applied.Image
		}
	}
	if planned.Source.Index == nil && len(statements) == 0 {
		p.image = platforms[0].applied.Image
	} else {
		var more []string
		if p.index, more, err = newIndex(planned, platforms, changes, statements); err != nil {
			return nil, nil, err
		}
		notes = append(notes, more...)
	}
	if r.Referrers || r.Packages {
		p.artifacts = s.artifacts(platforms, r)
	}
	if !r.Attest {
		return p, notes, nil
	}
	for _, b := range platforms {
		p.claims[b.digest] = s.imageClaims(b, planned, r)
	}
	if p.index != nil && len(changes) > 0 {
		digest, err := p.index.Digest()
		if err != nil {
			return nil, nil, fmt.Errorf("describing the new index: %w", err)
		}
		p.claims[digest] = s.indexClaims(digest, platforms, planned, r)
	}
	return p, notes, nil
}

// newIndex is the source's index with the changed images in place of the old, or one around the only image. An index in
// which nothing changes stays as it is.
func newIndex(
	planned *Planned, platforms []*rebuilt, changes map[v1.Hash]v1.Image, statements map[v1.Hash][]image.Statement,
) (v1.ImageIndex, []string, error) {
	annotations := map[string]string{rebuild.AnnotationSource: planned.Source.Descriptor.Digest.String()}
	var index v1.ImageIndex
	var dropped, left []image.Note
	var err error
	if planned.Source.Index == nil {
		index, err = image.IndexOf(platforms[0].applied.Image, planned.Source.Images[0].Platform, annotations)
	} else {
		index, dropped, err = image.RebuildIndex(planned.Source.Index, changes, annotations)
	}
	if err == nil && len(statements) > 0 {
		index, left, err = image.AttestIndex(index, statements)
	}
	if err != nil {
		return nil, nil, err
	}
	var notes []string
	for _, n := range append(dropped, left...) {
		notes = append(notes, n.Text)
	}
	return index, notes, nil
}

func (s *Session) result(planned *Planned, platforms []*rebuilt, r *Request, out *published, notes []string) *Result {
	source := planned.Source
	res := &Result{
		APIVersion: plan.APIVersion, Kind: "Result", Notes: notes, Tags: tagsOf(r), Platforms: []PlatformResult{},
		Source:     NamedDigest{source.Ref.String(), source.Descriptor.Digest},
		Image:      NamedDigest{r.Destinations[0].Ref.String(), out.digest},
		Signatures: append([]Statement{}, out.signatures...), Attestations: append([]Statement{}, out.attestations...),
		Attached: append([]Attachment{}, out.attached...),
		Bytes:    s.bytes(), Seconds: s.seconds,
	}
	res.Signature = signatureOf(out.signatures, out.digest)
	for _, b := range platforms {
		p := b.job.Plan
		res.Platforms = append(res.Platforms, PlatformResult{
			Platform: p.Image.Platform, Distro: p.Distro, OldDigest: p.Image.Digest, NewDigest: b.digest,
			Updates: p.Updates, Held: p.Held, Unmanaged: p.Unmanaged, EOL: p.EOL, Overridden: p.Overridden, KeptFiles: p.KeptFiles,
			Layers: b.applied.Layers, Repositories: p.Repositories, Diff: b.diff,
		})
	}
	return res
}

// tagsOf lists all references that are to name the result.
func tagsOf(r *Request) []string {
	tags := []string{}
	for _, d := range r.Destinations {
		for _, tag := range d.Tags {
			tags = append(tags, d.Ref.WithTag(tag).String())
		}
	}
	return tags
}

// signatureOf is the first signature of one manifest.
func signatureOf(signatures []Statement, digest v1.Hash) Signature {
	for _, st := range signatures {
		if st.Subject == digest {
			return Signature{&st.Record}
		}
	}
	return Signature{}
}
