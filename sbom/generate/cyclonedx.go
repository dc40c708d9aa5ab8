package generate

import (
	_ "embed" // the list of licenses
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/anchore/syft/syft/format/common/cyclonedxhelpers"

	"github.com/nanopatch/nanopatch/sbom"
)

// encodeCycloneDX writes the document as CycloneDX 1.6.
func (d *Document) encodeCycloneDX(w io.Writer) error {
	bom, err := d.cycloneDX()
	if err != nil {
		return fmt.Errorf("encoding %s: %w", CycloneDX, err)
	}
	enc := cyclonedx.NewBOMEncoder(w, cyclonedx.BOMFileFormatJSON)
	enc.SetEscapeHTML(false)
	if err := enc.EncodeVersion(bom, cyclonedx.SpecVersion1_6); err != nil {
		return fmt.Errorf("encoding %s: %w", CycloneDX, err)
	}
	return nil
}

// cycloneDX is the document as a CycloneDX model; components carry their layer as properties.
func (d *Document) cycloneDX() (*cyclonedx.BOM, error) {
	bom := cyclonedxhelpers.ToFormatModel(d.withoutFiles())
	image, err := markJSON(d.mark())
	if err != nil {
		return nil, err
	}
	bom.Metadata.Timestamp = d.timestamp()
	bom.Metadata.Tools = &cyclonedx.ToolsChoice{Components: &[]cyclonedx.Component{
		{Type: cyclonedx.ComponentTypeApplication, Name: "nanopatch", Version: d.toolVersion()},
		{Type: cyclonedx.ComponentTypeApplication, Author: "anchore", Name: "syft", Version: syftVersion()},
	}}
	bom.Metadata.Properties = addProperty(bom.Metadata.Properties, imageMark, image)

	ids := d.sortedIDs()
	if bom.Components == nil || len(*bom.Components) < len(ids) {
		return nil, errors.New("the CycloneDX document has fewer components than were cataloged")
	}
	for i, id := range ids {
		if l := d.layer(id); l != nil {
			addLayer(&(*bom.Components)[i], l)
		}
	}
	for i := range *bom.Components {
		nameLicenses((*bom.Components)[i].Licenses)
	}
	bom.SerialNumber = ""
	serial, err := contentID(bom)
	if err != nil {
		return nil, err
	}
	bom.SerialNumber = serial.URN()
	return bom, nil
}

func addLayer(c *cyclonedx.Component, l *sbom.Layer) {
	c.Properties = addProperty(c.Properties, layerMark+":index", strconv.Itoa(l.Index))
	c.Properties = addProperty(c.Properties, layerMark+":digest", l.Digest)
	c.Properties = addProperty(c.Properties, layerMark+":diffId", l.DiffID)
	if l.CreatedBy != "" {
		c.Properties = addProperty(c.Properties, layerMark+":createdBy", shorten(l.CreatedBy))
	}
}

func addProperty(properties *[]cyclonedx.Property, name, value string) *[]cyclonedx.Property {
	var all []cyclonedx.Property
	if properties != nil {
		all = *properties
	}
	all = append(all[:len(all):len(all)], cyclonedx.Property{Name: name, Value: value})
	return &all
}

//go:embed cyclonedxlicenses.txt
var licenseList string

// schemaLicenses are the ids that CycloneDX's schema knows, each on a line of the list.
var schemaLicenses = sync.OnceValue(func() map[string]bool {
	known := map[string]bool{}
	for id := range strings.Lines(licenseList) {
		known[strings.TrimSpace(id)] = true
	}
	return known
})

// nameLicenses gives licenses by name whose ids are younger than the schema: CycloneDX closes the list of ids with each release
// of its schema, SPDX goes on adding to it, and a document with an id that is not in the list is not valid.
func nameLicenses(licenses *cyclonedx.Licenses) {
	if licenses == nil {
		return
	}
	for i := range *licenses {
		if l := (*licenses)[i].License; l != nil && l.ID != "" && !schemaLicenses()[l.ID] {
			l.Name, l.ID = l.ID, ""
		}
	}
}
