package page_test

import (
	"os"

	"github.com/nanopatch/nanopatch/sbom/report/page"
)

func ExampleMarkdown() {
	sections := []page.Section{
		{Title: "1 package to update."},
		{Title: "Updates", Columns: []string{"package", "to"}, Rows: [][]string{{"libssl3", "3.0.17-1~deb12u3"}}},
	}
	if err := page.Markdown(os.Stdout, sections); err != nil {
		panic(err)
	}
	// Output:
	// 1 package to update.
	//
	// ### Updates
	//
	// | package | to |
	// | --- | --- |
	// | libssl3 | 3.0.17-1\~deb12u3 |
}
