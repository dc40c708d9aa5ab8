package generate

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	stereoscope "github.com/anchore/stereoscope/pkg/file"
	"github.com/anchore/stereoscope/pkg/filetree"
	"github.com/anchore/syft/syft/file"
)

// layersResolver lets the catalogers read every layer of a LayeredTree. It answers as the stock resolver of all
// layers does: what no layer above shows any more is there, too, and marked as hidden.
type layersResolver struct {
	tree   LayeredTree
	index  *layeredIndex
	mime   []*mimeTypes
	failed *failure
	// ids are the layers' diffIDs.
	ids []string
	// twins are, for each layer, the topmost one of the same diffID: mostly itself. A location names its layer by diffID, so
	// all are of that one, or the same location would now be hidden and now not.
	twins []int
}

var _ view = (*layersResolver)(nil)

func newLayersResolver(ctx context.Context, tree LayeredTree, ids []string) (*layersResolver, error) {
	x, err := newLayeredIndex(ctx, tree, len(ids))
	if err != nil {
		return nil, err
	}
	r := &layersResolver{tree: tree, index: x, failed: &failure{}, ids: ids}
	topmost := map[string]int{}
	for i, id := range ids {
		topmost[id] = i
	}
	for i := range x.layers {
		r.twins = append(r.twins, topmost[ids[i]])
		l := &x.layers[i]
		r.mime = append(r.mime, newMIMETypes(x.nodes[l.first:l.end], func(e *entry) (File, error) { return tree.OpenKeptIn(i, e.Path) }))
	}
	return r, nil
}

func (r *layersResolver) err() error { return r.failed.get() }

func (r *layersResolver) node(l file.Location) *entry {
	ref := l.Reference()
	return r.index.node(&ref)
}

func (r *layersResolver) at(c file.Coordinates) *entry {
	i := slices.Index(r.ids, c.FileSystemID)
	if i < 0 {
		return nil
	}
	return r.in(r.twins[i], c.RealPath)
}

// in is what a layer has at a path, nil where that is nothing.
func (r *layersResolver) in(layer int, path string) *entry {
	_, found, err := r.index.layers[layer].tree.File(stereoscope.Path(path))
	if err != nil || !found.HasReference() {
		return nil
	}
	return r.index.node(found.Reference)
}

func (r *layersResolver) owned(database file.Location, name string) *entry {
	e := r.node(database)
	if e == nil {
		return nil
	}
	found, err := r.index.layers[e.Layer].squashed.SearchByPath(name, filetree.FollowBasenameLinks)
	if err != nil {
		return nil
	}
	return r.index.found(found)
}

// topmost is the same node in the topmost layer of the same diffID.
func (r *layersResolver) topmost(e *entry) *entry {
	if twin := r.twins[e.Layer]; twin != e.Layer {
		if above := r.in(twin, string(e.ref.RealPath)); above != nil {
			return above
		}
	}
	return e
}

// location is the place of a node, found by the path access.
func (r *layersResolver) location(access string, e *entry) file.Location {
	e = r.topmost(e)
	l := file.NewLocationFromDirectory(string(e.ref.RealPath), r.ids[e.Layer], e.ref)
	l.AccessPath = access
	l.Annotations[file.VisibleAnnotationKey] = file.HiddenAnnotation
	if r.isVisible(l.RealPath, e) && (access == "" || r.isVisible(access, e)) {
		l.Annotations[file.VisibleAnnotationKey] = file.VisibleAnnotation
	}
	return l
}

// isVisible tells whether a path leads to the node in the image as a container sees it.
func (r *layersResolver) isVisible(path string, e *entry) bool {
	top := r.index.layers[len(r.index.layers)-1]
	found, err := top.squashed.SearchByPath(path, filetree.DoNotFollowDeadBasenameLinks)
	return err == nil && found.HasReference() && found.ID() == e.ref.ID()
}

// collector gathers locations, each node once.
type collector struct {
	resolver *layersResolver
	seen     map[*entry]bool
	found    []file.Location
}

func (r *layersResolver) collect() *collector {
	return &collector{resolver: r, seen: map[*entry]bool{}}
}

// add takes what a search in a layer led to.
func (c *collector) add(access string, found *stereoscope.Resolution, layer int) error {
	e := c.resolver.index.found(found)
	if e == nil {
		return nil
	}
	ends, err := c.resolver.index.ends(e, layer)
	if err != nil {
		return err
	}
	for _, end := range ends {
		end = c.resolver.topmost(end)
		if !c.seen[end] {
			c.seen[end] = true
			c.found = append(c.found, c.resolver.location(access, end))
		}
	}
	return nil
}

// HasPath tells whether any layer's archive has a path.
func (r *layersResolver) HasPath(p string) bool {
	for i := range r.index.layers {
		if r.index.layers[i].tree.HasPath(stereoscope.Path(p)) {
			return true
		}
	}
	return false
}

// FilesByPath returns the files of all layers that the paths lead to, each once.
func (r *layersResolver) FilesByPath(paths ...string) ([]file.Location, error) {
	c := r.collect()
	for _, p := range paths {
		for i := range r.index.layers {
			found, err := r.index.layers[i].own.SearchByPath(p, filetree.FollowBasenameLinks, filetree.DoNotFollowDeadBasenameLinks)
			if err != nil {
				return nil, fmt.Errorf("resolving %s in layer %d: %w", p, i, err)
			}
			if err := c.add(p, found, i); err != nil {
				return nil, err
			}
		}
	}
	return c.found, nil
}

// FilesByGlob returns the files that match one of the patterns as any layer sees the image, each once.
func (r *layersResolver) FilesByGlob(patterns ...string) ([]file.Location, error) {
	c := r.collect()
	for _, pattern := range patterns {
		for i := range r.index.layers {
			matches, err := r.index.layers[i].squashed.SearchByGlob(pattern, filetree.FollowBasenameLinks, filetree.DoNotFollowDeadBasenameLinks)
			if err != nil {
				return nil, fmt.Errorf("searching %s in layer %d: %w", pattern, i, err)
			}
			for k := range matches {
				if err := c.add(string(matches[k].RequestPath), &matches[k], i); err != nil {
					return nil, err
				}
			}
		}
	}
	return c.found, nil
}

// FilesByMIMEType returns the regular files at hand whose content is of one of the types, by layer and path.
func (r *layersResolver) FilesByMIMEType(types ...string) ([]file.Location, error) {
	var found []file.Location
	for i := range r.mime {
		if r.twins[i] != i {
			continue
		}
		entries, err := r.mime[i].find(types)
		if err != nil {
			r.failed.set(err)
			return nil, err
		}
		for _, e := range entries {
			found = append(found, r.location(string(e.ref.RealPath), e))
		}
	}
	return found, nil
}

// RelativeFileByPath finds a path as the layer of another file sees it.
func (r *layersResolver) RelativeFileByPath(beside file.Location, p string) *file.Location {
	e := r.node(beside)
	if e == nil {
		return nil
	}
	_, found, err := r.index.layers[e.Layer].squash.File(stereoscope.Path(p), filetree.FollowBasenameLinks)
	if err != nil || !found.HasReference() {
		return nil
	}
	end := r.index.node(found.Reference)
	if end == nil {
		return nil
	}
	l := r.location(p, end)
	return &l
}

// FileContentsByLocation opens the file at a location, following the links it may still have as its layer sees them.
func (r *layersResolver) FileContentsByLocation(l file.Location) (io.ReadCloser, error) {
	e := r.node(l)
	if e == nil {
		return nil, fmt.Errorf("no file at %s", l.RealPath)
	}
	if k := e.kind(); k == stereoscope.TypeSymLink || k == stereoscope.TypeHardLink {
		target := r.RelativeFileByPath(l, l.AccessPath)
		if target == nil {
			return nil, fmt.Errorf("%s leads nowhere", l.AccessPath)
		}
		e = r.node(*target)
	}
	if e.kind() != stereoscope.TypeRegular {
		return nil, fmt.Errorf("%s is not a regular file", l.RealPath)
	}
	if e.Size == 0 {
		return io.NopCloser(strings.NewReader("")), nil
	}
	f, err := r.tree.OpenIn(e.Layer, e.Path)
	return r.failed.watch(e, f, err)
}

// FileMetadataByLocation describes what is at a location, a link as a link.
func (r *layersResolver) FileMetadataByLocation(l file.Location) (file.Metadata, error) {
	e := r.node(l)
	if e == nil {
		return file.Metadata{}, fmt.Errorf("no file at %s", l.RealPath)
	}
	return e.metadata(), nil
}

// AllLocations sends every entry of every layer.
func (r *layersResolver) AllLocations(ctx context.Context) <-chan file.Location {
	return send(ctx, r.index.nodes, r.location)
}
