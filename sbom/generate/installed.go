package generate

import (
	"path"
	"slices"
	"strings"

	"github.com/anchore/syft/syft/pkg"

	"github.com/nanopatch/nanopatch/sbom"
)

// Installation is a package of a document at one place of the image.
type Installation struct {
	sbom.Package
	// Place is the same for the versions of a package that replace each other: the directory of an npm package, the
	// site-packages that a Python package is in, the directory of an archive, or the file that the package was found in.
	Place string
	// Dir is the directory that belongs to the package alone but for the node_modules in it; empty where it has none.
	Dir string
	// Files are those that its metadata lists, and those by which it was found. Clean and relative to the root.
	Files []string
}

// archives are the extensions of files that hold a package each, with its version in their names.
var archives = []string{".jar", ".war", ".ear", ".par", ".sar", ".nar", ".kar", ".jpi", ".hpi", ".lpkg", ".whl"}

// Installed lists the packages of a name, at each place and of each layer that the document tells of: "lodash", or with the type
// of its package URL "npm/lodash". Packages of an operating system are left out: their database knows more than the document.
func (d *Document) Installed(name string) []Installation {
	return d.installations(func(p sbom.Package) bool { return p.Name == name || p.Type+"/"+p.Name == name })
}

// Holding lists the packages that a file belongs to, in the same way.
func (d *Document) Holding(file string) []Installation {
	var holding []Installation
	for _, in := range d.installations(func(sbom.Package) bool { return true }) {
		if slices.Contains(in.Files, file) || in.within(file) {
			holding = append(holding, in)
		}
	}
	return holding
}

// within tells whether a file is in the package's own directory.
func (in *Installation) within(file string) bool {
	rest, ok := strings.CutPrefix(file, in.Dir+"/")
	return ok && in.Dir != "" && !strings.HasPrefix(rest, "node_modules/") && !strings.Contains(rest, "/node_modules/")
}

func (d *Document) installations(want func(sbom.Package) bool) []Installation {
	var all []Installation
	for _, p := range d.sbom.Artifacts.Packages.Sorted() {
		switch p.Type {
		case pkg.DebPkg, pkg.ApkPkg, pkg.RpmPkg, pkg.AlpmPkg:
			continue
		default:
		}
		out := convert(p)
		out.Layer = d.layer(string(p.ID()))
		if !want(out) || len(out.Paths) == 0 {
			continue
		}
		all = append(all, installation(out, p))
	}
	slices.SortStableFunc(all, func(a, b Installation) int { return sbom.Compare(a.Package, b.Package) })
	return all
}

func installation(out sbom.Package, p pkg.Package) Installation {
	first := out.Paths[0]
	in := Installation{Package: out, Place: first, Files: out.Paths}
	switch m := p.Metadata.(type) {
	case pkg.NpmPackage:
		in.Dir = path.Dir(first)
		in.Place = in.Dir
	case pkg.PythonPackage:
		in.Place = path.Dir(path.Dir(first)) // site-packages/NAME-VERSION.dist-info/METADATA
		for _, name := range m.OwnedFiles() {
			if file := path.Join(in.Place, name); !path.IsAbs(name) && !strings.HasPrefix(file, "..") {
				in.Files = append(slices.Clip(in.Files), file)
			}
		}
	default:
		if slices.Contains(archives, strings.ToLower(path.Ext(first))) {
			in.Place = path.Dir(first)
		}
	}
	slices.Sort(in.Files)
	in.Files = slices.Compact(in.Files)
	return in
}
