package rebuild

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/ecosystem"
	"github.com/nanopatch/nanopatch/rebuild/plan"
	"github.com/nanopatch/nanopatch/rebuild/rootfs"
)

// ErrUnknown says that an image holds neither a package nor a path of a name.
var ErrUnknown = errors.New("neither a package nor a path of the image")

// Explanation says where something in an image comes from: the JSON document of `nanopatch explain -o json`.
type Explanation struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// Path is set for a path, Packages for a package name: one for each architecture.
	Path     *PathExplanation     `json:"path,omitempty"`
	Packages []PackageExplanation `json:"packages,omitempty"`
}

// PathExplanation is the history of one path.
type PathExplanation struct {
	// Asked is the path as it was asked for, Path where it leads in the tree once symbolic links are followed.
	Asked string `json:"asked"`
	Path  string `json:"path"`
	// Packages are those that ship the path, as "name:arch version": one for most files, many for a common directory.
	Packages []string `json:"packages"`
	// Visible is false where the image's tree does not show the path: it is only in layers below.
	Visible bool `json:"visible"`
	// Layers are those that hold the path or remove it, lowest first. Wasted is the bytes of the shadowed copies.
	Layers []PathLayer `json:"layers"`
	Wasted int64       `json:"wasted"`
}

// PathLayer is what one layer does to a path.
type PathLayer struct {
	Index     int    `json:"index"`
	CreatedBy string `json:"createdBy"`
	// Action is "adds", "removes", "hides" (a directory's lower content) or "replaces" (a directory by something else).
	Action string `json:"action"`
	// Above is the directory above the path that this is done to, with all that lower layers hold in it; empty where it
	// is the path itself.
	Above  string `json:"above,omitempty"`
	Size   int64  `json:"size"`
	Shadow bool   `json:"shadowed"`
}

// PackageExplanation is the history of one package that is installed, or was in a lower layer.
type PackageExplanation struct {
	// Type and Paths are set for a package that no package database knows: the type of its package URL, and the files that it
	// was found by.
	Type    string   `json:"type,omitempty"`
	Paths   []string `json:"paths,omitempty"`
	Name    string   `json:"name"`
	Arch    string   `json:"arch"`
	Version string   `json:"version"`
	// Home is the layer that installed this version.
	Home      int    `json:"layer"`
	CreatedBy string `json:"createdBy"`
	Files     int    `json:"files"`
	// Removed is the layer that removed the package, nil where it is installed.
	Removed *PackageRemoval `json:"removed,omitempty"`
	// Below lists the versions that lower layers installed and this one shadows, lowest first.
	Below []ShadowedVersion `json:"below"`
	// Wasted is the bytes of the package's files, in any of these versions, that layers hold and the image does not show.
	Wasted int64 `json:"wasted"`
}

// PackageRemoval is a layer whose package database no longer names a package that the layers below it installed.
type PackageRemoval struct {
	Layer     int    `json:"layer"`
	CreatedBy string `json:"createdBy"`
}

// ShadowedVersion is an older version of a package in a lower layer.
type ShadowedVersion struct {
	Layer   int    `json:"layer"`
	Version string `json:"version"`
}

// NewExplanation is the document that explains packages.
func NewExplanation(packages []PackageExplanation) *Explanation {
	return &Explanation{APIVersion: plan.APIVersion, Kind: "Explanation", Packages: packages}
}

// Explain finds out where a package or a path of an image comes from. What starts with a slash is a path; else a
// package of that name, "name" or "name:arch", goes first.
func Explain(stack *rootfs.Stack, layers []plan.Layer, what string) (*Explanation, error) {
	x := NewExplanation(nil)
	var err error
	if !strings.HasPrefix(what, "/") {
		if x.Packages, err = explainPackage(stack, layers, what); err != nil || len(x.Packages) > 0 {
			return x, err
		}
	}
	if x.Path, err = explainPath(stack, layers, what); err != nil {
		return nil, err
	}
	return x, nil
}

func explainPackage(stack *rootfs.Stack, layers []plan.Layer, what string) ([]PackageExplanation, error) {
	var found []PackageExplanation
	for _, b := range backends() {
		homes, db, err := plan.Homes(stack, b.ecosystem)
		if err != nil && !errors.Is(err, ecosystem.ErrNoDatabase) {
			return nil, err
		}
		here := false
		for _, p := range called(db, what) {
			below, files, err := versionsBelow(stack, b.ecosystem, p, homes[p.Key])
			if err != nil {
				return nil, err
			}
			here = true
			owned := db.Files(p.Key)
			found = append(found, PackageExplanation{
				Name: p.Name, Arch: p.Arch, Version: p.Version, Home: homes[p.Key], CreatedBy: layers[homes[p.Key]].CreatedBy,
				Files: len(owned), Below: below, Wasted: wasted(stack, append(files, owned...)),
			})
		}
		if here {
			continue
		}
		removed, err := explainRemoved(stack, layers, b.ecosystem, what)
		if err != nil {
			return nil, err
		}
		found = append(found, removed...)
	}
	return found, nil
}

// called lists the packages of a name, "name" or "name:arch". A database that is not there (nil) has none.
func called(db ecosystem.Database, what string) []ecosystem.Package {
	if db == nil {
		return nil
	}
	var all []ecosystem.Package
	for _, p := range db.Packages() {
		if p.Name == what || p.Key.String() == what {
			all = append(all, p)
		}
	}
	return all
}

// explainRemoved looks for a package that is installed no longer, from the top downwards.
func explainRemoved(stack *rootfs.Stack, layers []plan.Layer, eco ecosystem.Ecosystem, what string) ([]PackageExplanation, error) {
	var found []PackageExplanation
	for i := stack.Len() - 1; i > 0 && len(found) == 0; i-- {
		db, err := eco.Open(stack.View(i))
		if errors.Is(err, ecosystem.ErrNoDatabase) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("layer %d: %w", i-1, err)
		}
		for _, p := range called(db, what) {
			versions, files, err := versionsBelow(stack, eco, p, i)
			if err != nil {
				return nil, err
			}
			last := versions[len(versions)-1] // p itself
			found = append(found, PackageExplanation{
				Name: p.Name, Arch: p.Arch, Version: p.Version, Home: last.Layer, CreatedBy: layers[last.Layer].CreatedBy,
				Files: len(db.Files(p.Key)), Below: versions[:len(versions)-1], Wasted: wasted(stack, files),
				Removed: &PackageRemoval{Layer: i, CreatedBy: layers[i].CreatedBy},
			})
		}
	}
	return found, nil
}

// versionsBelow lists the versions of a package in the layers below one, each where it first appears, and the files that
// any of them owns.
func versionsBelow(
	stack *rootfs.Stack, eco ecosystem.Ecosystem, p ecosystem.Package, home int,
) (below []ShadowedVersion, files []string, err error) {
	below = []ShadowedVersion{}
	last := ""
	for i := range home {
		db, err := eco.Open(stack.View(i + 1))
		if errors.Is(err, ecosystem.ErrNoDatabase) {
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("layer %d: %w", i, err)
		}
		packages := db.Packages()
		k := slices.IndexFunc(packages, func(q ecosystem.Package) bool { return q.Key == p.Key })
		if k >= 0 && packages[k].Version != last {
			last = packages[k].Version
			below = append(below, ShadowedVersion{Layer: i, Version: last})
			files = append(files, db.Files(p.Key)...)
		}
	}
	return below, files, nil
}

// wasted is the bytes of all regular files that any layer holds under the names and that the image does not show.
func wasted(stack *rootfs.Stack, files []string) int64 {
	var sum int64
	seen := map[string]bool{}
	for _, file := range files {
		physical, err := stack.Top().ResolveDir(file)
		if err != nil || seen[physical] {
			continue // what a link leads out of the tree has no place in it
		}
		seen[physical] = true
		visible, shown := stack.Top().Lookup(physical)
		for _, n := range stack.History(physical) {
			if _, _, whiteout := n.Whiteout(); !whiteout && n.IsRegular() && (!shown || n.Layer != visible.Layer) {
				sum += n.Size
			}
		}
	}
	return sum
}

func explainPath(stack *rootfs.Stack, layers []plan.Layer, what string) (*PathExplanation, error) {
	asked := strings.TrimPrefix(path.Clean("/"+what), "/")
	if asked == "" {
		asked = "."
	}
	physical, err := stack.Top().ResolveDir(asked)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	history := stack.History(physical)
	if len(history) == 0 {
		return nil, fmt.Errorf("%s: %w: %w", what, ErrUnknown, fs.ErrNotExist)
	}
	x := &PathExplanation{Asked: what, Path: "/" + physical, Layers: removedAbove(stack, layers, physical)}
	visible, ok := stack.Top().Lookup(physical)
	x.Visible = ok
	for _, n := range history {
		l := PathLayer{Index: n.Layer, CreatedBy: layers[n.Layer].CreatedBy, Action: "adds", Size: n.Size}
		switch _, opaque, whiteout := n.Whiteout(); {
		case opaque:
			l.Action = "hides"
		case whiteout:
			l.Action = "removes"
		default:
			l.Shadow = !ok || visible.Layer != n.Layer
		}
		if l.Shadow {
			x.Wasted += l.Size
		}
		x.Layers = append(x.Layers, l)
	}
	// A layer's whiteouts concern what is below it, hence come before what it adds.
	slices.SortStableFunc(x.Layers, func(a, b PathLayer) int { return a.Index - b.Index })
	x.Packages, err = owners(stack, asked, physical)
	return x, err
}

// removedAbove finds the layers that took a path out of the tree by what they did to a directory above it.
func removedAbove(stack *rootfs.Stack, layers []plan.Layer, physical string) []PathLayer {
	removals := []PathLayer{}
	for dir := physical; dir != "."; {
		dir = path.Dir(dir)
		for _, n := range stack.History(dir) {
			l := PathLayer{Index: n.Layer, CreatedBy: layers[n.Layer].CreatedBy, Above: path.Join("/", dir)}
			switch _, opaque, whiteout := n.Whiteout(); {
			case opaque:
				l.Action = "hides"
			case whiteout:
				l.Action = "removes"
			case !n.IsDir():
				l.Action = "replaces"
			default:
				continue
			}
			if _, was := stack.View(n.Layer).Lookup(physical); was {
				removals = append(removals, l)
			}
		}
	}
	return removals
}

// owners lists the packages that ship a path, under the name it was asked for or the one that links lead to.
func owners(stack *rootfs.Stack, names ...string) ([]string, error) {
	all := []string{}
	for _, b := range backends() {
		db, err := b.ecosystem.Open(stack.Top())
		if errors.Is(err, ecosystem.ErrNoDatabase) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, p := range db.Packages() {
			if slices.ContainsFunc(db.Files(p.Key), func(file string) bool {
				physical, err := stack.Top().ResolveDir(file)
				return slices.Contains(names, file) || err == nil && slices.Contains(names, physical)
			}) {
				all = append(all, p.Key.String()+" "+p.Version)
			}
		}
	}
	return all, nil
}
