package generate

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/anchore/syft/syft"
	"github.com/anchore/syft/syft/artifact"
	"github.com/anchore/syft/syft/format/syftjson"
	"github.com/anchore/syft/syft/pkg"
	syftsbom "github.com/anchore/syft/syft/sbom"
	"github.com/google/uuid"

	"github.com/nanopatch/nanopatch/sbom"
)

// Format is a document format that Encode writes.
type Format string

// The formats, by the names that the command line gives them.
const (
	SPDX      Format = "spdx-json"      // SPDX 2.3
	CycloneDX Format = "cyclonedx-json" // CycloneDX 1.6
	Syft      Format = "syft-json"      // syft's own, with all that its catalogers know
)

// Formats lists them all.
func Formats() []Format { return []Format{SPDX, CycloneDX, Syft} }

// Encode writes the document on one line. The same document gives the same bytes: what the stock encoders take from the
// clock and from random numbers (times, namespaces, serial numbers) comes from the document's time and content.
func (d *Document) Encode(w io.Writer, format Format) error {
	if encoded, ok := d.encoded[format]; ok {
		if _, err := w.Write(encoded); err != nil {
			return fmt.Errorf("encoding %s: %w", format, err)
		}
		return nil
	}
	var model any
	var err error
	switch format {
	case SPDX:
		model, err = d.spdx()
	case CycloneDX:
		return d.encodeCycloneDX(w)
	case Syft:
		model = d.syft()
	default:
		return fmt.Errorf("unknown SBOM format %q", format)
	}
	if err != nil {
		return fmt.Errorf("encoding %s: %w", format, err)
	}
	if err := encodeJSON(w, model); err != nil {
		return fmt.Errorf("encoding %s: %w", format, err)
	}
	return nil
}

func encodeJSON(w io.Writer, model any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(model)
}

// timestamp is the document's time as both standards write it; a document that was read and says none gets the epoch.
func (d *Document) timestamp() string {
	if d.Created.IsZero() {
		return time.Unix(0, 0).UTC().Format(time.RFC3339)
	}
	return d.Created.UTC().Format(time.RFC3339)
}

// syftVersion is the version of the cataloging library, named in documents as the tool that found the packages. It is asked for
// once: it comes with a configuration, and that with some hundred patterns to be compiled.
var syftVersion = sync.OnceValue(func() string {
	if v := syft.DefaultCreateSBOMConfig().ToolVersion; v != "" {
		return v
	}
	return unknownVersion
})

// unknownVersion stands for what the build does not tell.
const unknownVersion = "devel"

// toolVersion is the version of nanopatch that writes the document.
func (d *Document) toolVersion() string {
	if d.tool == "" {
		return unknownVersion
	}
	return d.tool
}

// contentID is a UUID (version 5) of a model, by which a document names itself.
func contentID(model any) (uuid.UUID, error) {
	content, err := json.Marshal(model)
	if err != nil {
		return uuid.UUID{}, err
	}
	return uuid.NewSHA1(uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://nanopatch.dev/sbom")), content), nil
}

// withoutFiles is the catalog without the image's files: only packages, and what they are to one another.
func (d *Document) withoutFiles() syftsbom.SBOM {
	s := *d.sbom
	s.Artifacts = syftsbom.Artifacts{Packages: s.Artifacts.Packages, LinuxDistribution: s.Artifacts.LinuxDistribution}
	s.Descriptor = syftsbom.Descriptor{Name: "nanopatch", Version: d.toolVersion()}
	s.Relationships = slices.DeleteFunc(sortedRelationships(s.Relationships), func(r artifact.Relationship) bool {
		_, from := r.From.(pkg.Package)
		_, to := r.To.(pkg.Package)
		return !from || !to
	})
	return s
}

// syft is the document in the cataloging library's own format: everything it knows, and the layers in the one place
// that is left to the tool.
func (d *Document) syft() any {
	s := *d.sbom
	s.Relationships = sortedRelationships(s.Relationships)
	s.Descriptor = syftsbom.Descriptor{Name: "nanopatch", Version: d.toolVersion(), Configuration: syftMarks{
		Cataloger: "syft " + syftVersion(), Created: d.timestamp(), Image: d.mark(), Packages: d.layerOf,
	}}
	return syftjson.ToFormatModel(s, syftjson.DefaultEncoderConfig())
}

// sortedRelationships is a sorted copy without duplicates.
func sortedRelationships(relationships []artifact.Relationship) []artifact.Relationship {
	type keyed struct {
		key string
		artifact.Relationship
	}
	all := make([]keyed, 0, len(relationships))
	for _, r := range relationships {
		if r.From == nil || r.To == nil {
			continue
		}
		data, err := json.Marshal(r.Data)
		if err != nil {
			data = nil // the data only breaks ties
		}
		key := strings.Join([]string{string(r.From.ID()), string(r.To.ID()), string(r.Type), string(data)}, "\x00")
		all = append(all, keyed{key, r})
	}
	slices.SortStableFunc(all, func(a, b keyed) int { return strings.Compare(a.key, b.key) })
	all = slices.CompactFunc(all, func(a, b keyed) bool { return a.key == b.key })
	out := make([]artifact.Relationship, len(all))
	for i := range all {
		out[i] = all[i].Relationship
	}
	return out
}

// sortedIDs are the ids of the packages in the order in which the encoders list them.
func (d *Document) sortedIDs() []string {
	packages := d.sbom.Artifacts.Packages.Sorted()
	ids := make([]string, len(packages))
	for i := range packages {
		ids[i] = string(packages[i].ID())
	}
	return ids
}

// layer is the layer of a package by its id; nil where it is not known.
func (d *Document) layer(id string) *sbom.Layer {
	if i, ok := d.layerOf[id]; ok {
		return &d.Layers[i]
	}
	return nil
}
