package sbom_test

import (
	"fmt"
	"slices"

	"github.com/nanopatch/nanopatch/sbom"
)

func ExampleCompare() {
	packages := []sbom.Package{
		{Type: "npm", Name: "lodash", Version: "4.17.21"},
		{Type: "deb", Name: "libssl3", Arch: "amd64", Version: "3.0.13", Layer: &sbom.Layer{Index: 1}},
		{Type: "npm", Name: "lodash", Version: "3.10.1"},
	}
	slices.SortFunc(packages, sbom.Compare)
	for _, p := range packages {
		fmt.Println(p.Type, p.Name, p.Version)
	}
	// Output:
	// deb libssl3 3.0.13
	// npm lodash 3.10.1
	// npm lodash 4.17.21
}
