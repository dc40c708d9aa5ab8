package diff

import (
	"slices"
	"strings"

	"github.com/nanopatch/nanopatch/sbom"
)

// layerID tells layers apart within one image and recognizes one in another.
func layerID(p sbom.Package) string {
	if p.Layer == nil {
		return ""
	}
	return p.Layer.DiffID
}

// moved tells whether another layer installed the package. Layers are the same if they have the same content, or the same
// place, or were made by the same instruction: a rewritten layer has another content, a layer below shifts the places, and
// both keep the instruction. Where a layer is not known nothing moved.
func moved(from, to sbom.Package) bool {
	a, b := from.Layer, to.Layer
	if a == nil || b == nil {
		return false
	}
	same := a.Index == b.Index || a.DiffID != "" && a.DiffID == b.DiffID || a.CreatedBy != "" && a.CreatedBy == b.CreatedBy
	return !same
}

// relicensed are the licenses of both sides where they differ, nil where they do not or one side does not know them.
func relicensed(from, to sbom.Package) *Licenses {
	a, b := licenseKeys(from.Licenses), licenseKeys(to.Licenses)
	if len(a) == 0 || len(b) == 0 || slices.Equal(a, b) {
		return nil
	}
	return &Licenses{From: from.Licenses, To: to.Licenses}
}

// licenseKeys bring what document formats write of the same licenses to one form: sorted, each once. SPDX joins several to one
// expression, and its writers put LicenseRef- before names that it does not know, a dash for each character that it does not
// allow in one (SPDX 2.3, annex D), and leave the algorithm out of a digest that stands for a text.
func licenseKeys(licenses []string) []string {
	var keys []string
	for _, l := range licenses {
		parts := []string{l}
		if !strings.Contains(l, " OR ") {
			parts = strings.Split(l, " AND ")
		}
		for _, p := range parts {
			p = strings.TrimPrefix(outerParentheses(p), "LicenseRef-")
			p = strings.TrimPrefix(p, "sha256:")
			if p == "" || p == "NOASSERTION" || p == "NONE" {
				continue
			}
			keys = append(keys, strings.Map(func(r rune) rune {
				if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '.' {
					return '-'
				}
				return r
			}, strings.ToLower(p)))
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// outerParentheses takes away those of an expression that the part of one begins or ends with, and leaves those in a name.
func outerParentheses(part string) string {
	part = strings.TrimLeft(part, "( ")
	for strings.HasSuffix(strings.TrimRight(part, " "), ")") && strings.Count(part, ")") > strings.Count(part, "(") {
		part = strings.TrimSuffix(strings.TrimRight(part, " "), ")")
	}
	return strings.TrimRight(part, " ")
}
