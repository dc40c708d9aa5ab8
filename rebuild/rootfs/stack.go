package rootfs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/layer"
)

// ContentOpener opens the content of a regular file that the index of a layer did not keep, e.g. by reading the
// layer again.
type ContentOpener func(layerIndex int, e *layer.Entry) (layer.File, error)

// Stack is the layers of an image, merged. It is immutable and safe for concurrent use.
type Stack struct {
	layers  []*layer.Index
	root    *node
	content ContentOpener
}

// New merges the layers, the lowest first.
//
// It returns a [*PathError] for an entry that no tree can hold: a path that is not clean or leads out of the
// root, a root that is no directory, a whiteout without a name, more implicit directories than a real image has.
func New(layers []*layer.Index) (*Stack, error) {
	s := &Stack{layers: slices.Clone(layers), root: &node{}}
	b := builder{root: s.root}
	for i, x := range s.layers {
		if x == nil {
			return nil, fmt.Errorf("merging layer %d: no index", i)
		}
		if err := b.add(i, x); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// WithContent returns the same stack with a way to open content that an index did not keep.
func (s *Stack) WithContent(open ContentOpener) *Stack {
	c := *s
	c.content = open
	return &c
}

// Len is the number of layers.
func (s *Stack) Len() int { return len(s.layers) }

// Layer returns the index of layer i, from 0 at the bottom.
func (s *Stack) Layer(i int) *layer.Index { return s.layers[i] }

// View returns the tree of the first n layers. It panics unless 0 <= n <= Len(), as slicing does.
func (s *Stack) View(n int) *View {
	_ = s.layers[:n:len(s.layers)]
	return &View{stack: s, limit: n}
}

// Top returns the tree of all layers.
func (s *Stack) Top() *View { return s.View(s.Len()) }

// Replace returns the stack with another layer in the place of layer i. Errors are those of New.
func (s *Stack) Replace(i int, x *layer.Index) (*Stack, error) {
	layers := slices.Clone(s.layers)
	layers[i] = x
	r, err := New(layers)
	if err != nil {
		return nil, err
	}
	r.content = s.content
	return r, nil
}

// History returns what the archives of all layers say about a physical path, bottom up: entries, whiteouts of
// the path and, for a directory, opaque whiteouts in it (a layer's whiteout before its entry). Whiteouts of a
// directory above the path are not among them. Implicit directories have no history.
func (s *Stack) History(path string) []Node {
	n := s.root
	if path != "." {
		for name := range strings.SplitSeq(path, "/") {
			if n = n.children[name]; n == nil {
				return nil
			}
		}
	}
	var nodes []Node
	for i := range n.records {
		r := &n.records[i]
		for _, e := range []*layer.Entry{r.whiteout, r.opaque} {
			if e != nil {
				nodes = append(nodes, Node{Entry: e, Layer: r.layer})
			}
		}
		if r.entry != nil {
			nodes = append(nodes, nodeOf(n, r, false))
		}
	}
	return nodes
}
