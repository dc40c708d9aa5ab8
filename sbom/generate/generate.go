package generate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/anchore/syft/syft"
	"github.com/anchore/syft/syft/cataloging"
	"github.com/anchore/syft/syft/cataloging/pkgcataloging"
	"github.com/anchore/syft/syft/file"
	"github.com/anchore/syft/syft/pkg"
	syftsbom "github.com/anchore/syft/syft/sbom"
	"github.com/anchore/syft/syft/source"
	"github.com/google/licensecheck"

	_ "modernc.org/sqlite" // the driver that reads RPM databases
)

// Options set up a Generator. The zero value is ready to use.
type Options struct {
	// ToolVersion is nanopatch's own version, named in documents.
	ToolVersion string
	// CacheDir is a directory that keeps documents, and what was found in files, from run to run; empty keeps nothing. Nobody else
	// may be able to write to it.
	CacheDir string
	// Used is told of a file of CacheDir before it is taken, so that a cleaner can leave it; nil is nobody.
	Used func(file string)
	// Logger hears what was found; nil is silent.
	Logger *slog.Logger
}

// Generator makes documents. It is safe for concurrent use; use one for all images of a process, since it learns to recognize license
// texts once.
type Generator struct {
	version  string
	cacheDir string
	used     func(file string)
	logger   *slog.Logger
	// worth is worthKeeping and costly is that function, but in tests.
	worth  int64
	costly func(pkgcataloging.Config) []costlyCataloger
	// recognize finds the licenses in a text.
	recognize func(text []byte) licensecheck.Coverage
}

// New returns a Generator.
func New(opts Options) *Generator {
	g := &Generator{
		version: opts.ToolVersion, cacheDir: opts.CacheDir, used: opts.Used, logger: opts.Logger,
		worth: worthKeeping, costly: costly,
	}
	if g.used == nil {
		g.used = func(string) {}
	}
	if g.version == "" {
		g.version = unknownVersion
	}
	if g.logger == nil {
		g.logger = slog.New(slog.DiscardHandler)
	}
	g.recognize = recognizing(func(err error) { g.logger.Warn("license texts are recognized the slow way", "error", err) })
	return g
}

// Generate catalogs the packages of an image over its tree: those that a container of it would see. created becomes the
// document's time.
func (g *Generator) Generate(ctx context.Context, img Image, tree Tree, created time.Time) (*Document, error) {
	if err := img.validate(); err != nil {
		return nil, err
	}
	r, err := newResolver(ctx, tree, img.diffIDs())
	if err != nil {
		return nil, err
	}
	return g.catalog(ctx, &img, Squashed, r, created)
}

// GenerateAllLayers is Generate for all that the layers hold, packages that a layer above removed or replaced among
// them. A package that several layers hold in the same version is listed once.
func (g *Generator) GenerateAllLayers(ctx context.Context, img Image, tree LayeredTree, created time.Time) (*Document, error) {
	if err := img.validate(); err != nil {
		return nil, err
	}
	r, err := newLayersResolver(ctx, tree, img.diffIDs())
	if err != nil {
		return nil, err
	}
	return g.catalog(ctx, &img, AllLayers, r, created)
}

// Scope is which packages of an image a document lists.
type Scope string

// The scopes, by the names that the command line gives them.
const (
	Squashed  Scope = "squashed"   // what a container of the image sees
	AllLayers Scope = "all-layers" // what any layer holds
)

// Scopes lists them all.
func Scopes() []Scope { return []Scope{Squashed, AllLayers} }

// view is what the catalogers see of an image, and what the document needs to know of it besides.
type view interface {
	file.Resolver
	// node is what a location names, nil where it is nothing of the tree.
	node(l file.Location) *entry
	// at is what coordinates name, nil where that is nothing of the tree.
	at(c file.Coordinates) *entry
	// owned finds the file that a package owns under a name, as the layer sees it that holds the package's database at l.
	owned(l file.Location, name string) *entry
	// err is what went wrong with the tree.
	err() error
}

func (g *Generator) catalog(ctx context.Context, img *Image, scope Scope, v view, created time.Time) (*Document, error) {
	scan, err := withScan(ctx, linkable(), g.recognize)
	if err != nil {
		return nil, err
	}
	config := g.remembering(scope, v).wrap(g.config(scope))
	cataloged, err := syft.CreateSBOM(scan, newImageSource(img, source.Scope(scope), v), config)
	if err != nil {
		return nil, fmt.Errorf("cataloging %s: %w", img.Ref, err)
	}
	if err := errors.Join(ctx.Err(), v.err()); err != nil {
		return nil, fmt.Errorf("cataloging %s: %w", img.Ref, err)
	}
	d := g.document(img, v, cataloged, created)
	if err := g.keep(img, scope, d); err != nil {
		return nil, err
	}
	g.logger.DebugContext(ctx, "cataloged", "image", img.Ref, "scope", scope, "packages", len(d.Packages))
	return d, nil
}

// config selects what the stock CLI does to an image, but for: the files that packages own (thousands of
// relationships that say what the package database already says) and the files of the image, which have no place in a
// list of packages. Nothing looks at the machine this runs on or at the network.
func (g *Generator) config(scope Scope) *syft.CreateSBOMConfig {
	stock := syft.DefaultCreateSBOMConfig()
	packages := stock.Packages
	packages.Golang = packages.Golang.
		WithSearchLocalModCacheLicenses(false).WithSearchLocalVendorLicenses(false).WithSearchRemoteLicenses(false)
	packages.Binary = sieved(packages.Binary)
	packages.JavaArchive = packages.JavaArchive.WithUseNetwork(false).WithUseMavenLocalRepository(false)
	return stock.
		WithTool("nanopatch", g.version).
		WithPackagesConfig(packages).
		WithSearchConfig(stock.Search.WithScope(source.Scope(scope))).
		WithRelationshipsConfig(cataloging.DefaultRelationshipsConfig().WithPackageFileOwnership(false)).
		WithUnknownsConfig(cataloging.UnknownsConfig{}).
		WithoutFiles()
}

// document makes the result out of what the catalogers found.
func (g *Generator) document(img *Image, v view, cataloged *syftsbom.SBOM, created time.Time) *Document {
	cataloged.Artifacts.Unknowns = nil
	cataloged.Artifacts.FileDigests = evidenceDigests(cataloged.Artifacts.Packages, v)
	return newDocument(Document{
		Image: img.summary(), Layers: img.layers(), Created: created.UTC(), sbom: cataloged, tool: g.version,
	}, func(p pkg.Package) (int, bool) { return home(v, p) })
}
