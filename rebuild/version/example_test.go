package version_test

import (
	"fmt"
	"log"

	"github.com/nanopatch/nanopatch/rebuild/version"
)

func Example() {
	for _, step := range [][2]string{
		{"3.0.11-1~deb12u2", "3.0.17-1~deb12u2"},
		{"1.22.1-9", "1.22.1-9+deb12u2"},
		{"15.14-0+deb12u1", "16.1-1"},
		{"20230311", "20250419"},
	} {
		n, err := version.Deb.Compare(step[0], step[1])
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s -> %s: newer %t, level %s\n", step[0], step[1], n < 0, version.Deb.Level(step[0], step[1]))
	}
	_, err := version.Deb.Compare("1.0-", "1.0")
	fmt.Println(err)
	// Output:
	// 3.0.11-1~deb12u2 -> 3.0.17-1~deb12u2: newer true, level patch
	// 1.22.1-9 -> 1.22.1-9+deb12u2: newer true, level revision
	// 15.14-0+deb12u1 -> 16.1-1: newer true, level major
	// 20230311 -> 20250419: newer true, level patch
	// invalid version "1.0-": the revision after the hyphen is empty
}
