package attest_test

import (
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/nanopatch/nanopatch/sign/attest"
)

// A statement that an image was rebuilt from another one, written and read back.
func Example() {
	rebuilt := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("b", 64)}
	source := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("a", 64)}

	statement, err := attest.NewProvenance(rebuilt, attest.Provenance{
		BuilderID:          "https://ci.example/nightly",
		BuildType:          attest.BuildTypeRebuild,
		ExternalParameters: []byte(`{"level":"patch"}`),
		ResolvedDependencies: []attest.Resource{
			{Name: attest.NameSource, URI: "registry.example/base:1", Digest: attest.Digest(source)},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	payload, err := statement.Encode()
	if err != nil {
		fmt.Println(err)
		return
	}

	parsed, err := attest.Parse(payload)
	if err != nil {
		fmt.Println(err)
		return
	}
	provenance, err := attest.ParseProvenance(parsed)
	if err != nil {
		fmt.Println(err)
		return
	}
	from, _ := provenance.Source()
	fmt.Println(parsed.About(rebuilt), parsed.About(source))
	fmt.Println("from", from.URI)
	// Output:
	// true false
	// from registry.example/base:1
}
