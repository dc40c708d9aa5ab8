package advisory_test

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/nanopatch/nanopatch/rebuild/advisory"
)

// Which CVEs does an update of libcrypto3 fix, by Alpine's own database?
func ExampleFind() {
	database := advisory.Document{Name: "main.json", Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(`{"distroversion":"v3.19","packages":[
			{"pkg":{"name":"openssl","secfixes":{"3.1.4-r6":["CVE-2024-2511"],"3.1.6-r0":["CVE-2024-4741"]}}}]}`)), nil
	}}
	statements, err := advisory.Find(context.Background(), advisory.Distro{ID: "alpine", VersionID: "3.19.1"}, []advisory.Update{{
		Type: "apk", Name: "libcrypto3", Source: "openssl", From: "3.1.4-r5", To: "3.1.4-r6", SourceFrom: "3.1.4-r5", SourceTo: "3.1.4-r6",
	}}, []advisory.Document{database})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range statements[0] {
		fmt.Println(s.Kind, s.Name, s.CVEs)
	}
	// Output:
	// secdb main.json [CVE-2024-2511]
}
