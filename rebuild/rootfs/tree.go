package rootfs

import (
	"archive/tar"
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/layer"
)

// position orders everything that happens to a tree: entries by layer, and within a layer by their place in the
// archive. The bare start of a layer lies below all its entries.
type position uint64

func startOf(layer int) position           { return position(layer) << 32 }
func positionOf(layer, entry int) position { return startOf(layer) | position(entry+1) }

// node is one path of the merged tree, whatever layer it is of.
type node struct {
	parent   *node // nil for the root
	name     string
	children map[string]*node
	records  []record // by layer, ascending; at most one each
}

// record is what one layer says about one path.
type record struct {
	layer int
	// entry is the layer's last entry of this path, nil if it has none; archived is the same as the archive names
	// it; inode is the archived entry whose file it is, another one for a hard link (nil when that leads nowhere).
	entry, archived, inode *layer.Entry
	inodeLayer             int
	at                     position // of entry

	whiteout, opaque *layer.Entry
	// floor hides what lies below the path from everything earlier: the start of the layer for whiteouts, the place
	// of the entry for one that is no directory.
	floor position
	// below is the place of the layer's last entry somewhere below this path, which makes it a directory if nothing
	// else does.
	below position
}

// isDir tells whether a record's entry is a directory.
func (r *record) isDir() bool { return r.entry != nil && r.entry.Type == tar.TypeDir }

// path is the physical path. Nodes do not keep it: in a deep tree the paths would take more memory than all else.
func (n *node) path() string {
	if n.parent == nil {
		return "."
	}
	var names []string
	for ; n.parent != nil; n = n.parent {
		names = append(names, n.name)
	}
	slices.Reverse(names)
	return strings.Join(names, "/")
}

// child returns a child node, which it makes if need be.
func (n *node) child(name string) (child *node, made bool) {
	if c, ok := n.children[name]; ok {
		return c, false
	}
	if n.children == nil {
		n.children = make(map[string]*node)
	}
	c := &node{parent: n, name: name}
	n.children[name] = c
	return c, true
}

// record returns what a layer says about the path, for change. Layers are added in order.
func (n *node) record(layer int) *record {
	if last := len(n.records) - 1; last >= 0 && n.records[last].layer == layer {
		return &n.records[last]
	}
	n.records = append(n.records, record{layer: layer})
	return &n.records[len(n.records)-1]
}

// alwaysDir tells whether no layer has anything but a directory here.
func (n *node) alwaysDir() bool {
	return !slices.ContainsFunc(n.records, func(r record) bool { return r.entry != nil && !r.isDir() })
}

// upTo is the number of records of the first limit layers.
func (n *node) upTo(limit int) int {
	i := len(n.records)
	for i > 0 && n.records[i-1].layer >= limit {
		i--
	}
	return i
}

// visible returns the record that the first limit layers show for the path, of which all below floor is hidden.
// A record without an entry of its own, or with one that entries below it replaced, stands for an implicit directory.
func (n *node) visible(limit int, floor position) (r *record, implicit bool) {
	var parent *record
	for i := n.upTo(limit) - 1; i >= 0; i-- {
		r := &n.records[i]
		if r.below > r.at && r.below >= floor {
			parent = r
		}
		if r.entry != nil && r.at >= floor {
			if parent == nil || r.isDir() {
				return r, false
			}
			break
		}
		if r.entry != nil || r.whiteout != nil {
			break
		}
	}
	return parent, parent != nil
}

// floorBelow is the floor for the children of a path that has itself the given floor.
func (n *node) floorBelow(limit int, floor position) position {
	for i := n.upTo(limit) - 1; i >= 0; i-- {
		if f := n.records[i].floor; f != 0 {
			return max(f, floor)
		}
	}
	return floor
}
