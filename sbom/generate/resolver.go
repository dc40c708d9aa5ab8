package generate

import (
	"context"
	"fmt"
	"io"
	"strings"

	stereoscope "github.com/anchore/stereoscope/pkg/file"
	"github.com/anchore/syft/syft/file"
)

// resolver lets the catalogers read a Tree. It answers as the stock resolver of an image's squashed view does.
type resolver struct {
	tree  Tree
	index *index
	mime  *mimeTypes
	// failed is what went wrong with the tree, as opposed to what a cataloger could make nothing of.
	failed *failure
	// layers are the file system ids of the layers: their diffIDs.
	layers []string
}

var _ view = (*resolver)(nil)

func newResolver(ctx context.Context, tree Tree, layers []string) (*resolver, error) {
	x, err := newIndex(ctx, tree)
	if err != nil {
		return nil, err
	}
	for i := range x.nodes {
		if n := &x.nodes[i]; n.Layer < 0 || n.Layer >= len(layers) {
			return nil, fmt.Errorf("%s is in layer %d of an image of %d layers", n.Path, n.Layer, len(layers))
		}
	}
	r := &resolver{tree: tree, index: x, failed: &failure{}, layers: layers}
	r.mime = newMIMETypes(x.nodes, func(e *entry) (File, error) { return tree.OpenKept(e.Path) })
	return r, nil
}

// location is the place of a node, found by the path access.
func (r *resolver) location(access string, e *entry) file.Location {
	l := file.NewLocationFromDirectory(string(e.ref.RealPath), r.layers[e.Layer], e.ref)
	l.AccessPath = access
	return l
}

// HasPath tells whether a path exists; it may be a directory.
func (r *resolver) HasPath(p string) bool { return r.index.tree.HasPath(stereoscope.Path(p)) }

// FilesByPath returns the files that the paths lead to, each once. Paths that lead nowhere are left out.
func (r *resolver) FilesByPath(paths ...string) ([]file.Location, error) {
	found := make([]file.Location, 0, len(paths))
	seen := map[*entry]bool{}
	for _, p := range paths {
		e, err := r.index.resolve(p)
		if err != nil {
			return nil, err
		}
		if e == nil || seen[e] {
			continue
		}
		seen[e] = true
		found = append(found, r.location(p, e))
	}
	return found, nil
}

// FilesByGlob returns the files whose path, or a path leading to them, matches one of the patterns, each once.
func (r *resolver) FilesByGlob(patterns ...string) ([]file.Location, error) {
	var found []file.Location
	seen := map[*entry]bool{}
	for _, pattern := range patterns {
		matches, err := r.index.glob(pattern)
		if err != nil {
			return nil, err
		}
		for _, p := range matches {
			e, err := r.index.resolve(p)
			if err != nil {
				return nil, err
			}
			if e == nil || seen[e] {
				continue
			}
			seen[e] = true
			found = append(found, r.location(p, e))
		}
	}
	return found, nil
}

// FilesByMIMEType returns the regular files at hand whose content is of one of the types, sorted by path.
func (r *resolver) FilesByMIMEType(types ...string) ([]file.Location, error) {
	entries, err := r.mime.find(types)
	if err != nil {
		r.failed.set(err)
		return nil, err
	}
	found := make([]file.Location, 0, len(entries))
	for _, e := range entries {
		found = append(found, r.location(string(e.ref.RealPath), e))
	}
	return found, nil
}

// RelativeFileByPath is FilesByPath for one path: a squashed view has but one tree.
func (r *resolver) RelativeFileByPath(_ file.Location, p string) *file.Location {
	e, err := r.index.resolve(p)
	if err != nil || e == nil {
		return nil
	}
	l := r.location(p, e)
	return &l
}

// FileContentsByLocation opens the file at a location, following the links it may still have.
func (r *resolver) FileContentsByLocation(l file.Location) (io.ReadCloser, error) {
	e, err := r.index.resolve(l.RealPath)
	if err != nil {
		return nil, err
	}
	if e == nil || e.kind() != stereoscope.TypeRegular {
		return nil, fmt.Errorf("%s is not a regular file", l.RealPath)
	}
	if e.Size == 0 {
		return io.NopCloser(strings.NewReader("")), nil
	}
	f, err := r.tree.Open(e.Path)
	return r.failed.watch(e, f, err)
}

// FileMetadataByLocation describes what is at a location, a link as a link.
func (r *resolver) FileMetadataByLocation(l file.Location) (file.Metadata, error) {
	i, ok := r.index.byPath[l.RealPath]
	if !ok {
		return file.Metadata{}, fmt.Errorf("no file at %s", l.RealPath)
	}
	return r.index.nodes[i].metadata(), nil
}

// AllLocations sends every path of the tree, directories and links included.
func (r *resolver) AllLocations(ctx context.Context) <-chan file.Location {
	return send(ctx, r.index.nodes, r.location)
}

// send sends the location of each node until the context ends.
func send(ctx context.Context, nodes []entry, location func(access string, e *entry) file.Location) <-chan file.Location {
	all := make(chan file.Location)
	go func() {
		defer close(all)
		for i := range nodes {
			e := &nodes[i]
			select {
			case <-ctx.Done():
				return
			case all <- location(string(e.ref.RealPath), e):
			}
		}
	}()
	return all
}

func (r *resolver) node(l file.Location) *entry {
	if i, ok := r.index.byPath[l.RealPath]; ok {
		return &r.index.nodes[i]
	}
	return nil
}

func (r *resolver) at(c file.Coordinates) *entry {
	if i, ok := r.index.byPath[c.RealPath]; ok && r.layers[r.index.nodes[i].Layer] == c.FileSystemID {
		return &r.index.nodes[i]
	}
	return nil
}

func (r *resolver) owned(_ file.Location, name string) *entry {
	e, err := r.index.resolve(name)
	if err != nil {
		return nil
	}
	return e
}

func (r *resolver) err() error { return r.failed.get() }
