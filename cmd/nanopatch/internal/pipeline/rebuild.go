package pipeline

import (
	"context"
	"encoding/json"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"

	"github.com/nanopatch/nanopatch/rebuild"
	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/sbom/diff"
	"github.com/nanopatch/nanopatch/sbom/generate"
	"github.com/nanopatch/nanopatch/sign/attest"
	"github.com/nanopatch/nanopatch/sign/cosign"
)

// Request is one rebuild.
type Request struct {
	Source       image.Ref
	Platforms    []v1.Platform
	Updates      Updates
	Destinations []image.Ref
	// Signer is nil for an unsigned result.
	Signer cosign.Signer
	// Attest adds SBOM, diff and provenance to the signature.
	Attest bool
}

// rebuilt is one platform on its way from source to result.
type rebuilt struct {
	job     *rebuild.Job
	applied *rebuild.Applied
	diff    *diff.Diff
	// document is the new image's SBOM; it is made when it is needed.
	document *generate.Document
}

// Rebuild is the main job.
func (s *Session) Rebuild(ctx context.Context, r Request) (*Result, error) {
	destinations, err := image.Destinations(r.Destinations)
	if err != nil {
		return nil, err
	}
	planned, err := s.Plan(ctx, r.Source, r.Platforms, r.Updates)
	if err != nil {
		return nil, err
	}
	platforms := make([]*rebuilt, len(planned.Jobs))
	for i, job := range planned.Jobs {
		if platforms[i], err = s.rebuildOne(ctx, job); err != nil {
			return nil, err
		}
	}
	p, notes, err := s.assemble(planned, platforms, r)
	if err != nil {
		return nil, err
	}
	out, err := s.publish(ctx, destinations, p)
	if err != nil {
		return nil, err
	}
	return s.result(planned, platforms, r, out, notes)
}

// rebuildOne rewrites one platform's image and holds what came out against its plan.
func (s *Session) rebuildOne(ctx context.Context, job *rebuild.Job) (*rebuilt, error) {
	out := &rebuilt{job: job, diff: diff.Compare(diff.Side{}, diff.Side{}, versions{})}
	done := s.stage("rewrite")
	if job.Plan.Empty() {
		applied, err := job.Apply(ctx)
		if err != nil {
			return nil, err
		}
		out.applied = applied
		done(updated(job.Plan))
		return out, nil
	}
	// The old image's document needs one processor for as long as the rewrite needs the other.
	type made struct {
		doc *generate.Document
		err error
	}
	old := make(chan made, 1)
	go func() {
		doc, err := s.document(ctx, job.Plan.Image.Ref, job.Image(), job.Tree)
		old <- made{doc, err}
	}()
	applied, err := job.Apply(ctx)
	before := <-old
	if err != nil {
		return nil, err
	}
	if before.err != nil {
		return nil, before.err
	}
	out.applied = applied
	done(fmt.Sprintf("%d of %s: %s", job.Plan.Rewritten(), count(len(job.Plan.Layers), "layer"), updated(job.Plan)))
	done = s.stage("sbom")
	if out.document, err = s.document(ctx, job.Plan.Image.Ref, applied.Image, applied.Tree); err != nil {
		return nil, err
	}
	if out.diff, err = gate(Compare(before.doc, out.document), job); err != nil {
		return nil, err
	}
	done(fmt.Sprintf("%s, %d changed as planned", count(len(out.document.Packages), "package"), len(out.diff.Changed)))
	return out, nil
}

// assemble puts the platforms' images together as the source had them: one image, or an index.
func (s *Session) assemble(planned *Planned, platforms []*rebuilt, r Request) (*publication, []string, error) {
	p := &publication{signer: r.Signer}
	notes := []string{}
	for _, b := range platforms {
		notes = append(notes, b.applied.Notes...)
	}
	if planned.Source.Index == nil {
		p.image = platforms[0].applied.Image
	} else {
		changes := make(map[v1.Hash]v1.Image)
		for _, b := range platforms {
			if !b.job.Plan.Empty() {
				changes[b.job.Plan.Image.Digest] = b.applied.Image
			}
		}
		index, dropped, err := image.RebuildIndex(planned.Source.Index, changes, map[string]string{
			rebuild.AnnotationSource: planned.Source.Descriptor.Digest.String(),
		})
		if err != nil {
			return nil, nil, err
		}
		p.index = index
		for _, n := range dropped {
			notes = append(notes, n.Text)
		}
	}
	for _, b := range platforms {
		sub, err := s.imageSubject(b, planned, r)
		if err != nil {
			return nil, nil, err
		}
		p.subjects = append(p.subjects, sub)
	}
	if p.index != nil {
		sub, err := s.indexSubject(p.index, platforms, planned, r)
		if err != nil {
			return nil, nil, err
		}
		p.subjects = append(p.subjects, sub)
	}
	return p, notes, nil
}

// imageSubject says what is signed about one platform's image.
func (s *Session) imageSubject(b *rebuilt, planned *Planned, r Request) (subject, error) {
	descriptor, err := partial.Descriptor(b.applied.Image)
	if err != nil {
		return subject{}, fmt.Errorf("describing the new image: %w", err)
	}
	config, err := b.applied.Image.ConfigFile()
	if err != nil {
		return subject{}, fmt.Errorf("describing the new image: %w", err)
	}
	sub := subject{descriptor: *descriptor, created: config.Created.Time}
	if r.Attest {
		sub.require = []string{attest.PredicateSPDX, attest.PredicateDiff, attest.PredicateProvenance}
	}
	sub.statements = func(ctx context.Context) ([]attest.Statement, error) {
		if !r.Attest {
			return nil, nil
		}
		return s.statements(ctx, descriptor.Digest, b, planned)
	}
	return sub, nil
}

// statements are SBOM, diff and provenance of one platform's image.
func (s *Session) statements(ctx context.Context, digest v1.Hash, b *rebuilt, planned *Planned) ([]attest.Statement, error) {
	if b.document == nil {
		doc, err := s.document(ctx, b.job.Plan.Image.Ref, b.applied.Image, b.applied.Tree)
		if err != nil {
			return nil, err
		}
		b.document = doc
	}
	spdx, err := encode(b.document, generate.SPDX)
	if err != nil {
		return nil, err
	}
	bill, err := attest.New(digest, attest.PredicateSPDX, spdx)
	if err != nil {
		return nil, err
	}
	change, err := json.Marshal(b.diff)
	if err != nil {
		return nil, fmt.Errorf("encoding the diff: %w", err)
	}
	difference, err := attest.New(digest, attest.PredicateDiff, change)
	if err != nil {
		return nil, err
	}
	provenance, err := s.provenance(digest, planned, b)
	if err != nil {
		return nil, err
	}
	return []attest.Statement{bill, difference, provenance}, nil
}

// indexSubject says what is signed about an index: where it comes from. What is in it is said of its images.
func (s *Session) indexSubject(index v1.ImageIndex, platforms []*rebuilt, planned *Planned, r Request) (subject, error) {
	descriptor, err := partial.Descriptor(index)
	if err != nil {
		return subject{}, fmt.Errorf("describing the new index: %w", err)
	}
	sub := subject{descriptor: *descriptor}
	for _, b := range platforms {
		config, err := b.applied.Image.ConfigFile()
		if err != nil {
			return subject{}, fmt.Errorf("describing the new index: %w", err)
		}
		if config.Created.After(sub.created) {
			sub.created = config.Created.Time
		}
	}
	if r.Attest {
		sub.require = []string{attest.PredicateProvenance}
	}
	sub.statements = func(context.Context) ([]attest.Statement, error) {
		if !r.Attest {
			return nil, nil
		}
		st, err := s.provenance(descriptor.Digest, planned, platforms...)
		return []attest.Statement{st}, err
	}
	return sub, nil
}

func (s *Session) result(planned *Planned, platforms []*rebuilt, r Request, out *published, notes []string) (*Result, error) {
	res := &Result{
		APIVersion: plan.APIVersion, Kind: "Result", Notes: notes,
		Source: NamedDigest{planned.Source.Ref.String(), planned.Source.Descriptor.Digest},
		Image:  NamedDigest{r.Destinations[0].String(), out.digest},
		Tags:   []string{}, Signature: out.signature, Attestations: append([]cosign.Record{}, out.attestations...),
		Bytes: s.bytes(), Seconds: s.seconds, Plans: planned.Plans(),
	}
	for _, d := range r.Destinations {
		res.Tags = append(res.Tags, d.String())
	}
	for _, b := range platforms {
		digest, err := b.applied.Image.Digest()
		if err != nil {
			return nil, err
		}
		res.Platforms = append(res.Platforms, PlatformResult{
			Platform: b.job.Plan.Image.Platform, OldDigest: b.job.Plan.Image.Digest, NewDigest: digest,
			Updates: b.job.Plan.Updates, Held: b.job.Plan.Held, Unmanaged: b.job.Plan.Unmanaged,
			Layers: b.applied.Layers, Diff: b.diff,
		})
	}
	return res, nil
}
