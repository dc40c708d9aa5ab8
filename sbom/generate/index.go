package generate

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/anchore/stereoscope/pkg/file"
	"github.com/anchore/stereoscope/pkg/filetree"
	"github.com/bmatcuk/doublestar/v4"
)

// index finds the nodes of a tree by path, pattern and directory, with the symbolic-link rules of the stock image
// source: its search is used, over a tree that holds no content.
type index struct {
	tree   *filetree.FileTree
	search filetree.Searcher
	// nodes are in Walk's order; byRef and byPath ("/usr/bin/ls") lead into them.
	nodes  []entry
	byRef  map[file.ID]int
	byPath map[string]int
	// children are the paths directly below a real directory.
	children map[string][]string
}

type entry struct {
	Node
	ref file.Reference
}

func newIndex(ctx context.Context, tree Tree) (*index, error) {
	x := &index{
		tree:     filetree.New(),
		byRef:    map[file.ID]int{},
		byPath:   map[string]int{},
		children: map[string][]string{},
	}
	paths := filetree.NewIndex()
	builder := filetree.NewBuilder(x.tree, paths)
	err := tree.Walk(func(n Node) error {
		if n.Path == "." || n.Path == "" {
			return nil
		}
		full, err := absolute(n.Path)
		if err != nil {
			return err
		}
		ref, err := builder.Add(file.Metadata{Path: full, Type: file.TypeFromTarType(n.Type), LinkDestination: n.Linkname})
		if err != nil {
			return fmt.Errorf("indexing %s: %w", full, err)
		}
		x.byRef[ref.ID()], x.byPath[full] = len(x.nodes), len(x.nodes)
		x.nodes = append(x.nodes, entry{Node: n, ref: *ref})
		dir := path.Dir(full)
		x.children[dir] = append(x.children[dir], full)
		return ctx.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("reading the image's tree: %w", err)
	}
	x.search = filetree.NewSearchContext(x.tree, paths)
	return x, nil
}

// absolute is a node's path as the catalogers write it.
func absolute(p string) (string, error) {
	if path.Clean("/"+p) != "/"+p {
		return "", fmt.Errorf("path %q is not clean", p)
	}
	return "/" + p, nil
}

// resolve follows every symbolic link of a path; nil says that it leads nowhere, to a directory or to the root.
func (x *index) resolve(p string) (*entry, error) {
	found, err := x.search.SearchByPath(p, filetree.FollowBasenameLinks)
	if err != nil {
		return nil, fmt.Errorf("resolving %s: %w", p, err)
	}
	return x.file(found), nil
}

// file is the node that a search led to, unless that is a directory or was never in the tree by itself.
func (x *index) file(found *file.Resolution) *entry {
	if !found.HasReference() {
		return nil
	}
	i, ok := x.byRef[found.ID()]
	if !ok || x.nodes[i].kind() == file.TypeDirectory {
		return nil
	}
	return &x.nodes[i]
}

func (e *entry) kind() file.Type { return file.TypeFromTarType(e.Type) }

// glob returns the paths that match a pattern, links among them, in the order of the stock source: real paths first.
func (x *index) glob(pattern string) ([]string, error) {
	if matches, ok := x.globOneDirectory(pattern); ok {
		return matches, nil
	}
	found, err := x.search.SearchByGlob(pattern, filetree.FollowBasenameLinks)
	if err != nil {
		return nil, fmt.Errorf("searching %s: %w", pattern, err)
	}
	matches := make([]string, 0, len(found))
	for i := range found {
		if x.file(&found[i]) != nil {
			matches = append(matches, string(found[i].RequestPath))
		}
	}
	return matches, nil
}

// globOneDirectory answers patterns like "/var/lib/dpkg/info/libc6.*" from one directory: the general search
// tries the last component on every name of the image, for each package anew.
func (x *index) globOneDirectory(pattern string) ([]string, bool) {
	const meta = `*?[]{}\`
	dir, name := path.Split(pattern)
	dir = strings.TrimSuffix(dir, "/")
	if !path.IsAbs(dir) || strings.ContainsAny(dir, meta) || path.Clean(dir) != dir || !strings.ContainsAny(name, meta) ||
		strings.Contains(name, "**") || !doublestar.ValidatePattern(name) {
		return nil, false
	}
	i, ok := x.byPath[dir]
	if !ok || x.nodes[i].kind() != file.TypeDirectory {
		return nil, false
	}
	var matches []string
	for _, p := range x.children[dir] {
		if !doublestar.MatchUnvalidated(name, path.Base(p)) {
			continue
		}
		if e, err := x.resolve(p); err == nil && e != nil {
			matches = append(matches, p)
		}
	}
	// A file found at its real path goes before one found through a link.
	slices.SortFunc(matches, func(a, b string) int {
		if la, lb := x.isLink(a), x.isLink(b); la != lb {
			if lb {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	return matches, true
}

func (x *index) isLink(p string) bool { return x.nodes[x.byPath[p]].Linkname != "" }
