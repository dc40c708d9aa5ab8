package generate

import (
	"slices"
	"strings"

	"github.com/anchore/packageurl-go"
	"github.com/anchore/syft/syft/pkg"

	"github.com/nanopatch/nanopatch/sbom"
)

// distributorTypes are the package URL types whose namespace names who distributes the package, not the package.
var distributorTypes = []string{
	packageurl.TypeDebian, packageurl.TypeApk, packageurl.TypeRPM, packageurl.TypeAlpm, "opkg", "portage",
}

// convert says in the words of package sbom what a cataloger found. Type, name and architecture come from the package
// URL where there is one: it reads the same in every document format, which the catalogers' own fields do not.
func convert(p pkg.Package) sbom.Package {
	out := sbom.Package{
		Type: string(p.Type), Name: p.Name, Version: p.Version, PURL: p.PURL,
		Licenses: licenses(p), Paths: paths(p),
	}
	if t := p.Type.PackageURLType(); t != "" {
		out.Type = t
	} else if p.Type == pkg.UnknownPkg {
		out.Type = ""
	}
	purl, err := packageurl.FromString(p.PURL)
	if err != nil || p.PURL == "" {
		return out
	}
	qualifiers := purl.Qualifiers.Map()
	out.Type, out.Name, out.Arch = purl.Type, purl.Name, qualifiers["arch"]
	out.Source, out.SourceVersion, _ = strings.Cut(qualifiers["upstream"], "@")
	if purl.Namespace != "" && !slices.Contains(distributorTypes, purl.Type) {
		out.Name = purl.Namespace + "/" + purl.Name
	}
	if purl.Subpath != "" {
		out.Name += "/" + purl.Subpath
	}
	if out.Version == "" {
		out.Version = purl.Version
	}
	return out
}

// licenses are the package's licenses, each once, as SPDX expressions where they are such.
func licenses(p pkg.Package) []string {
	var out []string
	for _, l := range p.Licenses.ToUnorderedSlice() {
		switch {
		case l.SPDXExpression != "":
			out = append(out, l.SPDXExpression)
		case l.Value != "":
			out = append(out, l.Value)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// paths are the files by which the package was found; of a file within an archive, the archive.
func paths(p pkg.Package) []string {
	var out []string
	for _, l := range p.Locations.ToUnorderedSlice() {
		if clean := strings.TrimPrefix(l.RealPath, "/"); clean != "" {
			out = append(out, clean)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
