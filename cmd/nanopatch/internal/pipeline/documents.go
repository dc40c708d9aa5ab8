package pipeline

import (
	"bytes"
	"context"
	"fmt"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/rebuild"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
	"github.com/nanopatch/nanopatch/sbom/diff"
	"github.com/nanopatch/nanopatch/sbom/generate"
)

// document is the SBOM of an image over its merged layers. Its time is the image's own, so that the same image has the same
// document on any day.
func (s *Session) document(ctx context.Context, ref string, img v1.Image, stack *rootfs.Stack) (*generate.Document, error) {
	return s.documentOf(ctx, ref, img, stack, generate.Squashed)
}

// documentOf is the SBOM of an image in either scope, from the cache where it is there.
func (s *Session) documentOf(
	ctx context.Context, ref string, img v1.Image, stack *rootfs.Stack, scope generate.Scope,
) (*generate.Document, error) {
	described, created, err := describe(ref, img)
	if err != nil {
		return nil, err
	}
	if doc := s.documents.Cached(ctx, described, scope, created); doc != nil {
		return doc, nil
	}
	return s.catalog(ctx, described, created, stack, scope)
}

// catalog makes the SBOM of an image that the cache does not have.
func (s *Session) catalog(
	ctx context.Context, img generate.Image, created time.Time, stack *rootfs.Stack, scope generate.Scope,
) (doc *generate.Document, err error) {
	if scope == generate.AllLayers {
		doc, err = s.documents.GenerateAllLayers(ctx, img, layers{tree{stack.Top()}, stack}, created)
	} else {
		doc, err = s.documents.Generate(ctx, img, tree{stack.Top()}, created)
	}
	if err != nil {
		return nil, fmt.Errorf("making the SBOM of %s: %w", img.Ref, err)
	}
	return doc, nil
}

// describe is generate.Describe with the image's own time.
func describe(ref string, img v1.Image) (generate.Image, time.Time, error) {
	described, err := generate.Describe(ref, img)
	if err != nil {
		return generate.Image{}, time.Time{}, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return generate.Image{}, time.Time{}, fmt.Errorf("reading the config of %s: %w", ref, err)
	}
	return described, config.Created.Time, nil
}

// Document opens one platform's image and catalogs it, in either scope. No layer is
// read where an earlier run made the document.
func (s *Session) Document(ctx context.Context, ref string, img v1.Image, scope generate.Scope) (*generate.Document, error) {
	described, created, err := describe(ref, img)
	if err != nil {
		return nil, err
	}
	if doc := s.documents.Cached(ctx, described, scope, created); doc != nil {
		s.stage("sbom")(count(len(doc.Packages), "package") + ", cached")
		return doc, nil
	}
	stack, err := s.indexed(ctx, ref, img)
	if err != nil {
		return nil, err
	}
	done := s.stage("sbom")
	doc, err := s.catalog(ctx, described, created, stack, scope)
	if err != nil {
		return nil, err
	}
	done(count(len(doc.Packages), "package"))
	return doc, nil
}

// indexed reads an image's layers.
func (s *Session) indexed(ctx context.Context, ref string, img v1.Image) (*rootfs.Stack, error) {
	done := s.stage("index")
	stack, _, err := rebuild.Read(ctx, img, s.readOptions())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	done(count(stack.Len(), "layer"))
	return stack, nil
}

// side is a document as one side of a comparison.
func side(doc *generate.Document) diff.Side {
	return diff.Side{Image: doc.Image, Packages: doc.Packages}
}

// Compare compares the packages of two documents.
func Compare(older, newer *generate.Document) *diff.Diff {
	return diff.Compare(side(older), side(newer), versions{})
}

// gate holds the difference against the plan: every planned update exactly once, and nothing else but what lies in the
// files of an updated package.
func gate(d *diff.Diff, job *rebuild.Job) (*diff.Diff, error) {
	planned := make([]diff.Planned, 0, len(job.Plan.Updates))
	for _, u := range job.Plan.Updates {
		planned = append(planned, diff.Planned{Type: u.Type, Name: u.Name, Arch: u.NewArch(), From: u.From, To: u.To})
	}
	gated, err := d.Gate(planned, func(paths []string) (string, bool) {
		because := ""
		for _, p := range paths {
			update, ok := job.Because(p)
			if !ok {
				return "", false
			}
			because = update
		}
		return because, len(paths) > 0
	})
	if err != nil {
		return nil, fmt.Errorf("%s: nothing was published; --hold what is named and report it: %w", job.Plan.Image.Ref, err)
	}
	return gated, nil
}

// encode renders a document for an attestation.
func encode(doc *generate.Document, format generate.Format) ([]byte, error) {
	var b bytes.Buffer
	if err := doc.Encode(&b, format); err != nil {
		return nil, fmt.Errorf("encoding the SBOM of %s: %w", doc.Image.Ref, err)
	}
	return b.Bytes(), nil
}

// updated lists a plan's updates in one line: "libssl3 3.0.17-1 → 3.0.19-1, …".
func updated(p *plan.Plan) string {
	switch n := len(p.Updates); n {
	case 0:
		return "nothing to do"
	case 1:
		return p.Updates[0].Name + " " + p.Updates[0].From + " → " + p.Updates[0].To
	default:
		return fmt.Sprintf("%s %s → %s and %d more", p.Updates[0].Name, p.Updates[0].From, p.Updates[0].To, n-1)
	}
}
