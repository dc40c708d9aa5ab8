package report

import (
	"encoding/json"
	"io"
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/sbom"
)

// SBOMTable shows an image's packages on a terminal.
func SBOMTable(w io.Writer, img sbom.Image, packages []sbom.Package, colour bool) error {
	return writeTables(w, sbomHeading(img, packages), []section{sbomSection(packages)}, colour)
}

// SBOMMarkdown shows an image's packages in markdown.
func SBOMMarkdown(w io.Writer, img sbom.Image, packages []sbom.Package) error {
	return writeMarkdown(w, sbomHeading(img, packages), []section{sbomSection(packages)})
}

func sbomHeading(img sbom.Image, packages []sbom.Package) []string {
	return []string{image(img) + ": " + count(len(packages), "package")}
}

func sbomSection(packages []sbom.Package) section {
	s := section{columns: []string{"package", "type", "version", "layer", "licenses"}}
	for _, p := range packages {
		var index *int
		if p.Layer != nil {
			index = &p.Layer.Index
		}
		s.add(named(p.Name, p.Arch), p.Type, p.Version, layer(index), strings.Join(p.Licenses, ", "))
	}
	return s
}

// sbomDocument is the JSON of `nanopatch sbom -o json`.
type sbomDocument struct {
	APIVersion string        `json:"apiVersion"`
	Kind       string        `json:"kind"`
	Image      sbom.Image    `json:"image"`
	Layers     []sbom.Layer  `json:"layers"` // those that packages are in
	Packages   []sbomPackage `json:"packages"`
}

type sbomPackage struct {
	Name     string   `json:"name"`
	Type     string   `json:"type"`
	Arch     string   `json:"arch,omitempty"`
	Version  string   `json:"version"`
	PURL     string   `json:"purl,omitempty"`
	Layer    *int     `json:"layer"`
	Licenses []string `json:"licenses"`
}

// SBOMJSON writes an image's packages as JSON: kind "SBOM", each package with the index of its layer, or null.
func SBOMJSON(w io.Writer, img sbom.Image, packages []sbom.Package) error {
	doc := sbomDocument{
		APIVersion: "nanopatch/v1", Kind: "SBOM", Image: img, Layers: []sbom.Layer{}, Packages: make([]sbomPackage, 0, len(packages)),
	}
	for _, p := range packages {
		out := sbomPackage{Name: p.Name, Type: p.Type, Arch: p.Arch, Version: p.Version, PURL: p.PURL, Licenses: p.Licenses}
		if p.Layer != nil {
			out.Layer = &p.Layer.Index
			doc.Layers = append(doc.Layers, *p.Layer)
		}
		if out.Licenses == nil {
			out.Licenses = []string{}
		}
		doc.Packages = append(doc.Packages, out)
	}
	slices.SortStableFunc(doc.Layers, func(a, b sbom.Layer) int { return a.Index - b.Index })
	doc.Layers = slices.CompactFunc(doc.Layers, func(a, b sbom.Layer) bool { return a.Index == b.Index })
	return writeJSON(w, doc)
}

func writeJSON(w io.Writer, value any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(value)
}
