package generate

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/nanopatch/nanopatch/sbom"
)

// What the standards have no field for is written under these names, and read back by Read: the image with its layers
// once per document, the layer at each package.
const (
	imageMark = "dev.nanopatch:image"
	layerMark = "dev.nanopatch:layer"
)

// imageMarks is the value of imageMark, as JSON.
type imageMarks struct {
	sbom.Image
	Layers []sbom.Layer `json:"layers"`
}

// layerMarks is the value of layerMark. An instruction may have any length and stands at every package: the whole of it is
// found in imageMarks, by the layer's index.
type layerMarks struct {
	Index     int    `json:"index"`
	Digest    string `json:"digest"`
	DiffID    string `json:"diffId"`
	CreatedBy string `json:"createdBy,omitempty"`
}

// maxInstruction bounds, in bytes, what a package's mark says of an instruction.
const maxInstruction = 256

// syftMarks is what syft's format has room for: the descriptor's configuration.
type syftMarks struct {
	Cataloger string     `json:"cataloger"`
	Created   string     `json:"created"`
	Image     imageMarks `json:"image"`
	// Packages are the layers' indices by package id.
	Packages map[string]int `json:"packageLayers"`
}

func (d *Document) mark() imageMarks { return imageMarks{Image: d.Image, Layers: d.Layers} }

// markJSON renders a mark's value.
func markJSON(value any) (string, error) {
	b, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("encoding the image's layers: %w", err)
	}
	return string(b), nil
}

func markOf(l *sbom.Layer) layerMarks {
	return layerMarks{Index: l.Index, Digest: l.Digest, DiffID: l.DiffID, CreatedBy: shorten(l.CreatedBy)}
}

// shorten cuts an instruction between two of its characters.
func shorten(instruction string) string {
	if len(instruction) <= maxInstruction {
		return instruction
	}
	end := maxInstruction
	for end > 0 && !utf8.RuneStart(instruction[end]) {
		end--
	}
	return instruction[:end] + "…"
}
