package generate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/anchore/syft/syft"
	"github.com/anchore/syft/syft/cataloging"
	syftsbom "github.com/anchore/syft/syft/sbom"

	_ "modernc.org/sqlite" // the driver that reads RPM databases
)

// Options set up a Generator. The zero value is ready to use.
type Options struct {
	// ToolVersion is nanopatch's own version, named in documents.
	ToolVersion string
	// Logger hears what was found; nil is silent.
	Logger *slog.Logger
}

// Generator makes documents. It is safe for concurrent use; use one for all images of a process, since what the
// license scanner needs is computed once per Generator.
type Generator struct {
	version string
	logger  *slog.Logger

	mu sync.Mutex
	// licenses looks up the values of a context that has the license scanner in it; see Prepare.
	licenses func(key any) any
}

// New returns a Generator.
func New(opts Options) *Generator {
	g := &Generator{version: opts.ToolVersion, logger: opts.Logger}
	if g.version == "" {
		g.version = "devel"
	}
	if g.logger == nil {
		g.logger = slog.New(slog.DiscardHandler)
	}
	return g
}

// Prepare builds what recognises license texts, about a second of one processor. Generate does it when it was not done:
// call it early, beside work that waits for the network.
func (g *Generator) Prepare(ctx context.Context) error {
	_, err := g.withLicenses(ctx)
	return err
}

// Generate catalogs the packages of an image over its tree. created becomes the document's time.
func (g *Generator) Generate(ctx context.Context, img Image, tree Tree, created time.Time) (*Document, error) {
	if len(img.Layers) == 0 {
		return nil, errors.New("an image without layers has no packages")
	}
	diffIDs := make([]string, len(img.Layers))
	for i := range img.Layers {
		diffIDs[i] = img.Layers[i].DiffID
	}
	r, err := newResolver(ctx, tree, diffIDs)
	if err != nil {
		return nil, err
	}
	scan, err := g.withLicenses(ctx)
	if err != nil {
		return nil, err
	}
	cataloged, err := syft.CreateSBOM(scan, newImageSource(&img, r), g.config())
	if err != nil {
		return nil, fmt.Errorf("cataloging %s: %w", img.Ref, err)
	}
	if err := errors.Join(ctx.Err(), r.failed.get()); err != nil {
		return nil, fmt.Errorf("cataloging %s: %w", img.Ref, err)
	}
	d := g.document(&img, r, cataloged, created)
	g.logger.DebugContext(ctx, "cataloged", "image", img.Ref, "paths", len(r.index.nodes), "packages", len(d.Packages))
	return d, nil
}

// config selects what the stock CLI does to an image, but for: the files that packages own (thousands of
// relationships that say what the package database already says) and the files of the image, which have no place in a
// list of packages. Nothing looks at the machine this runs on or at the network.
func (g *Generator) config() *syft.CreateSBOMConfig {
	stock := syft.DefaultCreateSBOMConfig()
	packages := stock.Packages
	packages.Golang = packages.Golang.
		WithSearchLocalModCacheLicenses(false).WithSearchLocalVendorLicenses(false).WithSearchRemoteLicenses(false)
	packages.JavaArchive = packages.JavaArchive.WithUseNetwork(false).WithUseMavenLocalRepository(false)
	return stock.
		WithTool("nanopatch", g.version).
		WithPackagesConfig(packages).
		WithRelationshipsConfig(cataloging.DefaultRelationshipsConfig().WithPackageFileOwnership(false)).
		WithUnknownsConfig(cataloging.UnknownsConfig{}).
		WithoutFiles()
}

// document makes the result out of what the catalogers found.
func (g *Generator) document(img *Image, r *resolver, cataloged *syftsbom.SBOM, created time.Time) *Document {
	cataloged.Artifacts.Unknowns = nil
	cataloged.Artifacts.FileDigests = evidenceDigests(cataloged.Artifacts.Packages, r.index)
	return newDocument(Document{
		Image: img.summary(), Layers: img.layers(), Created: created.UTC(), sbom: cataloged, tool: g.version,
	}, r.home)
}

// withLicenses returns ctx with the license scanner in it.
func (g *Generator) withLicenses(ctx context.Context) (context.Context, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.licenses == nil {
		scanner, err := syft.SetContextLicenseScanner(context.WithoutCancel(ctx), cataloging.DefaultLicenseConfig())
		if err != nil {
			return nil, fmt.Errorf("preparing the license scanner: %w", err)
		}
		g.licenses = scanner.Value
	}
	return overlay{Context: ctx, values: g.licenses}, nil
}

// overlay is a context with more values than its own. The scanner is reachable only through the context that the
// cataloging library put it in, and each document is made under a context of its own.
type overlay struct {
	context.Context //nolint:containedctx // it is one
	values          func(key any) any
}

// Value looks in the context itself first.
func (o overlay) Value(key any) any {
	if v := o.Context.Value(key); v != nil {
		return v
	}
	return o.values(key)
}
