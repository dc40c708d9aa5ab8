package generate

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/anchore/syft/syft/pkg"
)

// marks is what Encode wrote into a document besides what the standards know.
type marks struct {
	image imageMarks
	// byID are layer indices by syft's package id. byName are those of the other formats, whose ids do not survive
	// decoding: by package URL, or name and version, in the order of the document.
	byID   map[string]int
	byName map[string][]int
}

// home is the marked layer of a package. Packages of one name and version are given their layers in the document's order.
func (m *marks) home(p pkg.Package) (layer int, ok bool) {
	if layer, ok = m.byID[string(p.ID())]; ok {
		return layer, true
	}
	key := markKey(p.PURL, p.Name, p.Version)
	rest := m.byName[key]
	if len(rest) == 0 {
		return 0, false
	}
	m.byName[key] = rest[1:]
	return rest[0], rest[0] >= 0
}

func markKey(purl, name, version string) string {
	if purl != "" {
		return purl
	}
	return name + "\x00" + version
}

// readMarks finds the marks in a document; one that another tool made has none.
func (h *header) readMarks(data []byte) (*marks, error) {
	m := &marks{byName: map[string][]int{}}
	var err error
	switch h.format {
	case SPDX:
		err = m.readSPDX(data)
	case CycloneDX:
		err = m.readCycloneDX(data)
	default:
		configuration := h.configuration()
		m.image, m.byID = configuration.Image, configuration.Packages
	}
	if err != nil {
		return nil, fmt.Errorf("reading the layers: %w", err)
	}
	for i := range m.image.Layers {
		if m.image.Layers[i].Index != i {
			return nil, fmt.Errorf("layer %d is listed at place %d", m.image.Layers[i].Index, i)
		}
	}
	return m, nil
}

type annotation struct{ Comment string }

// mark decodes the first annotation of the name into value.
func mark(annotations []annotation, name string, value any) (bool, error) {
	for _, a := range annotations {
		if text, ok := strings.CutPrefix(a.Comment, name+" "); ok {
			return true, json.Unmarshal([]byte(text), value)
		}
	}
	return false, nil
}

func (m *marks) readSPDX(data []byte) error {
	var doc struct {
		Annotations []annotation
		Packages    []struct {
			Name, VersionInfo string
			ExternalRefs      []struct{ ReferenceType, ReferenceLocator string }
			Annotations       []annotation
		}
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return err
	}
	if marked, err := mark(doc.Annotations, imageMark, &m.image); err != nil || !marked {
		return err
	}
	for _, p := range doc.Packages {
		purl := ""
		for _, ref := range p.ExternalRefs {
			if ref.ReferenceType == "purl" {
				purl = ref.ReferenceLocator
			}
		}
		layer := layerMarks{Index: -1}
		if _, err := mark(p.Annotations, layerMark, &layer); err != nil {
			return err
		}
		key := markKey(purl, p.Name, p.VersionInfo)
		m.byName[key] = append(m.byName[key], layer.Index)
	}
	return nil
}

func (m *marks) readCycloneDX(data []byte) error {
	type property struct{ Name, Value string }
	var doc struct {
		Metadata   struct{ Properties []property }
		Components []struct {
			Name, Version, PURL string
			Properties          []property
		}
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return err
	}
	marked := false
	for _, p := range doc.Metadata.Properties {
		if p.Name == imageMark {
			marked = true
			if err := json.Unmarshal([]byte(p.Value), &m.image); err != nil {
				return err
			}
		}
	}
	if !marked {
		return nil
	}
	for _, c := range doc.Components {
		layer := -1
		for _, p := range c.Properties {
			if p.Name == layerMark+":index" {
				i, err := strconv.Atoi(p.Value)
				if err != nil {
					return fmt.Errorf("layer of %s: %w", c.Name, err)
				}
				layer = i
			}
		}
		key := markKey(c.PURL, c.Name, c.Version)
		m.byName[key] = append(m.byName[key], layer)
	}
	return nil
}
