package generate

import (
	"encoding/json"
	"strings"
	"time"

	syftsbom "github.com/anchore/syft/syft/sbom"
)

// header is what tells one document format from another, and holds what the decoders do not keep.
type header struct {
	SPDXVersion  string          `json:"spdxVersion"`
	Context      json.RawMessage `json:"@context"`
	BOMFormat    string          `json:"bomFormat"`
	SpecVersion  string          `json:"specVersion"`
	Schema       json.RawMessage `json:"schema"`
	CreationInfo json.RawMessage `json:"creationInfo"`
	Metadata     json.RawMessage `json:"metadata"`
	Descriptor   json.RawMessage `json:"descriptor"`

	format  Format
	decoder syftsbom.FormatDecoder
}

// lenient decodes what another tool may have written differently; what does not fit is left out.
func lenient(raw json.RawMessage, value any) {
	if len(raw) > 0 {
		_ = json.Unmarshal(raw, value)
	}
}

// created is the time that the document says, zero where it says none.
func (h *header) created() time.Time {
	var said string
	switch h.format {
	case SPDX:
		var info struct{ Created string }
		lenient(h.CreationInfo, &info)
		said = info.Created
	case CycloneDX:
		var metadata struct{ Timestamp string }
		lenient(h.Metadata, &metadata)
		said = metadata.Timestamp
	default:
		said = h.configuration().Created
	}
	t, err := time.Parse(time.RFC3339, said)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// configuration is what Encode writes into syft's own format.
func (h *header) configuration() syftMarks {
	var descriptor struct{ Configuration json.RawMessage }
	lenient(h.Descriptor, &descriptor)
	var out syftMarks
	lenient(descriptor.Configuration, &out)
	return out
}

// tools are the tools that the document names as its makers, as "name-version"; SPDX knows no other form (SPDX 2.3, 6.8).
func (h *header) tools() []string {
	type tool struct{ Name, Version string }
	var out []string
	add := func(all ...tool) {
		for _, t := range all {
			out = append(out, t.Name+"-"+t.Version)
		}
	}
	switch h.format {
	case SPDX:
		var info struct{ Creators []string }
		lenient(h.CreationInfo, &info)
		for _, c := range info.Creators {
			if name, ok := strings.CutPrefix(c, "Tool: "); ok {
				out = append(out, name)
			}
		}
	case CycloneDX:
		var metadata struct{ Tools struct{ Components []tool } }
		lenient(h.Metadata, &metadata)
		add(metadata.Tools.Components...)
	default:
		var descriptor tool
		lenient(h.Descriptor, &descriptor)
		add(descriptor)
		if name, version, ok := strings.Cut(h.configuration().Cataloger, " "); ok {
			add(tool{name, version})
		}
	}
	return out
}
