package generate

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkGenerate catalogs a Debian image of 100 packages with 60 files each, a third of them ELF files.
func BenchmarkGenerate(b *testing.B) {
	elf := "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9) + "\x03\x00\x3e\x00\x01" + strings.Repeat("\x00", 43) + strings.Repeat("x", 20_000)
	layer := []member{{path: "usr/lib/os-release", content: "ID=debian\nVERSION_ID=12\n"}}
	status := ""
	for i := range 100 {
		name := fmt.Sprintf("package%d", i)
		status += stanza(name, "", "amd64", "", "1.0-1")
		sums, list := "", "/.\n"
		for j := range 60 {
			p := fmt.Sprintf("usr/lib/%s/file%d", name, j)
			content := "text"
			if j%3 == 0 {
				content = elf
			}
			layer = append(layer, member{path: p, content: content})
			sums += "7215ee9c7d9dc229d2921a40e899ec5f  " + p + "\n"
			list += "/" + p + "\n"
		}
		layer = append(layer, member{path: "var/lib/dpkg/info/" + name + ".md5sums", content: sums},
			member{path: "var/lib/dpkg/info/" + name + ".list", content: list},
			member{path: "usr/share/doc/" + name + "/copyright", content: dep5})
	}
	layers := [][]member{append(layer, member{path: "var/lib/dpkg/status", content: status})}
	img, tree := describe(b, layers), newTree(layers)
	b.ReportAllocs()
	for b.Loop() {
		d, err := generator().Generate(b.Context(), img, tree, created)
		if err != nil || len(d.Packages) != 100 {
			b.Fatalf("%d packages, %v", len(d.Packages), err)
		}
	}
}
