package generate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/anchore/syft/syft"
	"github.com/anchore/syft/syft/artifact"
	"github.com/anchore/syft/syft/cataloging"
	"github.com/anchore/syft/syft/cataloging/pkgcataloging"
	"github.com/anchore/syft/syft/file"
	"github.com/anchore/syft/syft/pkg"
	"github.com/anchore/syft/syft/pkg/cataloger/binary"
	"github.com/anchore/syft/syft/pkg/cataloger/rust"
)

// costly are the catalogers of the stock configuration whose results are remembered whole, with the options that they depend on:
// those that look into every executable. One that lists a package database has to run whenever a package was updated, and most
// others are as quick as remembering them. Two that are dear are left out, those of Java archives and Go programs: they unpack what
// is packed into temporary files, and say nothing when the disk is full. What is missing then would be missing in other images.
func costly(c pkgcataloging.Config) []costlyCataloger {
	return []costlyCataloger{
		{newNativeImages(), nil},
		{rust.NewAuditBinaryCataloger(), nil},
		{newDotnetBinaries(c.Dotnet), c.Dotnet},
		{binary.NewELFPackageCataloger(), nil},
	}
}

type costlyCataloger struct {
	pkg.Cataloger
	options any
}

// wrap has the costly catalogers of a configuration remembered.
func (m *memory) wrap(c *syft.CreateSBOMConfig) *syft.CreateSBOMConfig {
	if m == nil {
		return c
	}
	var names []string
	var instead []pkgcataloging.CatalogerReference
	replace := func(with pkg.Cataloger) {
		names = append(names, with.Name())
		instead = append(instead, pkgcataloging.NewAlwaysEnabledCatalogerReference(with))
	}
	for _, stock := range m.costly(c.Packages) {
		options, err := json.Marshal(stock.options)
		if err != nil {
			m.logger.Warn("a cataloger's results are not remembered", "cataloger", stock.Name(), "error", err)
			continue
		}
		replace(&rememberedCataloger{stock.Cataloger, m, string(options)})
	}
	for i := range c.Packages.Binary.Classifiers {
		classifier := &c.Packages.Binary.Classifiers[i]
		name := fmt.Sprintf("classifier %d %s %s", i, classifier.Class, classifier.FileGlob)
		classifier.EvidenceMatcher = rememberMatcher(m, name, classifier.EvidenceMatcher)
	}
	return c.WithCatalogerSelection(cataloging.NewSelectionRequest().WithRemovals(names...)).WithCatalogers(instead...)
}

type rememberedCataloger struct {
	pkg.Cataloger
	memory  *memory
	options string
}

// Catalog returns what the cataloger found in an image that answered its queries the same, or runs it. What the executables are is
// the first of the queries, so that those which follow are only asked of an image that has the same ones.
func (c *rememberedCataloger) Catalog(ctx context.Context, resolver file.Resolver) ([]pkg.Package, []artifact.Relationship, error) {
	if resolver != file.Resolver(c.memory.view) {
		return c.Cataloger.Catalog(ctx, resolver)
	}
	executables, err := resolver.FilesByMIMEType(slices.Sorted(maps.Keys(executableTypes))...)
	if err != nil {
		return c.Cataloger.Catalog(ctx, resolver)
	}
	found, err := c.memory.recall(c.Name(), c.options, executables, func(r file.Resolver) (results, error) {
		packages, relationships, err := c.Cataloger.Catalog(ctx, r)
		return results{packages, relationships}, errors.Join(err, ctx.Err())
	})
	return found.packages, found.relationships, err
}

// rememberMatcher remembers what a classifier of binaries finds in one file. The types of classifiers and of their input cannot be
// named here.
func rememberMatcher[K, C any](m *memory, name string, match func(K, C) ([]pkg.Package, error)) func(K, C) ([]pkg.Package, error) {
	return func(classifier K, input C) ([]pkg.Package, error) {
		resolver, location := matcherInput(&input)
		if resolver == nil || *resolver != file.Resolver(m.view) {
			return match(classifier, input)
		}
		found, err := m.recall(name, "", []file.Location{location}, func(r file.Resolver) (results, error) {
			*resolver = r
			packages, err := match(classifier, input)
			return results{packages: packages}, err
		})
		return found.packages, err
	}
}

// matcherInput is what a classifier's input has of an image, nil where it is not what it is known to be: a resolver, a location and
// another way to read the file, which the cataloger itself never gives.
func matcherInput(input any) (resolver *file.Resolver, at file.Location) {
	s := reflect.ValueOf(input).Elem()
	if s.Kind() != reflect.Struct || s.NumField() != 3 {
		return nil, at
	}
	r, l, other := s.FieldByName("Resolver"), s.FieldByName("Location"), s.FieldByName("GetReader")
	if !r.IsValid() || !l.IsValid() || !other.IsValid() || other.Kind() != reflect.Func || !other.IsNil() {
		return nil, at
	}
	resolver, _ = r.Addr().Interface().(*file.Resolver)
	location, ok := l.Interface().(file.Location)
	if !ok {
		return nil, at
	}
	return resolver, location
}
