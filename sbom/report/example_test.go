package report_test

import (
	"os"

	"github.com/nanopatch/nanopatch/sbom"
	"github.com/nanopatch/nanopatch/sbom/diff"
	"github.com/nanopatch/nanopatch/sbom/report"
)

func ExampleDiffMarkdown() {
	older := diff.Side{Image: sbom.Image{Ref: "base:old"}, Packages: []sbom.Package{{Type: "deb", Name: "libssl3", Version: "3.0.11"}}}
	newer := diff.Side{Image: sbom.Image{Ref: "base:new"}, Packages: []sbom.Package{{Type: "deb", Name: "libssl3", Version: "3.0.13"}}}
	if err := report.DiffMarkdown(os.Stdout, diff.Compare(older, newer, nil)); err != nil {
		panic(err)
	}
	// Output:
	// base:old → base:new
	//
	// 1 changed.
	//
	// ### Changed
	//
	// | package | type | from | to | level | layer |
	// | --- | --- | --- | --- | --- | --- |
	// | libssl3 | deb | 3.0.11 | 3.0.13 |  |  |
}
