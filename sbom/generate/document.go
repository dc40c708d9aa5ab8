package generate

import (
	"encoding/hex"
	"slices"
	"time"

	"github.com/anchore/syft/syft/file"
	"github.com/anchore/syft/syft/pkg"
	syftsbom "github.com/anchore/syft/syft/sbom"

	"github.com/nanopatch/nanopatch/sbom"
)

// Document is one software bill of materials: generated, or read from a file. It is immutable.
type Document struct {
	Image sbom.Image
	// Distro is the distribution's id as os-release has it ("debian"), DistroVersion its version, with the point release
	// where the image knows it ("12.5"); empty where there is none.
	Distro, DistroVersion string
	// DistroCodename is the release's name ("bookworm"), where os-release has one and the document keeps it.
	DistroCodename string
	// Layers are the image's layers, lowest first; empty in a document that does not name them.
	Layers []sbom.Layer
	// Packages are sorted by [sbom.Compare]. Their Layer points into Layers.
	Packages []sbom.Package
	// Created is the document's time in UTC; zero in a document that was read.
	Created time.Time

	sbom *syftsbom.SBOM
	// layerOf is the layer of each package of sbom, by its id there.
	layerOf map[string]int
	// tool is the version of nanopatch that made the document.
	tool string
	// tools are the makers that a document which was read names: "syft-v1.57.0".
	tools []string
	// encoded is the document in the formats in which it has been encoded before, if that was kept.
	encoded map[Format][]byte
}

// newDocument lists the packages that were cataloged. home tells the layer that installed one.
func newDocument(d Document, home func(pkg.Package) (layer int, ok bool)) *Document {
	d.layerOf = map[string]int{}
	if release := d.sbom.Artifacts.LinuxDistribution; release != nil {
		d.Distro, d.DistroVersion, d.DistroCodename = release.ID, release.VersionID, release.VersionCodename
	}
	for _, p := range d.sbom.Artifacts.Packages.Sorted() {
		out := convert(p)
		if i, ok := home(p); ok && i >= 0 && i < len(d.Layers) {
			out.Layer = &d.Layers[i]
			d.layerOf[string(p.ID())] = i
		}
		d.Packages = append(d.Packages, out)
	}
	slices.SortFunc(d.Packages, sbom.Compare)
	return &d
}

// evidenceDigests are the digests of the files by which packages were found, out of the index: no content is read.
func evidenceDigests(packages *pkg.Collection, v view) map[file.Coordinates][]file.Digest {
	digests := map[file.Coordinates][]file.Digest{}
	for p := range packages.Enumerate() {
		for _, l := range p.Locations.ToUnorderedSlice() {
			e := v.node(l)
			if e == nil || e.SHA256 == [32]byte{} {
				continue
			}
			value := hex.EncodeToString(e.SHA256[:])
			digests[l.Coordinates] = []file.Digest{{Algorithm: "sha256", Value: value}}
		}
	}
	return digests
}

// WithRef is the document under another reference of its image.
func (d *Document) WithRef(ref string) *Document {
	other := *d
	other.Image.Ref, other.encoded = ref, nil
	return &other
}
