package diff_test

import (
	"cmp"
	"fmt"

	"github.com/nanopatch/nanopatch/sbom"
	"github.com/nanopatch/nanopatch/sbom/diff"
)

// byString orders versions as strings, which no ecosystem does; rebuild/version knows better.
type byString struct{}

func (byString) Compare(_, a, b string) (int, error) { return cmp.Compare(a, b), nil }

func (byString) Level(_, _, _ string) string { return "patch" }

func ExampleCompare() {
	older := diff.Side{Packages: []sbom.Package{
		{Type: "deb", Name: "libssl3", Arch: "amd64", Version: "3.0.11"},
		{Type: "npm", Name: "lodash", Version: "3.10.1"},
		{Type: "npm", Name: "lodash", Version: "4.17.20"},
	}}
	newer := diff.Side{Packages: []sbom.Package{
		{Type: "deb", Name: "libssl3", Arch: "amd64", Version: "3.0.13"},
		{Type: "npm", Name: "lodash", Version: "4.17.20"},
	}}
	d := diff.Compare(older, newer, byString{})
	for _, c := range d.Changed {
		fmt.Println(c.Name, c.From, "to", c.To, c.Direction)
	}
	for _, p := range d.Removed {
		fmt.Println(p.Name, p.Version, "removed")
	}
	// Output:
	// libssl3 3.0.11 to 3.0.13 upgrade
	// lodash 3.10.1 removed
}

func ExampleDiff_Gate() {
	older := diff.Side{Packages: []sbom.Package{{Type: "deb", Name: "libssl3", Version: "3.0.11"}}}
	newer := diff.Side{Packages: []sbom.Package{{Type: "deb", Name: "libssl3", Version: "3.0.13"}, {Type: "npm", Name: "evil", Version: "1"}}}
	planned := []diff.Planned{{Type: "deb", Name: "libssl3", From: "3.0.11", To: "3.0.13"}}
	rewritten := func([]string) (string, bool) { return "", false } // asks the plan

	_, err := diff.Compare(older, newer, byString{}).Gate(planned, rewritten)
	fmt.Println(err)
	// Output:
	// the new packages are not what the plan says: npm evil 1 added: not planned, and not inside anything that is
}
