package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/rebuild"
	"github.com/nanopatch/nanopatch/rebuild/image"
	"github.com/nanopatch/nanopatch/rebuild/layer"
	"github.com/nanopatch/nanopatch/rebuild/pkgrepo"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
	"github.com/nanopatch/nanopatch/sbom/generate"
	"github.com/nanopatch/nanopatch/sign/attest"
)

// evidence holds what is attested of one image against the image itself and its source.
type evidence struct {
	*examination
	sub *VerifiedSubject
	pi  image.PlatformImage
	// made is nil for an image that was not rebuilt.
	made *making

	tree     *rootfs.Stack
	document *generate.Document
}

// collect makes all checks that read the image. One that fails is a line; an error is what could not be looked at.
func (e *evidence) collect(ctx context.Context) error {
	done := e.s.stage("content")
	ok, err := e.content(ctx)
	if err != nil || !ok {
		return err
	}
	done(count(e.tree.Len(), "layer"))
	if err := e.bills(ctx); err != nil {
		return err
	}
	if e.made == nil {
		if len(e.demands.Sources) > 0 {
			e.sub.fail(CheckSource, "nothing trusted says what the image was made from")
		}
		return nil
	}
	return e.rebuilt(ctx)
}

// content reads every layer: the store checks digests, sizes and diffIDs on the way.
func (e *evidence) content(ctx context.Context) (bool, error) {
	var err error
	e.tree, _, err = rebuild.Read(ctx, e.pi.Image, e.s.readOptions())
	if damaged(err) {
		e.sub.fail(CheckContent, "%v", err)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	e.sub.ok(CheckContent, "%s as the manifest says", count(e.tree.Len(), "layer"))
	return true, nil
}

// damaged tells content that is not what it is said to be from content that could not be had.
func damaged(err error) bool {
	var format *layer.FormatError
	return errors.Is(err, layer.ErrDigest) || errors.As(err, &format) || errors.Is(err, image.ErrVerification) ||
		errors.Is(err, image.ErrInvalid) || errors.Is(err, image.ErrNotFound)
}

// own is the image's SBOM, made again.
func (e *evidence) own(ctx context.Context) (*generate.Document, error) {
	if e.document != nil {
		return e.document, nil
	}
	done := e.s.stage("sbom")
	var err error
	e.document, err = e.s.document(ctx, e.of.Ref.WithDigest(e.pi.Descriptor.Digest).String(), e.pi.Image, e.tree)
	if err == nil {
		done(count(len(e.document.Packages), "package"))
	}
	return e.document, err
}

// bills holds the attested SBOMs against the image's.
func (e *evidence) bills(ctx context.Context) error {
	for _, kind := range []string{attest.PredicateSPDX, attest.PredicateCycloneDX} {
		for _, st := range e.sub.Statements(kind) {
			attested, err := generate.Read(bytes.NewReader(st.Predicate), kind)
			if err != nil {
				e.sub.fail(CheckSBOM, "%s: %v", kind, err)
				continue
			}
			if len(attested.Layers) == 0 {
				// Only nanopatch's documents name layers. Another tool counts other things as packages: neither right nor wrong.
				e.sub.Notes = append(e.sub.Notes, kind+": made by another tool, so it was not compared")
				continue
			}
			own, err := e.own(ctx)
			if err != nil {
				return err
			}
			if attested.Image.Digest != e.sub.Subject.String() {
				e.sub.fail(CheckSBOM, "%s: it is the SBOM of %s", kind, attested.Image.Digest)
				continue
			}
			if d := Compare(attested, own); len(d.Added)+len(d.Removed)+len(d.Changed) > 0 {
				e.sub.fail(CheckSBOM, "%s: the image has other packages: %s", kind, difference(d))
				continue
			}
			e.sub.ok(CheckSBOM, "%s: made again, %s", kind, count(len(own.Packages), "package"))
		}
	}
	return nil
}

// rebuilt makes the checks of a rebuilt image against its source.
func (e *evidence) rebuilt(ctx context.Context) error {
	lock, err := e.made.lock.For(e.made.image)
	if err != nil {
		e.sub.fail(CheckProvenance, "%v", err)
		return nil
	}
	source, err := e.openSource(ctx, e.made, e.made.image, e.of.Ref)
	switch {
	case errors.Is(err, image.ErrUnreachable) && !errors.Is(err, image.ErrNotFound):
		return fmt.Errorf("the source %s: %w; name another place with --source", e.made.image, err)
	case err != nil:
		e.sub.fail(CheckSource, "%v", err)
		return nil
	}
	if err := e.lineage(ctx, e.sub, e.made, source); err != nil {
		return err
	}
	old := source.Images[0]
	if err := e.layers(old.Image); err != nil {
		return err
	}
	if err := e.config(old.Image); err != nil {
		return err
	}
	e.exploitability(lock)
	if err := e.files(ctx, lock); err != nil {
		return err
	}
	return e.difference(ctx, source, old, lock)
}

// layers compares the manifests: a layer that differs must be one that the provenance names.
func (e *evidence) layers(source v1.Image) error {
	before, err := source.Manifest()
	if err != nil {
		return fmt.Errorf("reading the source's manifest: %w", err)
	}
	after, err := e.pi.Image.Manifest()
	if err != nil {
		return fmt.Errorf("reading the manifest: %w", err)
	}
	if len(before.Layers) != len(after.Layers) {
		e.sub.fail(CheckLayers, "%d, the source has %d", len(after.Layers), len(before.Layers))
		return nil
	}
	named := make(map[string]string)
	for _, r := range e.made.provenance.Byproducts {
		if old, ok := r.Annotations[annotationReplaces].(string); ok {
			named[old] = "sha256:" + r.Digest["sha256"]
		}
	}
	same := 0
	for i, l := range after.Layers {
		was := before.Layers[i].Digest
		switch {
		case was == l.Digest:
			same++
		case named[was.String()] != l.Digest.String():
			e.sub.fail(CheckLayers, "layer %d is %s, was %s in the source, and the provenance does not say that it was rewritten to this", i, l.Digest, was)
			return nil
		}
	}
	e.sub.ok(CheckLayers, "%d of %d are the source's, the others those that the provenance names", same, len(after.Layers))
	return nil
}

// config compares what the images run, and how.
func (e *evidence) config(source v1.Image) error {
	before, err := source.ConfigFile()
	if err != nil {
		return fmt.Errorf("reading the source's config: %w", err)
	}
	after, err := e.pi.Image.ConfigFile()
	if err != nil {
		return fmt.Errorf("reading the config: %w", err)
	}
	if !reflect.DeepEqual(before.Config, after.Config) || before.OS != after.OS || before.Architecture != after.Architecture {
		e.sub.fail(CheckConfig, "it does not run as the source does: entry point, environment, user or labels differ")
		return nil
	}
	e.sub.ok(CheckConfig, "runs as the source does")
	return nil
}

// files holds the updated packages against their artifacts.
func (e *evidence) files(ctx context.Context, lock *plan.PlatformLock) error {
	done := e.s.stage("files")
	if err := e.named(lock); err != nil {
		e.sub.fail(CheckFiles, "%v", err)
		return nil
	}
	client, err := rebuild.ImageClient(e.tree, e.s.packages)
	if err != nil {
		return err
	}
	if err := e.s.gather(ctx, client, lock, sources{beside: e.beside(), archives: e.demands.Archives}); err != nil {
		return e.gone(CheckFiles, err)
	}
	checked, err := rebuild.CheckFiles(ctx, e.tree, lock, e.s.readOptions())
	switch {
	case errors.Is(err, rebuild.ErrFiles), errors.Is(err, pkgrepo.ErrVerification):
		e.sub.fail(CheckFiles, "%v", err)
		return nil
	case err != nil:
		return err
	}
	e.sub.ok(CheckFiles, "%s of %s as in the artifacts, %d kept, %d taken over, %d written by scripts%s, %d removed by the image's author",
		count(checked.Same, "file"), count(len(lock.Updates), "update"), checked.Kept, checked.Taken, len(checked.Written), some(checked.Written), checked.Absent)
	done(count(checked.Same, "file"))
	return nil
}

// some names the first of paths, in brackets.
func some(paths []string) string {
	const most = 3
	switch {
	case len(paths) == 0:
		return ""
	case len(paths) > most:
		return fmt.Sprintf(" (%s, …)", strings.Join(paths[:most], ", "))
	}
	return fmt.Sprintf(" (%s)", strings.Join(paths, ", "))
}

// named makes sure that the lockfile's artifacts are the resolved dependencies: one signed document, one story.
func (e *evidence) named(lock *plan.PlatformLock) error {
	known := make(map[string]bool)
	for _, r := range e.made.provenance.ResolvedDependencies {
		known[r.Name+" "+r.Digest["sha256"]] = true
	}
	for _, u := range lock.Updates {
		if !known[u.PURL+" "+u.Artifact.SHA256] {
			return fmt.Errorf("the artifact of %s %s is not among the provenance's resolved dependencies", u.Key(), u.To)
		}
	}
	return nil
}

// gone is a failed check for an artifact that nobody has any more, an error for one that could not be asked for.
func (e *evidence) gone(check string, err error) error {
	if errors.Is(err, pkgrepo.ErrNotFound) || errors.Is(err, pkgrepo.ErrVerification) {
		e.sub.fail(check, "%v", err)
		return nil
	}
	return err
}
