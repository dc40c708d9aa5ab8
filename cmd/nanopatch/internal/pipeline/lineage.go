package pipeline

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/sign/attest"
)

// maxLineage bounds how many rebuilds are followed back.
const maxLineage = 400

// Origin is where an image comes from, out of signed provenance.
type Origin struct {
	Source string `json:"source"`
	Digest string `json:"digest"`
	// Plan is the digest of the plan that was followed.
	Plan    string `json:"plan,omitempty"`
	Updates int    `json:"updates"`
}

// making is what a signed provenance says of how an image was made.
type making struct {
	provenance attest.Provenance
	// source is the digest of what was rebuilt, image that of the platform's image, the same unless source is an index.
	source, image v1.Hash
	ref           string
	lock          *plan.Lock
}

// origin reads a subject's provenance. It is nil where there is none, or none of a rebuild.
func (x *examination) origin(sub *VerifiedSubject, platform string) *making {
	all, err := provenances(sub.Report)
	if err != nil {
		sub.fail(CheckProvenance, "%v", err)
		return nil
	}
	for _, p := range all {
		m, err := makingOf(p, platform)
		if err != nil {
			sub.fail(CheckProvenance, "%v", err)
			return nil
		}
		// Who was made from itself says nothing.
		if m == nil || m.image == sub.Subject {
			continue
		}
		sub.From = m.origin()
		sub.ok(CheckProvenance, "rebuilt by %s from %s", p.BuilderID, m.source)
		return m
	}
	return nil // an image that was not rebuilt
}

// makingOf is nil for the provenance of another builder: it names its sources in its own way.
func makingOf(p attest.Provenance, platform string) (*making, error) {
	source, ok := p.Source()
	if !ok || p.BuildType != attest.BuildTypeRebuild {
		return nil, nil //nolint:nilnil // see above
	}
	m := &making{provenance: p}
	var err error
	if m.source, err = v1.NewHash("sha256:" + source.Digest["sha256"]); err != nil {
		return nil, fmt.Errorf("the source's digest: %w", err)
	}
	m.image, m.ref = m.source, source.URI
	if ref, ok := source.Annotations[annotationRef].(string); ok {
		m.ref = ref
	}
	if r, ok := p.Dependency(attest.NameSource + " " + platform); ok && platform != "" {
		if m.image, err = v1.NewHash("sha256:" + r.Digest["sha256"]); err != nil {
			return nil, fmt.Errorf("the source's digest: %w", err)
		}
	}
	if m.lock, err = lockOf(p); err != nil {
		return nil, err
	}
	if m.lock.Source != m.source {
		return nil, fmt.Errorf("%w: it is for %s, the provenance names %s as the source", plan.ErrLock, m.lock.Source, m.source)
	}
	return m, nil
}

func (m *making) origin() *Origin {
	o := &Origin{Source: m.ref, Digest: m.source.String()}
	for _, d := range m.provenance.ResolvedDependencies {
		if d.DownloadLocation != "" {
			o.Updates++
		}
	}
	if followed, ok := m.provenance.Plan(); ok {
		o.Plan = "sha256:" + followed.Digest["sha256"]
	}
	return o
}

// openSource opens a source image by its digest: where the user says, where the provenance says, or beside the image.
// Names do not matter for what is found, since the digest decides; a place that does not have it is passed over.
func (x *examination) openSource(ctx context.Context, m *making, digest v1.Hash, at image.Ref) (*image.Source, error) {
	var places []image.Ref
	if x.demands.Source != (image.Ref{}) {
		places = append(places, x.demands.Source)
	} else {
		if ref, err := image.Parse(m.ref); err == nil {
			places = append(places, ref)
		}
		places = append(places, at)
	}
	var refusals []error
	for _, place := range places {
		if x.s.cfg.Offline && place.Transport == image.Registry {
			refusals = append(refusals, fmt.Errorf("%s is not asked offline", place))
			continue
		}
		src, err := x.s.images.Open(ctx, place.WithDigest(digest))
		if err == nil {
			return src, nil
		}
		if ctx.Err() != nil {
			return nil, err
		}
		refusals = append(refusals, err)
	}
	return nil, errors.Join(refusals...)
}

// lineage follows an image back to the first source: as long as a source carries a provenance by the same signer, that
// one's source is next. Every one of them must be readable by its digest.
func (x *examination) lineage(ctx context.Context, sub *VerifiedSubject, m *making, source *image.Source) error {
	chain := []string{sub.Subject.String()}
	for len(chain) <= maxLineage {
		chain = append(chain, m.image.String())
		if slices.Contains(chain[:len(chain)-1], m.image.String()) {
			sub.fail(CheckLineage, "the images were made from each other: %s", strings.Join(chain, " ← "))
			return nil
		}
		earlier, next, err := x.earlier(ctx, source, m, sub.Platform)
		if err != nil {
			if errors.Is(err, image.ErrUnreachable) {
				return err
			}
			sub.fail(CheckLineage, "%v", err)
			return nil
		}
		if next == nil {
			x.first(sub, m, chain)
			return nil
		}
		source, m = earlier, next
	}
	sub.fail(CheckLineage, "more than %d rebuilds", maxLineage)
	return nil
}

// earlier is what a source was itself rebuilt from, nil where nobody trusted says that it was.
func (x *examination) earlier(ctx context.Context, source *image.Source, m *making, platform string) (*image.Source, *making, error) {
	repo, err := x.s.place(source.Ref)
	if err != nil {
		return nil, nil, err
	}
	sub, err := x.signatures(ctx, repo, m.image, nil)
	if err != nil {
		return nil, nil, err
	}
	next := x.origin(sub, platform)
	if next == nil {
		return nil, nil, nil
	}
	before, err := x.openSource(ctx, next, next.image, source.Ref)
	return before, next, err
}

// first ends a lineage at the first source and holds its name against those allowed.
func (x *examination) first(sub *VerifiedSubject, m *making, chain []string) {
	sub.ok(CheckLineage, "%d rebuilt, the first source is %s", len(chain)-1, m.ref)
	if len(x.demands.Sources) == 0 {
		return
	}
	for _, glob := range x.demands.Sources {
		if matchesName(glob, m.ref) {
			sub.ok(CheckSource, "%s is allowed by %s", m.ref, glob)
			return
		}
	}
	sub.fail(CheckSource, "%s is none of the sources allowed: %s", m.ref, strings.Join(x.demands.Sources, ", "))
}

// matchesName matches a whole reference, or one without its tag and digest. An asterisk does not match a slash.
func matchesName(glob, name string) bool {
	bare := name
	if ref, err := image.Parse(name); err == nil && ref.Transport == image.Registry {
		bare = ref.Repository
	}
	for _, candidate := range []string{name, bare} {
		if ok, err := path.Match(glob, candidate); ok && err == nil {
			return true
		}
	}
	return false
}
