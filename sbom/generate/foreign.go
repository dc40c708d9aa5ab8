package generate

import (
	"fmt"
	"slices"
	"strings"
)

// Foreign tells why a document that was read may list other packages than Generate would find in an image, "" where nothing
// says so: the versions of nanopatch and of the cataloging library that made it are this one's, and it is of the very image
// and layers. Another tool, or another version, counts other things as packages, and a comparison would take that for changes.
// What is said of its makers is the document's own word: whether to believe it is for its signature to show.
func (g *Generator) Foreign(d *Document, img *Image) string {
	for _, want := range []string{"nanopatch-" + g.version, "syft-" + syftVersion()} {
		if slices.Contains(d.tools, want) {
			continue
		}
		if len(d.tools) == 0 {
			return "it does not say what made it"
		}
		return fmt.Sprintf("made by %s, not by %s", strings.Join(d.tools, " and "), want)
	}
	if d.Image.Digest != digest(img.Digest) {
		return "it is of another image"
	}
	if !slices.Equal(d.Layers, img.layers()) {
		return "it is of other layers"
	}
	return ""
}
