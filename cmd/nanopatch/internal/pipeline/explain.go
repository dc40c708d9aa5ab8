package pipeline

import (
	"context"
	"errors"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/rebuild"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
	"github.com/nanopatch/nanopatch/sbom/generate"
)

// Explain finds out where a package or path of an image comes from. What no package database of the image knows is looked for
// in its SBOM: that of all layers for a package, since lower layers may hold other versions.
func (s *Session) Explain(ctx context.Context, ref string, img v1.Image, what string) (*rebuild.Explanation, error) {
	done := s.stage("index")
	stack, layers, err := rebuild.Read(ctx, img, s.readOptions())
	if err != nil {
		return nil, err
	}
	done(count(stack.Len(), "layer"))
	x, err := rebuild.Explain(stack, layers, what)
	switch {
	case errors.Is(err, rebuild.ErrUnknown) && !strings.HasPrefix(what, "/"):
		doc, failed := s.staged(ctx, ref, img, stack, generate.AllLayers)
		if failed != nil {
			return nil, failed
		}
		if found := foundIn(doc.Installed(what)); len(found) > 0 {
			return rebuild.NewExplanation(rebuild.ExplainFound(stack, layers, found)), nil
		}
		return nil, err
	case err != nil:
		return nil, err
	}
	if x.Path != nil && len(x.Path.Packages) == 0 && isFile(stack, x.Path.Path) {
		doc, err := s.staged(ctx, ref, img, stack, generate.Squashed)
		if err != nil {
			return nil, err
		}
		for _, in := range doc.Holding(strings.TrimPrefix(x.Path.Path, "/")) {
			x.Path.Packages = append(x.Path.Packages, in.Type+"/"+in.Name+" "+in.Version)
		}
		x.Path.Packages = slices.Compact(x.Path.Packages)
	}
	return x, nil
}

// staged is documentOf as a stage of the run.
func (s *Session) staged(
	ctx context.Context, ref string, img v1.Image, stack *rootfs.Stack, scope generate.Scope,
) (*generate.Document, error) {
	done := s.stage("sbom")
	doc, err := s.documentOf(ctx, ref, img, stack, scope)
	if err != nil {
		return nil, err
	}
	done(count(len(doc.Packages), "package"))
	return doc, nil
}

// isFile tells whether the image shows a regular file at a path.
func isFile(stack *rootfs.Stack, path string) bool {
	n, ok := stack.Top().Lookup(strings.TrimPrefix(path, "/"))
	return ok && n.IsRegular()
}

// foundIn are a document's packages in the words of package rebuild. What the document has no layer for cannot be explained.
func foundIn(installed []generate.Installation) []rebuild.Found {
	var found []rebuild.Found
	for _, in := range installed {
		if in.Layer == nil {
			continue
		}
		found = append(found, rebuild.Found{
			Type: in.Type, Name: in.Name, Version: in.Version, Layer: in.Layer.Index, Paths: in.Paths, Files: in.Files, Dir: in.Dir,
			Place: in.Place,
		})
	}
	return found
}
