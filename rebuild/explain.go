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

// Explanation says where something in an image comes from.
type Explanation struct {
	// Path is set for a path, Packages for a package name: one for each architecture.
	Path     *PathExplanation     `json:"path,omitempty"`
	Packages []PackageExplanation `json:"packages,omitempty"`
}

// PathExplanation is the history of one path.
type PathExplanation struct {
	// Asked is the path as it was asked for, Path where it leads in the tree once symbolic links are followed.
	Asked string `json:"asked"`
	Path  string `json:"path"`
	// Package owns the path, if one does.
	Package string `json:"package,omitempty"`
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
	// Action is "adds", "removes" or "hides" (a directory's lower content).
	Action string `json:"action"`
	Size   int64  `json:"size"`
	Shadow bool   `json:"shadowed"`
}

// PackageExplanation is the history of one installed package.
type PackageExplanation struct {
	Name    string `json:"name"`
	Arch    string `json:"arch"`
	Version string `json:"version"`
	// Home is the layer that installed this version.
	Home      int    `json:"layer"`
	CreatedBy string `json:"createdBy"`
	Files     int    `json:"files"`
	// Below lists the versions that lower layers installed and this one shadows, lowest first.
	Below []ShadowedVersion `json:"below"`
}

// ShadowedVersion is an older version of a package in a lower layer.
type ShadowedVersion struct {
	Layer   int    `json:"layer"`
	Version string `json:"version"`
}

// Explain finds out where a package or a path of an image comes from. What starts with a slash is a path; else a
// package of that name, "name" or "name:arch", goes first.
func Explain(stack *rootfs.Stack, layers []plan.Layer, what string) (*Explanation, error) {
	if !strings.HasPrefix(what, "/") {
		packages, err := explainPackage(stack, layers, what)
		if err != nil || len(packages) > 0 {
			return &Explanation{Packages: packages}, err
		}
	}
	p, err := explainPath(stack, layers, what)
	if err != nil {
		return nil, err
	}
	return &Explanation{Path: p}, nil
}

func explainPackage(stack *rootfs.Stack, layers []plan.Layer, what string) ([]PackageExplanation, error) {
	var found []PackageExplanation
	for _, b := range backends() {
		homes, db, err := plan.Homes(stack, b.ecosystem)
		if errors.Is(err, ecosystem.ErrNoDatabase) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, p := range db.Packages() {
			if p.Name != what && p.Key.String() != what {
				continue
			}
			below, err := versionsBelow(stack, b.ecosystem, p, homes[p.Key])
			if err != nil {
				return nil, err
			}
			found = append(found, PackageExplanation{
				Name: p.Name, Arch: p.Arch, Version: p.Version, Home: homes[p.Key],
				CreatedBy: layers[homes[p.Key]].CreatedBy, Files: len(db.Files(p.Key)), Below: below,
			})
		}
	}
	return found, nil
}

func versionsBelow(stack *rootfs.Stack, eco ecosystem.Ecosystem, p ecosystem.Package, home int) ([]ShadowedVersion, error) {
	below := []ShadowedVersion{}
	last := ""
	for i := range home {
		db, err := eco.Open(stack.View(i + 1))
		if errors.Is(err, ecosystem.ErrNoDatabase) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("layer %d: %w", i, err)
		}
		packages := db.Packages()
		k := slices.IndexFunc(packages, func(q ecosystem.Package) bool { return q.Key == p.Key })
		if k >= 0 && packages[k].Version != last {
			last = packages[k].Version
			below = append(below, ShadowedVersion{Layer: i, Version: last})
		}
	}
	return below, nil
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
	x := &PathExplanation{Asked: what, Path: "/" + physical, Layers: []PathLayer{}}
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
	x.Package, err = ownerOf(stack, asked, physical)
	return x, err
}

// ownerOf finds the package that ships a path, under the name it was asked for or the one that links lead to.
func ownerOf(stack *rootfs.Stack, names ...string) (string, error) {
	for _, b := range backends() {
		db, err := b.ecosystem.Open(stack.Top())
		if errors.Is(err, ecosystem.ErrNoDatabase) {
			continue
		}
		if err != nil {
			return "", err
		}
		for _, p := range db.Packages() {
			for _, f := range db.Files(p.Key) {
				physical, err := stack.Top().ResolveDir(f)
				if slices.Contains(names, f) || err == nil && slices.Contains(names, physical) {
					return p.Key.String() + " " + p.Version, nil
				}
			}
		}
	}
	return "", nil
}
