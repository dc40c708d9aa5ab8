package licensetext_test

import (
	"fmt"
	"log"

	"github.com/google/licensecheck"

	"github.com/nanopatch/nanopatch/sbom/licensetext"
)

func Example() {
	scanner, err := licensetext.New([]licensecheck.License{
		{ID: "Filler", LRE: "Now is\n((not))??\nthe time for all good\n((men || women))\nto come to the aid of their __1__ party"},
		{ID: "Address", URL: "example.com/licenses/address"},
	})
	if err != nil {
		log.Fatal(err)
	}
	text := "See https://example.com/licenses/address/.\n\n(c) 2026 Someone\n\nNow is the time for all good wo-\nmen to come to the aid of their parti."
	found := scanner.Scan([]byte(text))
	fmt.Printf("%.0f%%\n", found.Percent)
	for _, m := range found.Match {
		fmt.Printf("%s: %q\n", m.ID, text[m.Start:m.End])
	}
	// Output:
	// 96%
	// Address: "https://example.com/licenses/address/."
	// Filler: "(c) 2026 Someone\n\nNow is the time for all good wo-\nmen to come to the aid of their parti."
}
