package generate

import (
	"context"
	"fmt"

	"github.com/anchore/stereoscope/pkg/file"
	"github.com/anchore/stereoscope/pkg/filetree"
)

// layeredIndex finds what each layer holds, and what each sees of the layers below it. The trees and the squashing are those
// of the stock image source, whiteouts and links across layers included.
type layeredIndex struct {
	layers []oneLayer
	nodes  []entry
	byRef  map[file.ID]int
}

// oneLayer is a layer by itself and on top of those below it.
type oneLayer struct {
	tree, squash  filetree.Reader
	own, squashed filetree.Searcher
	// first and end are the layer's part of the nodes.
	first, end int
}

func newLayeredIndex(ctx context.Context, tree LayeredTree, layers int) (*layeredIndex, error) {
	x := &layeredIndex{byRef: map[file.ID]int{}}
	paths := filetree.NewIndex()
	var below filetree.Reader
	for i := range layers {
		own := filetree.New()
		l := oneLayer{first: len(x.nodes)}
		builder := filetree.NewBuilder(own, paths)
		err := tree.WalkLayer(i, func(n Node) error {
			if n.Path == "." || n.Path == "" {
				return nil
			}
			n.Layer = i
			if err := x.add(builder, n); err != nil {
				return err
			}
			return ctx.Err()
		})
		if err != nil {
			return nil, fmt.Errorf("reading layer %d: %w", i, err)
		}
		below = filetree.NewLazySquash(below, own)
		l.tree, l.squash, l.end = own, below, len(x.nodes)
		l.own, l.squashed = filetree.NewSearchContext(own, paths), filetree.NewSearchContext(below, paths)
		x.layers = append(x.layers, l)
	}
	return x, nil
}

func (x *layeredIndex) add(builder *filetree.Builder, n Node) error {
	full, err := absolute(n.Path)
	if err != nil {
		return err
	}
	ref, err := builder.Add(file.Metadata{Path: full, Type: file.TypeFromTarType(n.Type), LinkDestination: n.Linkname})
	if err != nil {
		return fmt.Errorf("indexing %s: %w", full, err)
	}
	x.byRef[ref.ID()] = len(x.nodes)
	x.nodes = append(x.nodes, entry{Node: n, ref: *ref})
	return nil
}

// node is what a reference names; nil for a directory that no archive has an entry of.
func (x *layeredIndex) node(ref *file.Reference) *entry {
	if ref == nil {
		return nil
	}
	if i, ok := x.byRef[ref.ID()]; ok {
		return &x.nodes[i]
	}
	return nil
}

// found is the node that a search led to, unless it is a directory.
func (x *layeredIndex) found(r *file.Resolution) *entry {
	if !r.HasReference() {
		return nil
	}
	if e := x.node(r.Reference); e != nil && e.kind() != file.TypeDirectory {
		return e
	}
	return nil
}

// ends are the files that a node leads to: itself, or what a link leads to as its own layer and each one above see it.
func (x *layeredIndex) ends(e *entry, layer int) ([]*entry, error) {
	if k := e.kind(); k != file.TypeSymLink && k != file.TypeHardLink {
		return []*entry{e}, nil
	}
	var ends []*entry
	for i := layer; i < len(x.layers); i++ {
		_, r, err := x.layers[i].squash.File(e.ref.RealPath, filetree.FollowBasenameLinks)
		if filetree.IsUnresolvableLink(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("following %s in layer %d: %w", e.Path, i, err)
		}
		if r.HasReference() {
			if end := x.node(r.Reference); end != nil {
				ends = append(ends, end)
			}
		}
	}
	return ends, nil
}
