package rebuild

import (
	"cmp"
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// Found is a package that no package database of the image knows and something else found in its files: a module of npm, a
// library within a program.
type Found struct {
	Type, Name, Version string
	// Layer is the layer that holds it in this version.
	Layer int
	// Paths are the files that it was found by, Files all that belong to it, and Dir, if not empty, is a directory of its own but
	// for the node_modules in it. All are clean and relative to the root.
	Paths, Files []string
	Dir          string
	// Place is the same for versions that replace each other.
	Place string
}

// ExplainFound tells of packages that were found in the layers of an image, all of them whether they show or not, what Explain
// tells of those in a database.
func ExplainFound(stack *rootfs.Stack, layers []plan.Layer, found []Found) []PackageExplanation {
	found = slices.Clone(found)
	key := func(f Found) string { return f.Type + "\x00" + f.Name + "\x00" + f.Place }
	slices.SortStableFunc(found, func(a, b Found) int {
		return cmp.Or(cmp.Compare(key(a), key(b)), cmp.Compare(a.Layer, b.Layer), cmp.Compare(a.Version, b.Version))
	})
	var all []PackageExplanation
	for len(found) > 0 {
		n := slices.IndexFunc(found, func(f Found) bool { return key(f) != key(found[0]) })
		if n < 0 {
			n = len(found)
		}
		all = append(all, explainPlace(stack, layers, found[:n])...)
		found = found[n:]
	}
	return all
}

// explainPlace tells of the versions of a package at one place, lowest layer first. Of several that show, the first one shadows
// the others.
func explainPlace(stack *rootfs.Stack, layers []plan.Layer, versions []Found) []PackageExplanation {
	// owning is a version with all of its files.
	type owning struct {
		Found
		own []string
	}
	var shown []owning
	var last owning
	below := []ShadowedVersion{}
	var files []string
	for _, f := range versions {
		last = owning{f, f.all(stack)}
		files = append(files, last.own...)
		if f.shows(stack.Top()) {
			shown = append(shown, last)
		} else {
			below = append(below, ShadowedVersion{Layer: f.Layer, Version: f.Version})
		}
	}
	explain := func(f owning, below []ShadowedVersion, wasted int64) PackageExplanation {
		count := 0
		for _, file := range f.own {
			if n, ok := stack.View(f.Layer + 1).Lookup(file); ok && n.IsRegular() {
				count++
			}
		}
		return PackageExplanation{
			Type: f.Type, Name: f.Name, Version: f.Version, Paths: f.Paths, Home: f.Layer, CreatedBy: layers[f.Layer].CreatedBy,
			Files: count, Below: below, Wasted: wasted,
		}
	}
	if len(shown) == 0 {
		x := explain(last, below[:len(below)-1], wasted(stack, files))
		x.Removed = last.removed(stack, layers)
		return []PackageExplanation{x}
	}
	all := []PackageExplanation{explain(shown[0], below, wasted(stack, files))}
	for _, f := range shown[1:] {
		all = append(all, explain(f, []ShadowedVersion{}, 0))
	}
	return all
}

// shows tells whether a view has the package from its layer.
func (f *Found) shows(view *rootfs.View) bool {
	return slices.ContainsFunc(f.Paths, func(p string) bool {
		n, ok := view.Lookup(p)
		return ok && n.Layer == f.Layer
	})
}

// removed is the layer that took the package away, nil where it still shows.
func (f *Found) removed(stack *rootfs.Stack, layers []plan.Layer) *PackageRemoval {
	for i := f.Layer + 1; i < stack.Len(); i++ {
		if !f.shows(stack.View(i + 1)) {
			return &PackageRemoval{Layer: i, CreatedBy: layers[i].CreatedBy}
		}
	}
	return nil
}

// all lists the package's files: those that are named, and those that any layer holds in its directory.
func (f *Found) all(stack *rootfs.Stack) []string {
	files := slices.Clone(f.Files)
	if f.Dir == "" {
		return files
	}
	for i := range stack.Len() {
		index := stack.Layer(i)
		for k := range index.Entries {
			rest, within := strings.CutPrefix(index.Entries[k].Path, f.Dir+"/")
			if within && index.Entries[k].IsRegular() && !strings.HasPrefix(rest, "node_modules/") && !strings.Contains(rest, "/node_modules/") {
				files = append(files, index.Entries[k].Path)
			}
		}
	}
	slices.Sort(files)
	return slices.Compact(files)
}
