package generate

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/anchore/syft/syft/format/common/spdxhelpers"
	"github.com/spdx/tools-golang/spdx"
)

// spdxNamespace begins the namespace of a document, which has to be unique and need not be reachable
// (SPDX 2.3, 6.5).
const spdxNamespace = "https://nanopatch.dev/spdx/"

// spdx is the document as SPDX 2.3. Packages carry their layer as an annotation; the files by which they were found are in
// their source information, not in a file list of their own.
func (d *Document) spdx() (*spdx.Document, error) {
	doc := spdxhelpers.ToFormatModel(d.withoutFiles())
	if doc == nil {
		return nil, errors.New("no SPDX document came out")
	}
	doc.CreationInfo.Created = d.timestamp()
	doc.CreationInfo.Creators = []spdx.Creator{
		{CreatorType: "Tool", Creator: "nanopatch-" + d.toolVersion()},
		{CreatorType: "Tool", Creator: "syft-" + syftVersion()},
	}
	doc.Files = nil
	if err := d.annotate(doc); err != nil {
		return nil, err
	}
	sortSPDX(doc)
	doc.DocumentNamespace = ""
	id, err := contentID(doc)
	if err != nil {
		return nil, err
	}
	doc.DocumentNamespace = spdxNamespace + id.String()
	return doc, nil
}

// annotate adds the image's layers to the document and the layer to each package.
func (d *Document) annotate(doc *spdx.Document) error {
	annotation := func(name string, value any) (spdx.Annotation, error) {
		text, err := markJSON(value)
		return spdx.Annotation{
			Annotator:         spdx.Annotator{AnnotatorType: "Tool", Annotator: "nanopatch-" + d.toolVersion()},
			AnnotationDate:    d.timestamp(),
			AnnotationType:    "OTHER",
			AnnotationComment: name + " " + text,
		}, err
	}
	image, err := annotation(imageMark, d.mark())
	if err != nil {
		return err
	}
	doc.Annotations = append(doc.Annotations, &image)
	ids := d.sortedIDs()
	if len(doc.Packages) < len(ids) {
		return errors.New("the SPDX document has fewer packages than were cataloged")
	}
	for i, id := range ids {
		l := d.layer(id)
		if l == nil {
			continue
		}
		layer, err := annotation(layerMark, markOf(l))
		if err != nil {
			return err
		}
		doc.Packages[i].Annotations = append(doc.Packages[i].Annotations, layer)
	}
	return nil
}

// sortSPDX orders what the stock encoder takes from sets.
func sortSPDX(doc *spdx.Document) {
	slices.SortFunc(doc.Relationships, func(a, b *spdx.Relationship) int {
		return cmp.Or(
			strings.Compare(string(a.RefA.ElementRefID), string(b.RefA.ElementRefID)),
			strings.Compare(a.Relationship, b.Relationship),
			strings.Compare(string(a.RefB.ElementRefID), string(b.RefB.ElementRefID)),
			strings.Compare(a.RelationshipComment, b.RelationshipComment),
		)
	})
	slices.SortFunc(doc.OtherLicenses, func(a, b *spdx.OtherLicense) int {
		return cmp.Or(
			strings.Compare(a.LicenseIdentifier, b.LicenseIdentifier),
			strings.Compare(a.ExtractedText, b.ExtractedText),
		)
	})
}
