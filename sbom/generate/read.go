package generate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/anchore/syft/syft/format/cyclonedxjson"
	"github.com/anchore/syft/syft/format/spdxjson"
	"github.com/anchore/syft/syft/format/syftjson"
	"github.com/anchore/syft/syft/pkg"
	syftsbom "github.com/anchore/syft/syft/sbom"
	"github.com/anchore/syft/syft/source"

	"github.com/nanopatch/nanopatch/sbom"
)

// maxDocument bounds the documents that Read takes, in bytes. Those of the largest known images are a tenth of it.
const maxDocument = 512 << 20

// FormatError says that a document is of no format, or of no version, that can be read.
type FormatError struct {
	// Format is "SPDX", "CycloneDX", "syft", or "" where the document is none of them.
	Format string
	// Version is what the document says it is.
	Version string
	// Readable are the versions that can be read, empty where they are not a list.
	Readable []string
}

func (e *FormatError) Error() string {
	switch {
	case e.Format == "":
		return "not an SBOM: neither SPDX nor CycloneDX nor syft JSON"
	case len(e.Readable) == 0:
		return fmt.Sprintf("%s JSON version %q cannot be read", e.Format, e.Version)
	default:
		return fmt.Sprintf("%s JSON version %q cannot be read, only %s", e.Format, e.Version, strings.Join(e.Readable, ", "))
	}
}

// Read reads a document in SPDX, CycloneDX or syft JSON, of any version that syft decodes. name becomes the document's
// image reference where the document does not name one. It returns a *FormatError for any other format or version.
func Read(r io.Reader, name string) (*Document, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if len(data) > maxDocument {
		return nil, fmt.Errorf("reading %s: larger than %d MiB", name, maxDocument>>20)
	}
	head, err := identify(data)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	decoded, err := decode(head.decoder, data)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	marks, err := head.readMarks(data)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	d := Document{Image: marks.image.Image, Layers: marks.image.Layers, Created: head.created(), sbom: decoded, tools: head.tools()}
	if d.Image == (sbom.Image{}) {
		d.Image = sourceImage(decoded.Source)
	}
	if d.Image.Ref == "" {
		d.Image.Ref = name
	}
	return newDocument(d, marks.home), nil
}

// identify tells a document's format, and refuses versions that would not decode.
func identify(data []byte) (*header, error) {
	var h header
	if err := json.Unmarshal(data, &h); err != nil {
		return nil, fmt.Errorf("%w (%w)", &FormatError{}, err)
	}
	var schema struct{ Version, URL string }
	lenient(h.Schema, &schema)
	switch {
	case h.BOMFormat == "CycloneDX":
		h.format, h.decoder = CycloneDX, cyclonedxjson.NewFormatDecoder()
		return &h, readable("CycloneDX", h.SpecVersion, cyclonedxjson.SupportedVersions())
	case h.SPDXVersion != "":
		h.format, h.decoder = SPDX, spdxjson.NewFormatDecoder()
		return &h, readable("SPDX", strings.TrimPrefix(h.SPDXVersion, "SPDX-"), spdxjson.SupportedVersions())
	case strings.Contains(schema.URL, "anchore/syft"):
		h.format, h.decoder = Syft, syftjson.NewFormatDecoder()
		return &h, readableSyft(schema.Version)
	case bytes.Contains(h.Context, []byte("spdx.org")):
		h.format, h.decoder = SPDX, spdxjson.NewFormatDecoder()
		if id, version := h.decoder.Identify(bytes.NewReader(data)); id == "" || version == "" {
			return nil, &FormatError{Format: "SPDX", Version: "3", Readable: spdxjson.SupportedVersions()}
		}
		return &h, nil
	}
	return nil, &FormatError{}
}

func readable(format, version string, versions []string) error {
	if !slices.Contains(versions, version) {
		return &FormatError{Format: format, Version: version, Readable: versions}
	}
	return nil
}

// readableSyft refuses a schema of a later major version: the decoder would drop what it does not know.
func readableSyft(version string) error {
	ours := syftjson.NewFormatEncoder().Version()
	if theirs := major(version); theirs < 0 || theirs > major(ours) {
		return &FormatError{Format: "syft", Version: version, Readable: []string{"up to " + ours}}
	}
	return nil
}

// major is the number before a version's first dot, -1 where there is none.
func major(version string) int {
	first, _, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(first)
	if err != nil {
		return -1
	}
	return n
}

// decode runs a decoder, which is not made for hostile input: a panic is an error of the document.
func decode(decoder syftsbom.FormatDecoder, data []byte) (s *syftsbom.SBOM, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the document cannot be decoded: %v", r)
		}
	}()
	s, _, _, err = decoder.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	if s.Artifacts.Packages == nil {
		s.Artifacts.Packages = pkg.NewCollection()
	}
	return s, nil
}

// sourceImage is what a document that another tool made says about its image.
func sourceImage(src source.Description) sbom.Image {
	out := sbom.Image{Ref: src.Name}
	if src.Version != "" && !strings.HasPrefix(src.Version, "sha256:") && out.Ref != "" {
		out.Ref += ":" + src.Version
	}
	if m, ok := src.Metadata.(source.ImageMetadata); ok {
		out.Digest = m.ManifestDigest
		if out.Ref == "" {
			out.Ref = m.UserInput
		}
		if m.OS != "" && m.Architecture != "" {
			out.Platform = strings.TrimSuffix(m.OS+"/"+m.Architecture+"/"+m.Variant, "/")
		}
	}
	return out
}
