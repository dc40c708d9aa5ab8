package sbom

import (
	"cmp"
	"slices"
)

// Package is one package found in an image.
type Package struct {
	// Type is the package URL type: "deb", "apk", "pypi", "golang". A package without a package URL has the type that
	// the cataloger gave it; it is empty where a document does not tell.
	Type string
	// Name includes the namespace where that is a part of the name ("@babel/core", "org.slf4j/slf4j-api",
	// "golang.org/x/net") and not where it names the distributor (the "debian" of a .deb).
	Name string
	// Arch is the package's architecture in the ecosystem's own words: "amd64", "x86_64", "all"; empty where packages
	// have none.
	Arch string
	// Version is the full version in the ecosystem's own syntax, epoch included.
	Version string
	// PURL is the package URL, empty where there is none.
	PURL string
	// Source and SourceVersion are the source package that it was built from, where the package URL names one ("upstream"); empty
	// where they are the package's own.
	Source, SourceVersion string
	// Layer is the layer that installed the package in this version; nil where that is not known.
	Layer *Layer
	// Licenses are SPDX expressions, or names where the license is not one that SPDX knows. Sorted.
	Licenses []string
	// Paths are the files by which the package was found, clean and relative to the root: "var/lib/dpkg/status". Sorted.
	Paths []string
}

// Layer is one layer of an image.
type Layer struct {
	// Index counts from 0, the lowest layer.
	Index int `json:"index"`
	// Digest names the layer's blob, DiffID its uncompressed content: "sha256:…".
	Digest string `json:"digest"`
	DiffID string `json:"diffId"`
	// Size is the blob's size in bytes, 0 where it is not known.
	Size int64 `json:"size,omitempty"`
	// CreatedBy is the instruction in the image's history that made the layer, empty where it has none.
	CreatedBy string `json:"createdBy,omitempty"`
}

// Image names what a document is about.
type Image struct {
	// Ref is the image, or the file, as the user named it.
	Ref string `json:"ref"`
	// Digest is the image's manifest digest, empty where it is not known.
	Digest string `json:"digest,omitempty"`
	// Platform is "linux/amd64", "linux/arm64/v8"; empty where it is not known.
	Platform string `json:"platform,omitempty"`
}

// Compare orders packages by type, name, architecture, version as a string, and then by everything else that tells two of
// them apart: the order is total and the same for the same packages.
func Compare(a, b Package) int {
	return cmp.Or(
		cmp.Compare(a.Type, b.Type),
		cmp.Compare(a.Name, b.Name),
		cmp.Compare(a.Arch, b.Arch),
		cmp.Compare(a.Version, b.Version),
		cmp.Compare(a.PURL, b.PURL),
		slices.Compare(a.Paths, b.Paths),
		cmp.Compare(layerIndex(a.Layer), layerIndex(b.Layer)),
		slices.Compare(a.Licenses, b.Licenses),
	)
}

func layerIndex(l *Layer) int {
	if l == nil {
		return -1
	}
	return l.Index
}
